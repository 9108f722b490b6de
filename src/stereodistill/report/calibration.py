"""The page of a stereo calibration: what it is worth, where the board was seen, and one rectified pair."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from stereodistill.cameras.board_views import BoardView, grey
from stereodistill.cameras.boards import Points
from stereodistill.cameras.calibrate import Calibrated, ViewError
from stereodistill.cameras.verdict import Verdict
from stereodistill.errors import UserError
from stereodistill.report.page import write_report
from stereodistill.report.pictures import GalleryRow, Panel
from stereodistill.report.tables import Cell, Column, Row, Table

MOST_VIEWS = 12
_WIDTH, _WIDE = 640, 1280
_NUM_LINES = 16
_POINT, _LINE = (230, 60, 40), (60, 200, 120)


def calibration_page(path: Path, result: Calibrated, verdict: Verdict) -> Path:
    """Write the page; errors as `write_report`."""
    height, width = result.calibration.size
    said = (
        "This calibration must not be used: " + "; ".join(verdict.refusals)
        if verdict.refusals
        else "This calibration can be used: `stereodistill rectify` takes it from here."
    )
    return write_report(
        path,
        title="Stereo calibration",
        intro=f"{result.num_pairs} pairs, {width} x {height}, of a {result.board.name}; "
        f"{result.calibration.left.model} lenses. {said}",
        facts=_facts(result, verdict),
        lists=[
            ("What is missing", verdict.missing),
            ("What was left out", [f"`{name}` {reason}" for name, reason in result.left_out]),
        ],
        tables=[_table(result)],
        gallery=[_coverage(result, verdict), *_rectified(result), *_corners(result)],
        picture_key=False,
    )


def _facts(result: Calibrated, verdict: Verdict) -> list[tuple[str, str]]:
    left, right = verdict.covered
    held_out = result.held_out_rows_px
    return [
        ("pairs", str(result.num_pairs)),
        ("reprojection error", f"{result.rms_px:.2f} px"),
        ("rows after rectification", f"{np.median(result.rows_px):.2f} px"),
        ("rows of pairs left out of the fit", f"{np.median(held_out):.2f} px" if held_out.size else "too few pairs"),
        ("baseline", f"{1000 * result.calibration.baseline_m:.1f} ± {1000 * result.baseline_deviation_m:.1f} mm"),
        ("focal length, rectified", f"{float(result.rectification.rig.focal_px):.1f} px"),
        ("corners in", f"{100 * left:.0f} and {100 * right:.0f} % of the picture"),
    ]


def _table(result: Calibrated) -> Table:
    conditions = "root mean squared distance of seen and projected points; rows: median distance after rectification"
    columns = tuple(Column(key, protocol=conditions, label=label, unit="px", decimals=2)
                    for key, label in (("left", "left"), ("right", "right"), ("rows", "rows apart")))  # fmt: skip
    rows = [Row(e.name, (Cell(e.left_px), Cell(e.right_px), Cell(e.rows_px))) for e in result.errors]
    alone = Row("each camera by itself", (Cell(result.alone_px[0]), Cell(result.alone_px[1]), Cell()), reference=True)
    return Table("Error of every view", columns, (*rows, alone), heading="view")


def _coverage(result: Calibrated, verdict: Verdict) -> GalleryRow:
    """All points that were seen, over cells that are the greener the more of them they hold."""
    panels = []
    for side, camera, cells in zip(("left", "right"), (0, 1), verdict.coverage, strict=True):
        height, width = result.calibration.size
        scale = _WIDTH / width
        size = (_WIDTH, max(1, round(height * scale)))
        level = np.clip(cells / max(1, int(np.percentile(cells, 90))), 0, 1)
        shade = cv2.resize(level.astype(np.float32), size, interpolation=cv2.INTER_NEAREST)[..., None]
        picture = (245 - shade * np.array([130, 50, 120])).astype(np.uint8)
        for view in result.views:
            points = view.points[camera]
            for x, y in [] if points is None else points.pixels * scale:
                cv2.circle(picture, (round(x), round(y)), 2, (30, 60, 160), -1, cv2.LINE_AA)
        share = verdict.covered[camera]
        alt = f"where the {side} camera saw points of the board: in {100 * share:.0f} % of the cells"
        panels.append(Panel(f"{side} picture", picture, alt))
    return GalleryRow("Where the board was seen", tuple(panels), "white cells: the lens is guessed there", columns=2)


def _rectified(result: Calibrated) -> list[GalleryRow]:
    """The pair with the largest error of its rows, rectified, with lines along them."""
    rows_px = [-1.0 if error.rows_px is None else error.rows_px for error in result.errors]
    worst = int(np.argmax(rows_px))
    try:
        left, right = (np.ascontiguousarray(grey(picture)) for picture in result.views[worst].load())
    except UserError:
        return []
    pair = np.hstack(result.rectification.apply(left, right)[:2])
    height, width = pair.shape
    size = (min(_WIDE, width), max(1, round(height * min(_WIDE, width) / width)))
    picture = cv2.cvtColor(cv2.resize(pair, size, interpolation=cv2.INTER_AREA), cv2.COLOR_GRAY2RGB)
    for y in np.linspace(0, size[1], _NUM_LINES + 2)[1:-1].round().astype(int).tolist():
        cv2.line(picture, (0, y), (size[0], y), _LINE, 1)
    alt = "a rectified pair, left and right, with lines along its rows: the same thing lies on the same line"
    caption = f"`{result.errors[worst].name}`, the pair with the largest error: rows {rows_px[worst]:.2f} px apart"
    return [GalleryRow("One rectified pair", (Panel("left and right", picture, alt),), caption, columns=1)]


def _corners(result: Calibrated) -> list[GalleryRow]:
    chosen = np.linspace(0, len(result.views) - 1, min(MOST_VIEWS, len(result.views))).round().astype(int).tolist()
    return [row for index in chosen for row in _view_row(result.views[index], result.errors[index])]


def _view_row(view: BoardView, error: ViewError) -> list[GalleryRow]:
    try:
        pictures = view.load()
    except UserError:
        return []
    panels = [_panel(side, grey(picture), points)
              for side, picture, points in zip(("left", "right"), pictures, view.points, strict=True)]  # fmt: skip
    named = (("left", error.left_px), ("right", error.right_px), ("rows apart", error.rows_px))
    caption = ", ".join(f"{what} {number:.2f} px" for what, number in named if number is not None)
    return [GalleryRow(view.name, tuple(panels), f"points joined in their order; {caption}", columns=2)]


def _panel(side: str, picture: np.ndarray, points: Points | None) -> Panel:
    scale = min(1.0, _WIDTH / picture.shape[1])
    size = (round(picture.shape[1] * scale), max(1, round(picture.shape[0] * scale)))
    small = cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_GRAY2RGB)
    if points is None:
        return Panel(f"{side}: not found", small, f"{side} picture, the board was not found")
    places = (points.pixels * scale).round().astype(np.int32)
    cv2.polylines(small, [places.reshape(-1, 1, 2)], False, _LINE, 1, cv2.LINE_AA)
    for x, y in places.tolist():
        cv2.circle(small, (x, y), 3, _POINT, 1, cv2.LINE_AA)
    cv2.circle(small, tuple(places[0].tolist()), 6, _POINT, 2, cv2.LINE_AA)
    return Panel(side, small, f"{side} picture, {len(places)} points of the board found")
