"""From measurements of single pairs to a verdict on the rig."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import numpy as np

from stereodistill.data.check.findings import Finding, Severity, finding
from stereodistill.data.check.views import MANY_NEGATIVE, ViewGeometry

# Tolerances in pixels of the working size.  Well-rectified public data (KITTI of four days, Middlebury, an
# endoscope) shows offsets up to 0.55 px, row errors up to 1.4 px and a roll up to 0.11 degrees in single pairs.
_OFFSET_PX = 0.9
_ROW_ERROR_PX = 1.9
_ROLL_DEG, _ROLL_ROW_ERROR_PX = 0.25, 0.7
# Up to 1.3 % of the matches of a good pair are wrong ones with a negative disparity.
_SOME_NEGATIVE = 0.04
_CLEAR_ORDER = 0.15
_STILL_PX = 0.6
_SYSTEMATIC = 0.25
# Beyond these, pictures come raw from the cameras: a bumped rig is off by less, and its rows do not bend.
_RAW_PX, _RAW_BEND_PX = 8.0, 1.0


def judge_geometry(geometry: dict[str, ViewGeometry], source: str = "DATA") -> list[Finding]:
    """Findings from the measured pairs (pair name -> measurement); `source` is what commands call the data."""
    measured = {name: g for name, g in geometry.items() if g.is_measured}
    findings = _judge_matches(geometry, measured)
    same = {name: g for name, g in measured.items() if _is_same_view(g)}
    swapped = _swapped(measured)
    tilted = {name: g for name, g in measured.items() if _is_misaligned(g)}
    # Of images that are not rectified, the principal points say nothing yet.
    aligned = {name: g for name, g in measured.items() if name not in swapped and name not in tilted}
    offset = {name: g for name, g in aligned.items() if _has_negative(g)}
    if same:
        message = f"in {len(same)} of {len(measured)} pairs nothing moves between the views: one camera used twice?"
        remedy = "put the second camera's images into the right view"
        findings.append(finding("same_views", "error", message, remedy, same))
    if swapped:
        median_px = _median(swapped, lambda g: float(np.median(g.disparity_px)))
        message = (
            f"in {len(swapped)} of {len(measured)} pairs left and right are exchanged "
            f"(nearly everything has a negative disparity, median {median_px:.1f} px)"
        )
        remedy = "exchange the two views (or, if the cameras point at each other, undo the shift between their images)"
        findings.append(finding("swapped_views", "error", message, remedy, swapped))
    if offset:
        findings.append(_judge_offset(offset, len(measured)))
    if tilted:
        findings.append(_judge_rows(tilted, len(measured), source))
    return findings


def _judge_matches(geometry: dict[str, ViewGeometry], measured: dict[str, ViewGeometry]) -> list[Finding]:
    poor = tuple(name for name in geometry if name not in measured)
    if not poor:
        return []
    message = f"{len(poor)} of {len(geometry)} pairs have too few matches between the views to judge their geometry"
    remedy = "look at them: too dark, blurred, without texture, or not of the same scene and moment?"
    return [finding("few_matches", "info", message, remedy, poor)]


def _judge_offset(offset: dict[str, ViewGeometry], num_measured: int) -> Finding:
    farthest_px = _median(offset, lambda g: float(np.percentile(g.disparity_px, 2)))
    share = _median(offset, lambda g: g.share_negative)
    message = (
        f"in {len(offset)} of {num_measured} pairs {share:.0%} of the matches have a negative disparity "
        f"(down to {farthest_px:.1f} px): the images are shifted against each other"
    )
    remedy = (
        f"the principal points differ: rectify to a common one, or cut at least {-farthest_px:.0f} columns off the "
        f"right side of the left view and off the left side of the right view"
    )
    return finding("principal_point_offset", _severity(offset, num_measured), message, remedy, offset)


def raw_remedy(source: str) -> str:
    """What makes pairs of raw footage, as commands to type."""
    return (
        f"`stereodistill rectify {shlex.quote(source)} --calibration FILE --out pairs`; without a calibration first "
        "`stereodistill calibrate PICTURES --board 9x6 --square-mm 25 --out FILE`"
    )


def _judge_rows(tilted: dict[str, ViewGeometry], num_measured: int, source: str) -> Finding:
    offset_px = _median(tilted, lambda g: g.vertical_offset_px)
    error_px = _median(tilted, lambda g: g.row_error_px)
    roll_deg = _median(tilted, lambda g: g.rotation_deg)
    is_raw = _median(tilted, lambda g: g.row_error_px / g.unit_px) > _RAW_PX or _median(tilted, _bend) > _RAW_BEND_PX
    message = (
        f"{'raw: not rectified: ' if is_raw else ''}"
        f"in {len(tilted)} of {num_measured} pairs the rows of the views do not agree: right lies {offset_px:+.1f} px "
        f"lower, turned by {roll_deg:+.2f} degrees, off by {error_px:.1f} px towards the edges"
    )
    mend = f"`stereodistill rectify {shlex.quote(source)} --refine --out mended` mends them from their own matches"
    remedy = raw_remedy(source) if is_raw else mend
    return finding("rows_not_aligned", _severity(tilted, num_measured), message, remedy, tilted)


def _bend(g: ViewGeometry) -> float:
    """How far the rows are from a tilted plane, in pixels of the working size: lens distortion bends them."""
    design = np.column_stack([np.ones(len(g.points)), g.points])
    plane = design @ np.linalg.lstsq(design, g.rows_px, rcond=None)[0]
    return float(np.percentile(np.abs(g.rows_px - plane), 90)) / g.unit_px


def _is_misaligned(g: ViewGeometry) -> bool:
    rolled = abs(g.rotation_deg) > _ROLL_DEG and g.row_error_px > _ROLL_ROW_ERROR_PX * g.unit_px
    return rolled or abs(g.vertical_offset_px) > _OFFSET_PX * g.unit_px or g.row_error_px > _ROW_ERROR_PX * g.unit_px


def _swapped(measured: dict[str, ViewGeometry]) -> dict[str, ViewGeometry]:
    """Pairs with their views exchanged: all disparities negative, and not because of a shift (`order`)."""
    negative = {name: g for name, g in measured.items() if g.share_negative > MANY_NEGATIVE}
    return negative if negative and _median(negative, lambda g: g.depth_order) < _CLEAR_ORDER else {}


def _has_negative(g: ViewGeometry) -> bool:
    return g.share_negative > _SOME_NEGATIVE


def _is_same_view(g: ViewGeometry) -> bool:
    still = (np.abs(g.disparity_px) < _STILL_PX * g.unit_px) & (np.abs(g.rows_px) < _STILL_PX * g.unit_px)
    return float(still.mean()) > 0.95


def _severity(pairs: dict[str, ViewGeometry], num_measured: int) -> Severity:
    return "error" if len(pairs) >= _SYSTEMATIC * num_measured else "warning"


def _median(pairs: dict[str, ViewGeometry], of: Callable[[ViewGeometry], float]) -> float:
    return float(np.median([of(g) for g in pairs.values()]))
