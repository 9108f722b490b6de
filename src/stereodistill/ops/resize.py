"""The only place where the size of an image, mask or disparity map changes (and disparity values with it)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def size_of_shape(height: float | int, width: float | int, num_pixels: int, multiple: int = 32) -> tuple[int, int]:
    """(height, width) in multiples, at least two of them, with about `num_pixels` in the shape of `height` x `width`.

    Never wider than the picture itself, rounded up to a multiple.
    """
    new_width = min(math.sqrt(num_pixels * width / height), math.ceil(width / multiple) * multiple)
    sides = (new_width * height / width, new_width)
    rows, columns = (max(2 * multiple, round(side / multiple) * multiple) for side in sides)
    return rows, columns


def resize_image(image: Float[Tensor, "*B C H W"], size: tuple[int, int]) -> Float[Tensor, "*B C h w"]:
    """Bilinear resize to (height, width); anti-aliased where the image shrinks."""
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    shrinks = size[0] < image.shape[-2] or size[1] < image.shape[-1]
    return _interpolate(image, size, mode="bilinear", antialias=shrinks, align_corners=False)


def resize_disparity(
    disparity: Float[Tensor, "*B 1 H W"],
    size: tuple[int, int],
    mode: Literal["bilinear", "nearest", "crisp"] = "bilinear",
) -> Float[Tensor, "*B 1 h w"]:
    """Resize a disparity map and scale its values by the width ratio.

    `bilinear`: zeros (unknown) never blend into known values: a result pixel is the weighted mean of its
    known sources, and unknown when less than half of its weight is known.  `nearest` copies.  `crisp`, for
    ground truth, is bilinear within a surface (no stairs on slopes) and nearest across edges and holes (no
    values between two surfaces, sparse points survive).
    """
    if tuple(disparity.shape[-2:]) == tuple(size):
        return disparity
    scale = size[1] / disparity.shape[-1]
    if mode != "bilinear":
        copied = _interpolate(disparity, size, mode="nearest-exact")
        if mode == "nearest":
            return copied * scale
        surface = _interpolate(_is_surface(disparity).float(), size, mode="nearest-exact") > 0.5
        blended = _interpolate(disparity, size, mode="bilinear", align_corners=False)
        return torch.where(surface, blended, copied) * scale
    known = (disparity > 0).to(disparity.dtype)
    weight = _interpolate(known, size, mode="bilinear", align_corners=False)
    value = _interpolate(disparity * known, size, mode="bilinear", align_corners=False)
    return torch.where(weight >= 0.5, value / weight.clamp(min=0.5), 0.0) * scale


def resize_sparse_disparity(disparity: Float[Tensor, "*B 1 H W"], size: tuple[int, int]) -> Float[Tensor, "*B 1 h w"]:
    """Move every known pixel to the pixel of the new grid that it falls into, its value scaled by the width ratio.

    For points such as LiDAR's, of which a resampled map would keep the few that happen to lie on its grid.  Where
    several fall together the nearest surface stays, the largest disparity; where none falls nothing is known (0).
    """
    (height, width), (new_height, new_width) = disparity.shape[-2:], size
    rows = _targets(height, new_height, disparity.device)[:, None] * new_width
    cells = (rows + _targets(width, new_width, disparity.device)).reshape(1, -1)
    flat = disparity.reshape(-1, height * width)
    moved = flat.new_zeros(flat.shape[0], new_height * new_width)
    moved.scatter_reduce_(1, cells.expand_as(flat), flat.clamp(min=0), "amax")
    return moved.reshape(*disparity.shape[:-2], new_height, new_width) * (new_width / width)


def _targets(length: int, new_length: int, device: torch.device) -> Tensor:
    """The place on a line of `new_length` pixels into which each centre of `length` pixels falls."""
    return (2 * torch.arange(length, device=device) + 1) * new_length // (2 * length)


def resize_truth(
    disparity: Float[Tensor, "*B 1 H W"], valid: Bool[Tensor, "*B 1 H W"], size: tuple[int, int]
) -> tuple[Float[Tensor, "*B 1 h w"], Bool[Tensor, "*B 1 h w"]]:
    """What is known of a view, and where, at another size: points are moved, surfaces resampled (`crisp`)."""
    if tuple(disparity.shape[-2:]) == tuple(size):
        return disparity, valid
    if is_sparse(disparity * valid):
        disparity = resize_sparse_disparity(disparity * valid, size)
        return disparity, disparity > 0
    resized = resize_disparity(disparity, size, mode="crisp")
    if torch.equal(valid, disparity > 0):  # then the mask says nothing that the values do not
        return resized, resized > 0
    return resized, resize_mask(valid, size) & (resized > 0)


def is_sparse(disparity: Float[Tensor, "*B 1 H W"]) -> bool:
    """Whether what is known are points: most pixels around a known one are unknown.

    Counted on all maps together.  LiDAR of one scan knows 5 % of a picture, the accumulated scans of KITTI 2015 a
    fifth; a dense map with holes has whole surfaces between them.
    """
    known = (disparity > 0).float()
    if known.mean() > 0.5:
        return False
    around = F.avg_pool2d(known.reshape(-1, 1, *disparity.shape[-2:]), 3, 1, 1)
    return bool((around.reshape_as(known) * known).sum() < 0.5 * known.sum())


def _is_surface(disparity: Tensor, step_px: float = 1.0) -> Tensor:
    """Pixels whose 3x3 neighbourhood is known and differs by at most `step_px`."""
    high, low = _over_3x3(disparity, torch.maximum), _over_3x3(disparity, torch.minimum)
    return (low > 0) & (high - low <= step_px)


def _over_3x3(values: Tensor, pick: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The largest or smallest value of each 3x3 neighbourhood; pooling layers take eight times as long on a CPU."""
    for axis in (-1, -2):
        length = values.shape[axis] - 1
        first, last = values.narrow(axis, 0, length), values.narrow(axis, 1, length)
        picked = values.clone()
        before, after = picked.narrow(axis, 1, length), picked.narrow(axis, 0, length)
        before.copy_(pick(before, first))
        after.copy_(pick(after, last))
        values = picked
    return values


