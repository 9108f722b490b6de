"""Whether pictures and calibration belong together, from the rows of a few pairs before and after rectification."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stereodistill.cameras.matches import MIN_MATCHES, WORKING_WIDTH, Matches, match_views
from stereodistill.cameras.rectification import Rectification
from stereodistill.cameras.sources.footage import Pictures
from stereodistill.errors import UserError

PROBED = 5
"""So many pairs are looked at before the first one is written."""

_NEGATIVE_PX = -1.0
_MANY_NEGATIVE = 0.9
_NOT_THIS_RIG_PX = 8.0
STALE_PX = 1.0
"""Rows that are off by more than this call for `--refine`."""


@dataclass(frozen=True)
class RowCheck:
    """Median `|y_right - y_left|` of matched points in `num_pairs` pairs, in pixels of the rectified width."""

    before_px: float
    after_px: float
    num_pairs: int

    @property
    def is_measured(self) -> bool:
        """Whether any pair showed enough to measure."""
        return self.num_pairs > 0


def check_rows(pairs: list[Pictures], rectification: Rectification, title: str) -> RowCheck:
    """Measure the rows of some raw pairs and of what they become.

    Raises:
        UserError: the rows are far off after rectification, or the views are exchanged.
    """
    before, after, usable = [], [], []
    for left, right in pairs:
        found = _rectified(left, right, rectification)
        if len(found) >= MIN_MATCHES:
            after.append(found)
            before.append(match_views(left, right))
            usable.append((left, right))
    if not after:
        return RowCheck(0.0, 0.0, 0)
    rows = RowCheck(_median_rows(before), _median_rows(after), len(after))
    unit_px = max(1.0, rectification.size[1] / WORKING_WIDTH)
    if rows.after_px > STALE_PX * unit_px:
        exchanged = _median_rows([_rectified(right, left, rectification) for left, right in usable])
        if exchanged < STALE_PX * unit_px:
            raise UserError(
                f"{title}: left and right are exchanged: rows are off by {rows.after_px:.1f} px after rectification, "
                f"and by {exchanged:.1f} px with the views the other way round; exchange the two cameras of the source"
            )
    disparity = np.concatenate([found.disparity_px for found in after])
    if float((disparity < _NEGATIVE_PX * unit_px).mean()) > _MANY_NEGATIVE:
        raise UserError(
            f"{title}: the pictures are mirrored, or left and right are exchanged: after rectification "
            f"{float((disparity < 0).mean()):.0%} of the matches have a negative disparity; exchange the two cameras "
            "of the source, or those of the calibration"
        )
    if rows.after_px > _NOT_THIS_RIG_PX * unit_px:
        raise UserError(
            f"{title}: the calibration does not belong to these pictures: rows are off by {rows.before_px:.1f} px "
            f"before and {rows.after_px:.1f} px after rectification (exchanged or turned cameras, another rig, another "
            "picture size?)"
        )
    return rows


def _rectified(left: np.ndarray, right: np.ndarray, rectification: Rectification) -> Matches:
    """Matches of a rectified pair that do not lie on what is empty."""
    first, second, valid_left, valid_right = rectification.apply(left, right)
    found = match_views(first, second)
    return found.select(_inside(found.left, valid_left) & _inside(found.right, valid_right))


def _median_rows(found: list[Matches]) -> float:
    rows = [np.abs(matches.rows_px) for matches in found if len(matches)]
    return round(float(np.median(np.concatenate(rows))), 3) if rows else 0.0


def _inside(points: np.ndarray, valid: np.ndarray) -> np.ndarray:
    x, y = np.rint(points).astype(int).T
    return valid[y.clip(0, valid.shape[0] - 1), x.clip(0, valid.shape[1] - 1)]
