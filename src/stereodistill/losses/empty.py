"""Where a comparison of two views touches what rectification left empty."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from stereodistill.ops.resize import mask_pyramid

Warp = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

_WHOLLY = 0.999


def seen_pyramid(seen: Tensor, num_scales: int) -> list[Tensor] | None:
    """Float (B, 1, h, w) at each scale, 1 where every pixel below was seen, else 0; None where everything was."""
    if bool(seen.all()):
        return None
    return [(share > _WHOLLY).float() for share in mask_pyramid(seen, num_scales)]


def comparable(own: Tensor | None, other: Tensor | None, warp: Warp, disparity: Tensor) -> Tensor | float:
    """1 where neither the 3x3 window of a view nor what is warped into it is empty, (B, 1, H-2, W-2); 1.0 = everywhere.

    Args:
        own, other: one scale of `seen_pyramid` of this view and of the one that is warped to it.
        warp: `warp_to_left` or `warp_to_right`, by `disparity` in pixels of this scale.
    """
    masks = [] if own is None else [own]
    if other is not None:
        masks.append((warp(other, disparity.detach())[0] > _WHOLLY).float())
    if not masks:
        return 1.0
    return -F.max_pool2d(-torch.stack(masks).prod(dim=0), 3, 1)