def resize_mask(mask: Bool[Tensor, "*B 1 H W"], size: tuple[int, int]) -> Bool[Tensor, "*B 1 h w"]:
    """Nearest-neighbour resize of a mask."""
    if tuple(mask.shape[-2:]) == tuple(size):
        return mask
    return _interpolate(mask.float(), size, mode="nearest-exact") > 0.5


def disparity_pyramid(disparity: Float[Tensor, "*B 1 H W"], num_scales: int) -> list[Tensor]:
    """Targets for each scale by 2x2 max-pooling, finest first (Guo et al. 2018, step 1).

    Values stay in pixels of the finest map's width, as the networks' coarse heads predict them, and sparse
    ground truth survives (0 = unknown).  Odd sizes keep their last row and column.
    """
    levels = [disparity]
    for _ in range(num_scales - 1):
        levels.append(_pool(levels[-1], F.max_pool2d))
    return levels


def mask_pyramid(mask: Bool[Tensor, "*B 1 H W"] | Float[Tensor, "*B 1 H W"], num_scales: int) -> list[Tensor]:
    """Share of True pixels at each scale by 2x2 average pooling, finest first, as floats in [0, 1]."""
    levels = [mask.float()]
    for _ in range(num_scales - 1):
        levels.append(_pool(levels[-1], F.avg_pool2d))
    return levels


def _pool(tensor: Tensor, function) -> Tensor:
    flat = tensor.reshape(-1, 1, *tensor.shape[-2:])
    options = {"count_include_pad": False} if function is F.avg_pool2d else {}
    pooled = function(flat, 2, 2, ceil_mode=True, **options)
    return pooled.reshape(*tensor.shape[:-2], *pooled.shape[-2:])


def _interpolate(tensor: Tensor, size: tuple[int, int], **options) -> Tensor:
    flat = tensor.reshape(-1, *tensor.shape[-3:])
    resized = F.interpolate(flat, size=tuple(size), **options)
    return resized.reshape(*tensor.shape[:-2], *size)
