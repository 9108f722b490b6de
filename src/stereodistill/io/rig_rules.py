"""From the numbers of a calibration to a `Rig`, whatever file they came from: one place for signs and checks."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from stereodistill.errors import UserError
from stereodistill.io.files import shown
from stereodistill.types import Rig

LARGEST_BASELINE_M = 10.0
"""A longer baseline in a file that does not state its unit was most likely measured in millimetres."""

_LARGEST_ROW_OFFSET_PX = 1.0


def checked_rig(
    source: str | Path, *, focal_px: float, baseline_m: float, width: int | None, doffs_px: float = 0.0
) -> Rig:
    """A `Rig` after the checks that hold for every file; `UserError` names `source` and the number at fault.

    A negative baseline is a convention of direction (OpenCV's T points from the second camera to the first);
    the length is kept.
    """
    if not (math.isfinite(focal_px) and focal_px > 0):
        raise UserError(f"{shown(source)}: the focal length is {focal_px} px; a positive number is expected")
    if not math.isfinite(baseline_m) or baseline_m == 0:
        raise UserError(
            f"{shown(source)}: the baseline is {baseline_m} m; the distance of two cameras is expected "
            "(0 means that both entries describe the same camera)"
        )
    if width is None:
        raise UserError(f"{shown(source)} does not state the image width its focal length holds for: give the width")
    if not 1 <= width <= 1_000_000:
        raise UserError(f"{shown(source)}: the image width is {width}; a number of pixels is expected")
    if not (math.isfinite(doffs_px) and abs(doffs_px) < width):
        raise UserError(f"{shown(source)}: the principal-point offset is {doffs_px} px at a width of {width} px")
    return Rig(focal_px=float(focal_px), baseline_m=abs(float(baseline_m)), width=width, doffs_px=float(doffs_px))


def rig_from_projections(
    source: str | Path, left: np.ndarray, right: np.ndarray, *, width: int | None, unit_stated: bool = True
) -> Rig:
    """The rig of two rectified 3 x 4 projection matrices: `x = P[0] X / P[2] X`, `P[0, 3] = -focal * position`.

    `baseline = (P_left[0, 3] - P_right[0, 3]) / focal`, `doffs = cx_right - cx_left`.  When the second camera
    turns out to be the left one, both change sign (the matrices were listed in the other order).
    """
    focal_px = left[0, 0]
    shift_px_m, row_shift_px_m = left[:2, 3] - right[:2, 3]
    doffs_px = right[0, 2] - left[0, 2]
    if not (np.isfinite(left).all() and np.isfinite(right).all() and focal_px > 0):
        raise UserError(f"{shown(source)}: the projection matrices hold no positive, finite focal length")
    if abs(row_shift_px_m) > abs(shift_px_m):
        raise UserError(
            f"{shown(source)}: the cameras sit above each other; turn pictures and calibration by 90 degrees"
        )
    rows_differ = abs(right[1, 2] - left[1, 2]) > _LARGEST_ROW_OFFSET_PX
    if rows_differ or abs(right[0, 0] - focal_px) > 1e-3 * focal_px:
        raise UserError(
            f"{shown(source)}: the projections of a rectified pair share focal length and row, "
            f"found {focal_px:.6g} and {right[0, 0]:.6g} px, rows {left[1, 2]:.6g} and {right[1, 2]:.6g}"
        )
    if shift_px_m < 0:
        shift_px_m, doffs_px = -shift_px_m, -doffs_px
    baseline_m = shift_px_m / focal_px
    if not unit_stated:
        refuse_millimetres(source, baseline_m)
    return checked_rig(source, focal_px=focal_px, baseline_m=baseline_m, width=width, doffs_px=doffs_px)


def refuse_millimetres(source: str | Path, baseline: float) -> None:
    """`UserError` when a baseline without a unit cannot be in metres."""
    if abs(baseline) > LARGEST_BASELINE_M:
        raise UserError(
            f"{shown(source)}: a baseline of {abs(baseline):.6g} cannot be metres (the board was measured in "
            f'millimetres?); write a rig.json with "baseline_m": {abs(baseline) / 1000:.6g} if so'
        )


def refuse_raw(source: str | Path) -> None:
    """`UserError` for the calibration of cameras as they are, before rectification."""
    raise UserError(
        f"{shown(source)} calibrates raw, unrectified cameras: rectify the pair first (for example with OpenCV's "
        "stereoRectify) and give the calibration of the result (P1 and P2, or a rig.json)"
    )
