"""Learning disparity from a pair alone: each view must be explained by the other one, visible there or not.

Godard et al. 2017 ask for small first derivatives of the disparity, Ye et al. (TIP 2021) for small second ones.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from stereodistill.config import Config
from stereodistill.errors import UserError
from stereodistill.losses.empty import comparable, seen_pyramid
from stereodistill.losses.unsupervised import photometric
from stereodistill.ops.image import gradient_x, gradient_y, image_pyramid, second_gradient_x, second_gradient_y
from stereodistill.ops.warp import warp_to_left, warp_to_right
from stereodistill.types import Loss, Prediction, StereoPair


class ViewSynthesisLoss(Config):
    """Weights of `view_synthesis`; disparities count in shares of the image width."""

    photometric_weight: float = Field(default=1.0, ge=0)
    ssim_share: float = Field(default=0.85, ge=0, le=1)
    consistency_weight: float = Field(default=1.0, ge=0)
    smoothness_weight: float = Field(default=0.5, ge=0)
    """Of the finest scale; halved with each coarser one."""
    smoothness_order: Literal[1, 2] = 2
    """Which derivative is to be small: 1 makes steps dear (Godard et al. 2017), 2 bends (Ye et al. 2021)."""


class GodardLoss(ViewSynthesisLoss):
    """Godard et al. 2017, eq. 1 to 5: the baseline that Guo et al. 2018 beat, StereoUnsupFt([11])."""

    smoothness_weight: float = Field(default=0.1, ge=0)
    smoothness_order: Literal[1, 2] = 1


def view_synthesis(prediction: Prediction, pair: StereoPair, config: ViewSynthesisLoss) -> Loss:
    """`L_U = sum_m w_p L_photo + w_c L_consistency + (w_s / 2^m) L_smooth`, each over both views.

    Raises:
        UserError: images whose coarsest scale is smaller than the 3x3 window of the structural similarity.
    """
    assert prediction.disparities_right, "view synthesis needs the disparity of both views"
    num_scales, width = len(prediction.disparities), pair.size[1]
    least = 3 * 2 ** (num_scales - 1)
    if min(pair.size) < least:
        raise UserError(f"images of {pair.size} are too small for {num_scales} scales: take at least {least} px a side")
    lefts, rights = (image_pyramid(view.image, num_scales) for view in (pair.left, pair.right))
    filled = [seen_pyramid(view.seen, num_scales) for view in (pair.left, pair.right)]
    sums: dict[str, list[Tensor]] = {"photometric": [], "consistency": [], "smoothness": []}
    for m, pixels in enumerate(zip(prediction.disparities, prediction.disparities_right, strict=True)):
        left, right = lefts[m], rights[m]
        d_left, d_right = (d / width for d in pixels)
        cells = left.shape[-1]  # a share of the width, in pixels of this scale
        left_again, _ = warp_to_left(right, d_left * cells)
        right_again, _ = warp_to_right(left, d_right * cells)
        seen_left, seen_right = (None if masks is None else masks[m] for masks in filled)
        in_left = comparable(seen_left, seen_right, warp_to_left, d_left * cells)
        in_right = comparable(seen_right, seen_left, warp_to_right, d_right * cells)
        photo_left = photometric(left, left_again, config.ssim_share) * in_left
        photo = photo_left + photometric(right, right_again, config.ssim_share) * in_right
        d_left_again, _ = warp_to_left(d_right, d_left * cells)
        d_right_again, _ = warp_to_right(d_left, d_right * cells)
        sums["photometric"].append(config.photometric_weight * photo.mean())
        disagreement = (d_left - d_left_again).abs() + (d_right - d_right_again).abs()
        sums["consistency"].append(config.consistency_weight * disagreement.mean())
        order = config.smoothness_order
        roughness = smoothness(d_left, left, order) + smoothness(d_right, right, order)
        sums["smoothness"].append(config.smoothness_weight * 2.0**-m * roughness)
    return Loss(terms={name: torch.stack(values).sum() for name, values in sums.items()})


def smoothness(disparity: Tensor, image: Tensor, order: int = 2) -> Tensor:
    """`mean |d_xx| exp(-|I_xx|) + mean |d_yy| exp(-|I_yy|)`, or the same of first derivatives (`order` 1).

    Order 2: slanted planes are free, bends are cheap where the image bends; 1: steps are cheap at its edges.  The
    image's derivative is taken in absolute value and averaged over the channels.
    """
    gradients = (gradient_x, gradient_y) if order == 1 else (second_gradient_x, second_gradient_y)
    terms: list[Tensor] = []
    for gradient in gradients:
        edges = gradient(image).abs().mean(dim=1, keepdim=True)
        terms.append((gradient(disparity).abs() * torch.exp(-edges)).mean())
    return torch.stack(terms).sum()
