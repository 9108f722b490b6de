"""What training on known disparity minimises, written to read like the paper's equations."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from stereodistill.config import Config
from stereodistill.losses.terms import masked_l1, matching_cross_entropy, visibility_bce
from stereodistill.ops.resize import disparity_pyramid, mask_pyramid
from stereodistill.ops.thin import thin_things
from stereodistill.ops.view_inconsistency import view_inconsistency
from stereodistill.ops.warp import visible_in_right
from stereodistill.types import Loss, Prediction, StereoPair, View


class SupervisedLoss(Config):
    """Training on known disparity (Guo et al. 2018, step 1)."""

    unit_px: float = Field(default=20.0, gt=0)
    """Disparities are divided by this inside the loss, as the released code of Guo et al. does."""
    robust_px: float | None = Field(default=None, gt=0)
    """Errors beyond about this many pixels count less and less: `r log(1 + |e| / r)` in place of `|e|`."""
    hidden_weight: float = Field(default=1.0, ge=0)
    """Weight of pixels that the other camera does not see, where their disparity can only be guessed."""
    visibility_weight: float = Field(default=1.0, ge=0)
    """0 for sparse ground truth: what is seen by both cameras does not follow from it."""
    thin_weight: float = Field(default=1.0, ge=1)
    """Weight of pixels on things at most `thin_px` wide before something farther: poles, branches (`thin_things`)."""
    thin_px: int = Field(default=12, ge=1)
    unlike_weight: float = Field(default=1.0, ge=1)
    """Weight of pixels that look different to the two cameras: mirror images, panes (`view_inconsistency`).

    Where they are thin as well, the larger weight holds.  Without effect on pairs whose right view has no truth.
    """
    close_pinholes: bool = False
    """3x3 maximum filter on the visibility, the border counted as visible, as the released code of Guo et al. does."""
    smooth_px: float = Field(default=0.0, ge=0)
    """Smooth L1 that is quadratic below this error (Chang and Chen 2018: 1 px); 0 = L1."""
    max_disparity_px: float | None = Field(default=None, gt=0)
    """Pixels beyond are not trained on: what a network of bounded range cannot say."""
    earlier_weights: tuple[float, ...] = (0.5, 0.7)
    """Of a network's last estimates on the way to its answer, the latest last (Chang and Chen 2018)."""
    matching_weight: float = Field(default=0.0, ge=0)
    """Weight of the cross-entropy on scores over displacements, for networks that have them."""
    raw_matching_weight: float = Field(default=0.0, ge=0)
    """The same on the raw correlation, on visible pixels only: it cannot know what is hidden."""
    near_prior: float = Field(default=0.0, ge=0)
    """Where the final scores must choose, how much they prefer the nearer surface: `matching_cross_entropy`."""
    cell_px: int = Field(default=4, gt=0)


def supervised_stereo(prediction: Prediction, pair: StereoPair, config: SupervisedLoss) -> Loss:
    """`sum_m 2^-m (L_disp + L_occ)` (eq. 2, 3), plus cross-entropies on matching scores where asked for."""
    view = _within(pair.left, config.max_disparity_px)
    num_scales = len(prediction.disparities)
    visible = true_visibility(pair, config.close_pinholes)
    # Without ground truth of the right view nothing is known about visibility.
    known = view.valid & pair.right.valid.flatten(1).any(dim=1).reshape(-1, 1, 1, 1)
    weight = view.valid * torch.where(known & ~visible, config.hidden_weight, 1.0)
    weight = weight * _emphasis(pair, view, known & visible, config)
    terms = {"disparity": _disparity(prediction, view, weight, config) / config.unit_px}
    if prediction.earlier and config.earlier_weights:
        terms["earlier"] = _earlier(prediction, view, weight, config) / config.unit_px
    if prediction.visible_logits and config.visibility_weight:
        shares, weights = mask_pyramid(visible, num_scales), mask_pyramid(known, num_scales)
        bce = [
            2.0**-s * visibility_bce(logits, shares[s], weights[s])
            for s, logits in enumerate(prediction.visible_logits)
        ]
        terms["visibility"] = config.visibility_weight * torch.stack(bce).sum()
    if prediction.matching_logits and config.matching_weight + config.raw_matching_weight:
        raw, final = prediction.matching_logits
        seen = view.valid * torch.where(known, visible, True).float()
        terms["matching"] = config.matching_weight * matching_cross_entropy(
            final, view.disparity, weight, config.cell_px, config.near_prior
        )
        terms["raw_matching"] = config.raw_matching_weight * matching_cross_entropy(
            raw, view.disparity, seen, config.cell_px
        )
    return Loss(terms=terms)


def _emphasis(pair: StereoPair, view: View, visible: Tensor, config: SupervisedLoss) -> Tensor:
    """(B, 1, H, W), at least 1: how much more a pixel counts that a mean over all pixels hardly notices."""
    emphasis = torch.ones_like(view.disparity)
    if config.thin_weight > 1:
        thin = thin_things(view.disparity, view.valid, config.thin_px)
        emphasis = torch.where(thin, config.thin_weight, emphasis)
    if config.unlike_weight > 1:
        unlike = view_inconsistency(pair.left.image, pair.right.image, view.disparity, visible & view.valid)
        emphasis = torch.where(unlike, emphasis.clamp(min=config.unlike_weight), emphasis)
    return emphasis


def _disparity(prediction: Prediction, view: View, weight: Tensor, config: SupervisedLoss) -> Tensor:
    """`sum_m 2^-m L1` (eq. 2) where the target is known, in pixels of the finest width."""
    num_scales = len(prediction.disparities)
    targets = disparity_pyramid(view.disparity * view.valid, num_scales)
    weights = mask_pyramid(weight, num_scales)
    losses = [
        2.0**-s * masked_l1(d, targets[s], weights[s] * (targets[s] > 0), config.robust_px, config.smooth_px)
        for s, d in enumerate(prediction.disparities)
    ]
    return torch.stack(losses).sum()


def _earlier(prediction: Prediction, view: View, weight: Tensor, config: SupervisedLoss) -> Tensor:
    """The same for the estimates on the way, each with its weight."""
    weights = config.earlier_weights[-len(prediction.earlier) :]
    estimates = prediction.earlier[-len(weights) :]
    return torch.stack([w * _disparity(e, view, weight, config) for w, e in zip(weights, estimates)]).sum()


def _within(view: View, max_disparity_px: float | None) -> View:
    if max_disparity_px is None:
        return view
    return replace(view, valid=view.valid & (view.disparity < max_disparity_px))


def true_visibility(pair: StereoPair, close_pinholes: bool = False) -> Tensor:
    """Bool (B, 1, H, W): left pixels that the right camera sees too, from known disparities (eq. 1)."""
    visible = visible_in_right(pair.left.disparity, pair.right.disparity)
    if not close_pinholes:
        return visible
    return F.max_pool2d(F.pad(visible.float(), (1, 1, 1, 1), value=1.0), 3, 1) > 0
