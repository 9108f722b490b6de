"""Fine-tuning a stereo network on pairs without labels, held by what it knew before (Guo et al. 2018, step 2)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from stereodistill.config import Config
from stereodistill.errors import UserError
from stereodistill.losses.empty import comparable, seen_pyramid
from stereodistill.ops.image import gradient_x, gradient_y, image_pyramid, ssim
from stereodistill.ops.resize import mask_pyramid
from stereodistill.ops.warp import warp_to_left
from stereodistill.types import Loss, Prediction, StereoPair


class UnsupervisedLoss(Config):
    """Weights of eq. 4 to 7; the released code halves `absolute_weight` and `relative_weight`."""

    absolute_weight: float = Field(default=0.05, ge=0)
    relative_weight: float = Field(default=0.1, ge=0)
    floor: float = Field(default=0.1, ge=0)
    """Weight of the absolute term where the pixel is visible (gamma 3)."""
    ssim_share: float = Field(default=0.85, ge=0, le=1)
    """0 gives the paper's formula, plain L1; 0.85 what the released code does."""
    visible_above: float | None = Field(default=0.8, gt=0, lt=1)
    """Probability from which the frozen network's visibility counts as visible; None takes the probability itself."""
    slope: Literal["mean", "sum"] = "mean"
    """Of the differences along x and y in eq. 7: their sum, or as in the released code their mean."""


def unsupervised_stereo(prediction: Prediction, frozen: Prediction, pair: StereoPair, config: UnsupervisedLoss) -> Loss:
    """`sum_m 2^-m (L_photo + g1 L_abs + g2 L_rel)` (eq. 4); `frozen` is the network before fine-tuning, same input."""
    if not frozen.visible_logits:
        raise UserError(
            "unsupervised_stereo needs a network that estimates visibility (dispnet, lite_stereo): "
            "use the stage view_synthesis_stereo for others"
        )
    num_scales = len(prediction.disparities)
    lefts, rights = (image_pyramid(view.image, num_scales) for view in (pair.left, pair.right))
    probability = frozen.visible_logits[0].sigmoid()
    seen = probability if config.visible_above is None else probability > config.visible_above
    visible = mask_pyramid(seen, num_scales)
    filled = [seen_pyramid(view.seen, num_scales) for view in (pair.left, pair.right)]
    sums: dict[str, list[Tensor]] = {"photometric": [], "absolute": [], "relative": []}
    for s, disparity in enumerate(prediction.disparities):
        before = frozen.disparities[s].detach()
        warped, _ = warp_to_left(rights[s], disparity / 2**s)
        own, other = (None if masks is None else masks[s] for masks in filled)
        photo = photometric(lefts[s], warped, config.ssim_share)
        photo = photo * comparable(own, other, warp_to_left, disparity / 2**s)
        sums["photometric"].append(2.0**-s * (visible[s][..., 1:-1, 1:-1] * photo).mean())
        distance = (1 - visible[s] + config.floor) * (disparity - before).abs()
        sums["absolute"].append(2.0**-s * config.absolute_weight * distance.mean())
        change = disparity - before
        slope = gradient_x(change).abs().mean() + gradient_y(change).abs().mean()
        share = 0.5 if config.slope == "mean" else 1.0
        sums["relative"].append(2.0**-s * config.relative_weight * share * slope)
    return Loss(terms={name: torch.stack(values).sum() for name, values in sums.items()})


def photometric(image: Tensor, other: Tensor, ssim_share: float) -> Tensor:
    """`a (1 - SSIM) / 2 + (1 - a) |difference|` per pixel (B, 1, H-2, W-2), mean over the channels."""
    structure = (1 - ssim(image, other)) / 2
    difference = (image - other).abs()[..., 1:-1, 1:-1]
    return (ssim_share * structure + (1 - ssim_share) * difference).mean(dim=1, keepdim=True)
