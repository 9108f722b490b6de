"""Filling the holes of a sparse prediction, so that every method is scored on the same pixels."""

from __future__ import annotations

import numpy as np


def fill_holes(disparity_px: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Fill where `valid` is False the way the KITTI stereo benchmark completes a sparse submission.

    In a row, a hole takes the smaller disparity (the background) of its two valid neighbours, at the border the
    only neighbour; rows without any valid pixel are then filled along the columns by the same rule.
    A map without a single valid pixel comes back as zeros.

    Args:
        disparity_px: (H, W); valid: (H, W) bool.

    Returns:
        (H, W), unchanged where `valid`.
    """
    if valid.all():
        return disparity_px.copy()
    known = np.where(valid, disparity_px, np.nan)
    known = _fill_rows(known)
    known = _fill_rows(known.T).T
    return np.nan_to_num(known, nan=0.0).astype(disparity_px.dtype)


def _fill_rows(known: np.ndarray) -> np.ndarray:
    before = _carry_forward(known)
    after = _carry_forward(known[:, ::-1])[:, ::-1]
    return np.where(np.isnan(known), np.fmin(before, after), known)


def _carry_forward(known: np.ndarray) -> np.ndarray:
    """Each NaN takes the last number to its left; NaN where there is none."""
    columns = np.where(np.isnan(known), 0, np.arange(known.shape[1]))
    last = np.maximum.accumulate(columns, axis=1)
    return np.take_along_axis(known, last, axis=1)
