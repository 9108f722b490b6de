"""Horizontal warping between the views of a rectified pair, and visibility by left-right consistency."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def warp_to_left(
    right: Float[Tensor, "*B C H W"], disparity_left: Float[Tensor, "*B 1 H W"]
) -> tuple[Float[Tensor, "*B C H W"], Bool[Tensor, "*B 1 H W"]]:
    """Sample a right-view map at `x - disparity_left(x)`: what the left camera should see.

    Returns the warped map (linear interpolation, border values repeated) and the mask of pixels whose
    sample lies inside the right image.  Differentiable in both arguments.
    """
    return _sample_row(right, _columns(disparity_left) - disparity_left.float())


def warp_to_right(
    left: Float[Tensor, "*B C H W"], disparity_right: Float[Tensor, "*B 1 H W"]
) -> tuple[Float[Tensor, "*B C H W"], Bool[Tensor, "*B 1 H W"]]:
    """Sample a left-view map at `x + disparity_right(x)`: what the right camera should see."""
    return _sample_row(left, _columns(disparity_right) + disparity_right.float())


def visible_in_right(
    disparity_left: Float[Tensor, "*B 1 H W"],
    disparity_right: Float[Tensor, "*B 1 H W"],
    tolerance_px: float = 1.0,
) -> Bool[Tensor, "*B 1 H W"]:
    """Left pixels that the right camera sees too (Guo et al. 2018, eq. 1).

    True where the right map, warped by the left one, agrees with it within `tolerance_px`.  A match that
    falls outside the right image is not visible.  Meaningful only where both disparities are known.
    """
    warped, inside = warp_to_left(disparity_right, disparity_left)
    return inside & ((warped - disparity_left).abs() <= tolerance_px)


def visible_in_left(
    disparity_right: Float[Tensor, "*B 1 H W"],
    disparity_left: Float[Tensor, "*B 1 H W"],
    tolerance_px: float = 1.0,
) -> Bool[Tensor, "*B 1 H W"]:
    """Right pixels that the left camera sees too: the mirror image of `visible_in_right`."""
    warped, inside = warp_to_right(disparity_left, disparity_right)
    return inside & ((warped - disparity_right).abs() <= tolerance_px)


def _columns(disparity: Tensor) -> Tensor:
    return torch.arange(disparity.shape[-1], device=disparity.device, dtype=torch.float32)


def _sample_row(source: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Linear interpolation of `source` at columns `x` of the same row; grid_sample would do this 2-D and slower.

    All channels of a pixel move together: picking whole pixels is ten times faster than gathering per channel.
    """
    channels, height, width = source.shape[-3:]
    inside = (x >= 0) & (x <= width - 1)
    x = torch.nan_to_num(x).clamp(0, width - 1).flatten(0, -2)
    lower = x.detach().floor().clamp(max=max(width - 2, 0))
    weight = (x - lower).to(source.dtype).reshape(-1, 1)
    first = torch.arange(x.shape[0], device=x.device).unsqueeze(1) * width
    index = (lower.long() + first).flatten()
    pixels = source.movedim(-3, -1).reshape(-1, channels)
    left = pixels.index_select(0, index)
    right = pixels.index_select(0, index + int(width > 1))
    sampled = torch.lerp(left, right, weight.expand_as(left))
    return sampled.reshape(*source.shape[:-3], height, width, channels).movedim(-1, -3), inside
