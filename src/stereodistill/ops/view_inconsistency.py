"""Which pixels look different to the two cameras: mirror images, see-through panes, gloss."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from stereodistill.ops.image import local_contrast
from stereodistill.ops.warp import warp_to_left

DIFFERENCE = 0.4
"""In units of the local spread; with rows one pixel off less than a tenth more is found."""
BLUR_PX, WINDOW_PX = 5, 9
"""Sides of the squares over which contrast is averaged before, and differences after, the comparison."""


def view_inconsistency(
    left: Float[Tensor, "B C H W"],
    right: Float[Tensor, "B C H W"],
    disparity: Float[Tensor, "B 1 H W"],
    visible: Bool[Tensor, "B 1 H W"],
) -> Bool[Tensor, "B 1 H W"]:
    """Left pixels that both cameras see, but not alike, by the true disparity (px) and visibility.

    Exposure, gain and colour do not count: local contrasts are compared (`local_contrast`).
    """
    there = warp_to_left(_blurred(local_contrast(right)), disparity)[0]
    difference = (_blurred(local_contrast(left)) - there).abs() * visible
    share = F.avg_pool2d(visible.to(difference), WINDOW_PX, 1, WINDOW_PX // 2)
    mean = F.avg_pool2d(difference, WINDOW_PX, 1, WINDOW_PX // 2)
    return visible & (mean > DIFFERENCE * share)


def _blurred(contrast: Tensor) -> Tensor:
    return F.avg_pool2d(contrast, BLUR_PX, 1, BLUR_PX // 2, count_include_pad=False)
