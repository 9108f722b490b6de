"""Single loss terms.

Every term is a mean per sample, then over the batch: the loss of a batch is the mean of the losses of its
parts, so that one process and many, or accumulated gradients, give the same number.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def masked_mean(values: Float[Tensor, "B C H W"], weight: Float[Tensor, "B C H W"]) -> Float[Tensor, ""]:
    """Weighted mean of each sample, averaged over the batch; a sample without any weight counts 0."""
    total = weight.flatten(1).sum(dim=1)
    return ((values * weight).flatten(1).sum(dim=1) / total.clamp(min=1e-6)).mean()


def masked_l1(
    prediction: Float[Tensor, "B 1 H W"],
    target: Float[Tensor, "B 1 H W"],
    weight: Float[Tensor, "B 1 H W"],
    robust: float | None = None,
    smooth: float = 0.0,
) -> Float[Tensor, ""]:
    """Mean absolute difference where `weight` > 0, in the unit of its inputs (Guo et al. 2018, eq. 2 and 8).

    `robust` bends it to `robust * log(1 + difference / robust)`, so that hopeless pixels do not rule the mean.
    `smooth`: differences e below it count `e^2 / (2 smooth)`, larger ones `e - smooth / 2` (Chang and Chen 2018: 1 px).
    """
    difference = (prediction - target).abs()
    if smooth:
        difference = torch.where(difference < smooth, difference**2 / (2 * smooth), difference - smooth / 2)
    if robust is not None:
        difference = robust * torch.log1p(difference / robust)
    return masked_mean(difference, weight)


def relative_l1(
    prediction: Float[Tensor, "B 1 H W"],
    target: Float[Tensor, "B 1 H W"],
    weight: Float[Tensor, "B 1 H W"],
) -> Float[Tensor, ""]:
    """`|d - d*| / (d + d*)`, the symmetric relative difference: near and far count alike, bounded by 1 per pixel.

    For networks with a linear output: a negative d counts `|d - d*| / d*`, so that it is still pulled back.
    """
    return masked_mean((prediction - target).abs() / torch.maximum(prediction + target, target).clamp(min=1e-6), weight)


def visibility_bce(
    logits: Float[Tensor, "B 1 H W"], visible: Float[Tensor, "B 1 H W"], weight: Float[Tensor, "B 1 H W"]
) -> Float[Tensor, ""]:
    """Binary cross-entropy of "seen by the other camera too" on logits (Guo et al. 2018, eq. 3)."""
    return masked_mean(F.binary_cross_entropy_with_logits(logits, visible, reduction="none"), weight)


def matching_cross_entropy(
    logits: Float[Tensor, "B D h w"],
    disparity: Float[Tensor, "B 1 H W"],
    weight: Float[Tensor, "B 1 H W"],
    cell_px: int,
    near_prior: float = 0.0,
) -> Float[Tensor, ""]:
    """Cross-entropy between scores over displacements and the disparities that a matching cell really holds.

    The target of a cell is the mean over its pixels of a two-bin linear interpolation, so that a cell
    on an object's border keeps both surfaces (compare the adaptive multi-modal target of ADL, Xu et al. 2024).
    Pixels with weight 0, or beyond the last displacement, do not count.

    With `near_prior` b the scores are trained to be `log p + b log(k + 1)` of displacement k: what they say where near
    surfaces are more frequent than in training (logit adjustment, Menon et al. 2021, with the prior as a power law).
    """
    if near_prior:
        bins = torch.arange(1, logits.shape[1] + 1, device=logits.device, dtype=logits.dtype)
        logits = logits - near_prior * bins.log().reshape(1, -1, 1, 1)
    target, cell_weight = _displacement_histogram(disparity, weight, logits.shape[1], cell_px)
    entropy = -(target * logits.log_softmax(dim=1)).sum(dim=1, keepdim=True)
    return masked_mean(entropy, cell_weight)


def _displacement_histogram(
    disparity: Tensor, weight: Tensor, num_displacements: int, cell_px: int
) -> tuple[Tensor, Tensor]:
    """Soft histogram (B, D, h, w) of each cell, summing to 1 where known, and each cell's mean weight."""
    bottom, right = -disparity.shape[-2] % cell_px, -disparity.shape[-1] % cell_px
    disparity, weight = (F.pad(t.float(), (0, right, 0, bottom)) for t in (disparity, weight))
    position = F.pixel_unshuffle(disparity / cell_px, cell_px)
    weight = F.pixel_unshuffle(weight, cell_px) * (position <= num_displacements - 1)
    lower = position.clamp(0, num_displacements - 1).floor()
    upper_share = (position - lower).clamp(0, 1)
    shape = (position.shape[0], num_displacements, *position.shape[-2:])
    histogram = torch.zeros(shape, device=disparity.device)
    histogram.scatter_add_(1, lower.long(), weight * (1 - upper_share))
    histogram.scatter_add_(1, (lower.long() + 1).clamp(max=num_displacements - 1), weight * upper_share)
    total = histogram.sum(dim=1, keepdim=True)
    return histogram / total.clamp(min=1e-6), total / cell_px**2
