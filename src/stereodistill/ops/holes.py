"""Filling the holes of a disparity map from the background: what a camera does not see lies behind what hides it."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def fill_holes(disparity: Float[Tensor, "*B H W"], known: Bool[Tensor, "*B H W"]) -> Float[Tensor, "*B H W"]:
    """Fill all holes the way the KITTI stereo benchmark completes a sparse submission.

    Rows first (`fill_rows`); rows without any known pixel are then filled along the columns by the same rule.
    A map without a single known pixel comes back as zeros.
    """
    rows = fill_rows(disparity, known)
    return fill_rows(rows.mT, rows.mT > 0).mT


def fill_rows(disparity: Float[Tensor, "*B H W"], known: Bool[Tensor, "*B H W"]) -> Float[Tensor, "*B H W"]:
    """Holes take the smaller disparity of their two known neighbours in the row, at borders the only one.

    Rows without a known pixel are 0; known pixels, which are above 0, stay as they are.
    """
    before = _last_known(disparity, known)
    after = _last_known(disparity.flip(-1), known.flip(-1)).flip(-1)
    farther = torch.where((before > 0) & (after > 0), torch.minimum(before, after), torch.maximum(before, after))
    return torch.where(known, disparity, farther)


def _last_known(disparity: Tensor, known: Tensor) -> Tensor:
    """At each pixel, the disparity of the nearest known one to its left, itself included; 0 where there is none."""
    columns = torch.arange(disparity.shape[-1], device=disparity.device).expand_as(disparity)
    last = torch.where(known, columns, -1).cummax(dim=-1).values
    return torch.where(last >= 0, disparity.gather(-1, last.clamp(min=0)), 0.0)
