"""Stereo geometry: disparity <-> metric depth, and transforms of a pair together with its rig."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from stereodistill.errors import UserError
from stereodistill.ops.resize import resize_image, resize_mask, resize_truth
from stereodistill.types import Rig, StereoPair, View


def disparity_to_depth(
    disparity: Float[Tensor, "*B 1 H W"], rig: Rig
) -> tuple[Float[Tensor, "*B 1 H W"], Bool[Tensor, "*B 1 H W"]]:
    """Metric depth `focal * baseline / (disparity + doffs)` and where it is defined.

    The rig is scaled to the map's width.  Disparity that is zero (unknown), negative or not finite, and a
    sum with `doffs` that is not positive, give NaN and False, never a finite depth.
    """
    _require_metric(rig)
    rig = rig.at_width(disparity.shape[-1])
    shifted = disparity + _field(rig.doffs_px, disparity)
    valid = (disparity > 0) & (shifted > 0) & torch.isfinite(disparity)
    scale = _field(rig.focal_px, disparity) * _field(rig.baseline_m, disparity)
    depth_m = (scale / torch.where(valid, shifted, 1).float()).to(disparity.dtype)
    valid = valid & torch.isfinite(depth_m)
    return torch.where(valid, depth_m, torch.nan), valid


def depth_to_disparity(
    depth_m: Float[Tensor, "*B 1 H W"], rig: Rig
) -> tuple[Float[Tensor, "*B 1 H W"], Bool[Tensor, "*B 1 H W"]]:
    """The inverse of `disparity_to_depth`: 0 and False where the depth is not positive and finite."""
    _require_metric(rig)
    rig = rig.at_width(depth_m.shape[-1])
    known = (depth_m > 0) & torch.isfinite(depth_m)
    scale = _field(rig.focal_px, depth_m) * _field(rig.baseline_m, depth_m)
    disparity = scale / torch.where(known, depth_m, 1.0) - _field(rig.doffs_px, depth_m)
    valid = known & (disparity > 0)
    return torch.where(valid, disparity, 0.0), valid


def resize_pair(pair: StereoPair, size: tuple[int, int]) -> StereoPair:
    """Resize both views to (height, width); disparity values and the rig follow the width."""

    def resize(view: View) -> View:
        disparity, valid = resize_truth(view.disparity, view.valid, size)
        return View(
            image=resize_image(view.image, size), disparity=disparity, valid=valid, seen=resize_mask(view.seen, size)
        )

    return replace(pair, left=resize(pair.left), right=resize(pair.right), rig=pair.rig.at_width(size[1]))


def crop_pair(pair: StereoPair, top: int, left: int, height: int, width: int) -> StereoPair:
    """Cut the same window out of both views; disparity and focal length do not change."""
    rows, columns = slice(top, top + height), slice(left, left + width)
    assert top >= 0 and left >= 0 and top + height <= pair.size[0] and left + width <= pair.size[1]

    def crop(view: View) -> View:
        return view.map(lambda t: t[..., rows, columns])

    rig = replace(pair.rig, width=_like(pair.rig.width, width))
    return replace(pair, left=crop(pair.left), right=crop(pair.right), rig=rig)


def swap_pair(pair: StereoPair) -> StereoPair:
    """Mirror both images and exchange the views: again a valid pair.  Doing it twice is the identity."""

    def mirror(view: View) -> View:
        return view.map(lambda t: t.flip(-1))

    return replace(pair, left=mirror(pair.right), right=mirror(pair.left))


def flip_pair_vertical(pair: StereoPair) -> StereoPair:
    """Turn both views upside down; disparity stays."""

    def flip(view: View) -> View:
        return view.map(lambda t: t.flip(-2))

    return replace(pair, left=flip(pair.left), right=flip(pair.right))


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Repeat the right and bottom border of a (B, C, H, W) map until its size is a multiple."""
    height, width = image.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    return F.pad(image, (0, right, 0, bottom), mode="replicate")


def unpad(maps: Tensor, size: torch.Size | Sequence[int], stride: int = 1) -> Tensor:
    """The part of maps of a padded image, at 1/`stride` of it, that belongs to the image of `size` (height, width)."""
    return maps[..., : -(-size[0] // stride), : -(-size[1] // stride)]


def _require_metric(rig: Rig) -> None:
    if not rig.is_metric:
        raise UserError(
            "metres need the rig: give the focal length in pixels and the baseline in metres "
            "(rig.json, or --focal-px and --baseline-m); without them only disparity is known"
        )


def _field(value: float | Tensor, like: Tensor) -> Tensor:
    """A rig field as a tensor that broadcasts against a (*B, 1, H, W) map."""
    value = torch.as_tensor(value, dtype=torch.float32, device=like.device)
    return value.reshape(*value.shape, 1, 1, 1)


def _like(old: int | Tensor, value: int) -> int | Tensor:
    return torch.full_like(old, value) if isinstance(old, Tensor) else value
