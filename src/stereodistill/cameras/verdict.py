"""What a calibration is worth: where the board was seen, what is missing, and why it must not be used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stereodistill.cameras.calibrate import LARGEST_ERROR_PX, Calibrated, largest_error_px, too_far_off

GRID = (6, 8)
"""Rows and columns of cells in which corners are counted."""
FEW_PAIRS, GOOD_PAIRS = 10, "15 to 20"
LARGEST_FOCAL_DEVIATION = 0.02
GOOD_TILT_DEG = 15.0
_QUARTERS = {(0, 0): "upper left", (0, 1): "upper right", (1, 0): "lower left", (1, 1): "lower right"}


@dataclass(frozen=True, eq=False)
class Verdict:
    """`refusals` = why it must not be used; `missing` = what would make it better; `coverage` of left and right:
    (rows, columns) number of board points in each cell of the picture."""

    refusals: tuple[str, ...]
    missing: tuple[str, ...]
    coverage: tuple[np.ndarray, np.ndarray]

    @property
    def covered(self) -> tuple[float, float]:
        """Share of the cells with a point, left and right."""
        left, right = (float((cells > 0).mean()) for cells in self.coverage)
        return left, right


def judge(result: Calibrated) -> Verdict:
    """The bounds above, applied."""
    coverage = (_cells(result, 0), _cells(result, 1))
    return Verdict(tuple(_refusals(result)), tuple(_missing(result, coverage)), coverage)


def _cells(result: Calibrated, camera: int) -> np.ndarray:
    height, width = result.calibration.size
    seen = [points.pixels for view in result.views if (points := view.points[camera]) is not None]
    x, y = np.concatenate(seen).T if seen else (np.zeros(0), np.zeros(0))
    return np.histogram2d(y, x, bins=GRID, range=((0, height), (0, width)))[0].astype(int)


def _refusals(result: Calibrated) -> Iterator[str]:
    width = result.calibration.size[1]
    bound_px = largest_error_px(width)
    too_far = too_far_off(result.rms_px, result.alone_px, width)
    if too_far is not None:
        yield too_far
    if result.focal_deviation > LARGEST_FOCAL_DEVIATION:
        yield (
            f"the focal length is known only to {100 * result.focal_deviation:.1f} %, at most "
            f"{100 * LARGEST_FOCAL_DEVIATION:.0f} % are accepted: add views with the board tilted and near"
        )
    rows_px = float(np.median(result.rows_px))
    if rows_px > bound_px:
        yield f"rows of rectified pairs are {rows_px:.2f} px apart, at most {bound_px:.2g} px are accepted"
    for side, camera in (("left", result.calibration.left), ("right", result.calibration.right)):
        height, width = camera.size
        cx, cy = camera.matrix[:2, 2]
        if not (0.2 < cx / width < 0.8 and 0.2 < cy / height < 0.8):
            yield f"the {side} lens would look past the middle of its picture, at ({cx:.0f}, {cy:.0f}): no such lens"


def _missing(result: Calibrated, coverage: tuple[np.ndarray, np.ndarray]) -> Iterator[str]:
    num_pairs = result.num_pairs
    if num_pairs < FEW_PAIRS:
        yield f"{num_pairs} pairs are few: {GOOD_PAIRS} give a calibration to rely on"
    for side, cells in zip(("left", "right"), coverage, strict=True):
        empty = [name for quarter, name in _QUARTERS.items() if not _quarter(cells, *quarter).any()]
        thin = [name for quarter, name in _QUARTERS.items()
                if name not in empty and (_quarter(cells, *quarter) > 0).mean() < 0.3]  # fmt: skip
        for found, quarters in (("no corner", empty), ("few corners", thin)):
            if quarters:
                yield f"{found} in the {' and the '.join(quarters)} quarter of the {side} picture: hold the board there"
    tilt = float(result.tilts_deg.max())
    if tilt < GOOD_TILT_DEG:
        yield f"the board is tilted by at most {tilt:.0f} degrees: tilt it by 20 to 45 degrees, to all sides"
    held_out = result.held_out_rows_px
    if held_out.size and np.median(held_out) > max(LARGEST_ERROR_PX, 3 * np.median(result.rows_px)):
        yield (
            f"rows of pairs that were left out of the fit are {np.median(held_out):.1f} px apart: it depends on single "
            "views, add more"
        )


def _quarter(cells: np.ndarray, row: int, column: int) -> np.ndarray:
    height, width = cells.shape[0] // 2, cells.shape[1] // 2
    return cells[row * height : (row + 1) * height, column * width : (column + 1) * width]
