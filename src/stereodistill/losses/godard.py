"""Godard et al. 2017's loss for a stereo network: the baseline that Guo et al. 2018 beat, StereoUnsupFt([11]).

Every pixel of either view must be explained by the other view, whether it is visible there or not.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from stereodistill.config import Config
from stereodistill.losses.unsupervised import photometric
from stereodistill.ops.image import gradient_x, gradient_y, image_pyramid
from stereodistill.ops.warp import warp_to_left, warp_to_right
from stereodistill.types import Loss, Prediction, StereoPair


class GodardLoss(Config):
    """Weights of the three terms; disparities count in shares of the image width."""

    photometric_weight: float = Field(default=1.0, ge=0)
    ssim_share: float = Field(default=0.85, ge=0, le=1)
    smoothness_weight: float = Field(default=0.1, ge=0)
    """Of the finest scale; halved with each coarser one."""
    consistency_weight: float = Field(default=1.0, ge=0)


def godard(left: Prediction, right: Prediction, pair: StereoPair, config: GodardLoss) -> Loss:
    """`sum_m C_photo + 0.1 / 2^m C_smooth + C_lr`, each the sum of both views (Godard et al. 2017, eq. 1 to 5).

    `left` and `right` hold the disparity of the two views, in pixels of the input width at every scale.
    """
    width, num_scales = pair.size[1], len(left.disparities)
    lefts, rights = (image_pyramid(view.image, num_scales) for view in (pair.left, pair.right))
    sums: dict[str, list[Tensor]] = {"photometric": [], "smoothness": [], "consistency": []}
    for m, pixels in enumerate(zip(left.disparities, right.disparities, strict=True)):
        d_left, d_right = (d / 2**m for d in pixels)  # now in pixels of this scale
        left_again, _ = warp_to_left(rights[m], d_left)
        right_again, _ = warp_to_right(lefts[m], d_right)
        photo = photometric(lefts[m], left_again, config.ssim_share).mean()
        photo = photo + photometric(rights[m], right_again, config.ssim_share).mean()
        smooth = smoothness(pixels[0] / width, lefts[m]) + smoothness(pixels[1] / width, rights[m])
        d_left_again, _ = warp_to_left(pixels[1], d_left)
        d_right_again, _ = warp_to_right(pixels[0], d_right)
        disagreement = (pixels[0] - d_left_again).abs().mean() + (pixels[1] - d_right_again).abs().mean()
        sums["photometric"].append(config.photometric_weight * photo)
        sums["smoothness"].append(config.smoothness_weight * 2.0**-m * smooth)
        sums["consistency"].append(config.consistency_weight * disagreement / width)
    return Loss(terms={name: torch.stack(values).sum() for name, values in sums.items()})


def smoothness(disparity: Tensor, image: Tensor) -> Tensor:
    """`mean |d_x| exp(-|I_x|) + mean |d_y| exp(-|I_y|)`: steps are cheap where the image has edges.

    `|I_x|` is averaged over the channels.
    """
    steps = [
        (gradient(disparity).abs() * torch.exp(-gradient(image).abs().mean(dim=1, keepdim=True))).mean()
        for gradient in (gradient_x, gradient_y)
    ]
    return torch.stack(steps).sum()
