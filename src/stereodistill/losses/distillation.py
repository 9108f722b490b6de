"""What a monocular network minimises on a teacher's disparity, and what becomes of pixels that the teacher doubts."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from stereodistill.config import Config
from stereodistill.losses.terms import masked_l1, relative_l1
from stereodistill.ops.holes import fill_rows
from stereodistill.ops.resize import disparity_pyramid, mask_pyramid
from stereodistill.ops.warp import warp_to_left
from stereodistill.types import Loss, Prediction, StereoPair


class DistillLoss(Config):
    """Training a monocular network on a teacher's disparity (Guo et al. 2018, eq. 8)."""

    form: Literal["l1", "relative"] = "l1"
    """`l1`: in fractions of the width, the paper's loss up to a constant; `relative`: near and far count alike."""
    confidence: Literal["none", "weight", "mask", "fill"] = "none"
    """What becomes of pixels where the teacher's two views disagree: nothing (the paper); they weigh less; they do not
    count; they take the disparity of the background beside them.  The teacher's own probability that a pixel is seen
    by both cameras comes in through `data.min_confidence`: what that leaves out does not count, and `fill` fills it."""
    tolerance_px: float = Field(default=1.0, gt=0)
    """Disagreement at which the confidence of a pixel has fallen to 1/e."""
    floor: float = Field(default=0.0, ge=0, le=1)
    """`weight`: least weight of a known pixel: what one camera alone sees (the left border) is not left to chance."""
    trusted_above: float = Field(default=0.5, ge=0, lt=1)
    """`mask`, `fill`: confidence that is enough to count fully; 0.5 is a disagreement of 0.7 tolerances."""
    unit_px: float | None = Field(default=None, gt=0)
    """`l1` in this unit: 1 is the paper's formula, 20 what its released code does; None = a hundredth of the width."""


def distill(prediction: Prediction, pair: StereoPair, config: DistillLoss) -> Loss:
    """`sum_m 2^-m mean |D_mono - D_teacher|` where the teacher knows (eq. 8), or as far as it can be trusted.

    `pair` carries the teacher's disparity of both views, already at the student's size.
    """
    disparity, weight = trusted_target(pair, config)
    num_scales = len(prediction.disparities)
    targets = disparity_pyramid(disparity, num_scales)
    weights = [(t > 0).float() * w for t, w in zip(targets, mask_pyramid(weight, num_scales), strict=True)]
    function = relative_l1 if config.form == "relative" else masked_l1
    unit = 1.0 if config.form == "relative" else config.unit_px or pair.size[1] / 100
    losses = [2.0**-s * function(d, targets[s], weights[s]) / unit for s, d in enumerate(prediction.disparities)]
    return Loss(terms={"distill": torch.stack(losses).sum()})


def supervised_mono(prediction: Prediction, pair: StereoPair, config: DistillLoss) -> Loss:
    """The same loss as `distill`, named for what the target is: known disparity (Guo et al. 2018, Direct Sup.)."""
    return distill(prediction, pair, config)


def trusted_target(pair: StereoPair, config: DistillLoss) -> tuple[Tensor, Tensor]:
    """Disparity to learn and its weight in [0, 1], both (B, 1, H, W), under `config.confidence`."""
    known = pair.left.valid
    disparity = pair.left.disparity * known
    if config.confidence == "none":
        return disparity, known.float()
    confidence = left_right_confidence(pair, config.tolerance_px)
    if config.confidence == "weight":
        return disparity, known * confidence.clamp(min=config.floor)
    trusted = known & (confidence > config.trusted_above)
    if config.confidence == "mask":
        return disparity * trusted, trusted.float()
    filled = fill_rows(disparity, trusted) * pair.left.seen
    return filled, (filled > 0).float()


def left_right_confidence(pair: StereoPair, tolerance_px: float) -> Tensor:
    """`exp(-|d_left - d_right warped| / tolerance)` (B, 1, H, W); 0 where the match is out of the image or unknown.

    A pair without any disparity of the right view cannot be checked: weight 1.
    """
    warped, inside = warp_to_left(pair.right.disparity, pair.left.disparity)
    agreement = torch.exp(-(warped - pair.left.disparity).abs() / tolerance_px) * inside * (warped > 0)
    checkable = pair.right.valid.flatten(1).any(dim=1).reshape(-1, 1, 1, 1)
    return torch.where(checkable, agreement, 1.0)
