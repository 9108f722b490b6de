"""Two answers for one image, one of them from its mirror image, made into one map (Ye et al. 2021, Godard et al. 2017).

A network that learned from pairs is poor where the right camera sees nothing: at the left border of the image and
beside the left edges of near things.  Shown the mirror image, it is poor at the other side.  So each answer is taken
where the other one is poor.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from stereodistill.ops.image import gradient_x

MONO_BORDER, STEREO_BORDER = 0.01, 0.05
"""Share of the width at each side that one answer fills alone; it fades out over as much again."""
SMOOTHING = 0.02
"""Width of the window over which slopes are averaged, as a share of the image width."""
GAIN = 4.0
"""Of the sigmoid; a slope of 1 px per px, the steepest that a surface seen by both cameras can have, counts 98 %."""


def fuse_by_edges(plain: Float[Tensor, "B 1 H W"], turned: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
    """The mirrored answer `turned` (back) at left edges and at the left border, `plain` at the right ones.

    The weight is a sigmoid of the smoothed horizontal slope of their mean, so half and half on flat ground.
    Disparities in pixels of the map's own width.
    """
    reach = max(round(plain.shape[-1] * SMOOTHING / 2), 1)
    slope = F.pad(gradient_x((plain + turned) / 2), (0, 1, 0, 0))
    slope = F.avg_pool2d(slope, 2 * reach + 1, 1, reach, count_include_pad=False)
    return _with_borders(plain, turned, torch.sigmoid(GAIN * slope), MONO_BORDER)


def fuse_by_borders(plain: Float[Tensor, "B 1 H W"], turned: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
    """The mean of both answers, with `turned` alone at the left border and `plain` alone at the right one."""
    return _with_borders(plain, turned, torch.full_like(plain, 0.5), STEREO_BORDER)


def fuse_by_left_border(plain: Float[Tensor, "B 1 H W"], turned: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
    """`plain`, with `turned` alone at the left border, of which the right camera sees nothing."""
    return _with_borders(plain, turned, torch.zeros_like(plain), STEREO_BORDER)


def fuse_flipped(disparity: np.ndarray, of_mirrored: np.ndarray) -> np.ndarray:
    """`fuse_by_borders` of finished maps (H, W) in the same unit, 0 = unknown (Godard et al. 2017, section 3.3).

    `of_mirrored` is the answer to the mirror image, not turned back.  Where one answer is unknown, the other stands
    alone.  Returns (H, W) float32.
    """
    assert disparity.shape == of_mirrored.shape, f"{disparity.shape} and {of_mirrored.shape}"
    plain, turned = (torch.from_numpy(np.float64(m))[None, None] for m in (disparity, of_mirrored[:, ::-1]))
    fused = fuse_by_borders(plain, turned)
    fused = torch.where(plain > 0, torch.where(turned > 0, fused, plain), turned)
    return fused[0, 0].float().numpy()


def _with_borders(plain: Tensor, turned: Tensor, share: Tensor, border: float) -> Tensor:
    """Mix with the `share` of `turned`, which goes to 1 at the left border and to 0 at the right one."""
    dtype = torch.promote_types(plain.dtype, torch.float32)
    place = torch.linspace(0, 1, plain.shape[-1], dtype=dtype, device=plain.device)
    left = 1 - ((place - border) / border).clamp(0, 1)
    right = left.flip(-1)
    share = share * (1 - left - right) + left
    return share * turned + (1 - share) * plain
