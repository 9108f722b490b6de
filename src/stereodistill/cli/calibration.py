"""The verb that turns pictures of a board into the calibration of a rig."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stereodistill.cli.options import Device, Seed, check_device, echo
from stereodistill.errors import UserError

if TYPE_CHECKING:
    from stereodistill.cameras.calibrate import Calibrated
    from stereodistill.cameras.verdict import Verdict


def calibrate(
    pictures: Annotated[
        list[Path],
        typer.Argument(metavar="PICTURES", help="Folder, video or bag that holds both cameras, or two: LEFT RIGHT."),
    ],
    board: Annotated[
        str,
        typer.Option(
            "--board",
            metavar="CxR",
            help="9x6: inner corners of a chessboard, circles of a row and rows, squares of a ChArUco board.",
        ),
    ],
    square_mm: Annotated[
        float, typer.Option("--square-mm", help="Side of a square; of circles, half the distance of two in a row.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The calibration: .yaml, .yml, .xml or .json.")],
    pattern: Annotated[
        str, typer.Option("--pattern", metavar="chessboard|circles|charuco", help="circles: the asymmetric grid.")
    ] = "chessboard",
    marker_mm: Annotated[float | None, typer.Option("--marker-mm", help="Side of a ChArUco board's markers.")] = None,
    model: Annotated[
        str, typer.Option("--model", metavar="pinhole|fisheye", help="fisheye: lenses beyond about 120 degrees.")
    ] = "pinhole",
    layout: Annotated[
        str, typer.Option("--layout", help="Both views in one picture: sbs (side by side), rl, tb (top/bottom), bt.")
    ] = "auto",
    every: Annotated[int | None, typer.Option("--every", min=1, help="Only every N-th pair.")] = None,
    topics: Annotated[
        tuple[str, str] | None, typer.Option("--topics", metavar="LEFT RIGHT", help="Image topics of a bag.")
    ] = None,
    page: Annotated[Path | None, typer.Option("--page", help="The HTML page; default: beside the calibration.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the numbers to this file as well.")] = None,
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """Pictures of a board -> calibration of the two cameras.

    Both take them at the same moment, or the board stands still; an HTML page shows what came out.

    Exit code 1: the calibration must not be used; it is not written.
    """  # fmt: skip
    from stereodistill.cameras.boards import Board
    from stereodistill.cameras.calibration_file import check_name, write_calibration
    from stereodistill.cameras.model import Unusable
    from stereodistill.cameras.verdict import judge
    from stereodistill.io.files import write_bytes
    from stereodistill.report.calibration import calibration_page

    if model not in ("pinhole", "fisheye"):
        raise UserError(f"--model is pinhole or fisheye, found {model!r}")
    check_name(out)
    check_device(device, seed)
    known = Board.parse(board, square_mm, pattern, marker_mm)
    page = page or out.with_suffix(".html")
    try:
        result = _calibrated(pictures, known, model, layout, every, topics, str(out))
    except Unusable as error:
        if json_file:
            write_bytes(json_file, json.dumps({"usable": False, "refusals": [str(error)]}, indent=2).encode())
        echo(f"must not be used: {error}", f"Not written: {out}")
        raise typer.Exit(1) from None
    verdict = judge(result)
    calibration_page(page, result, verdict)
    if json_file:
        write_bytes(json_file, json.dumps(numbers(result, verdict), indent=2).encode())
    echo(*_findings(result, verdict))
    if verdict.refusals:
        echo(*(f"must not be used: {reason}" for reason in verdict.refusals), f"Not written: {out}   page: {page}")
        raise typer.Exit(1)
    write_calibration(out, result)
    echo(f"Calibration: {out}   page: {page}",
         f"Next: stereodistill rectify SOURCE --calibration {shlex.quote(str(out))} --out pairs")  # fmt: skip


def _calibrated(
    pictures: Sequence[Path], board: Any, model: Any, layout: str, every: int | None,
    topics: tuple[str, str] | None, source: str,
) -> Calibrated:  # fmt: skip
    from stereodistill.cameras.board_views import find_boards
    from stereodistill.cameras.calibrate import calibrate as fit_rig
    from stereodistill.cameras.sources import SourceOptions, open_source
    from stereodistill.progress import progress

    footage = open_source(tuple(pictures), SourceOptions(layout=layout, topics=topics))
    with progress("looking for the board") as report:
        found = find_boards(footage, board, every=every, report=report)
    return fit_rig(found, model, source)


def numbers(result: Calibrated, verdict: Verdict) -> dict[str, Any]:
    """The numbers of a calibration, for `--json`."""
    import numpy as np

    calibration, rig = result.calibration, result.rectification.rig
    held_out = result.held_out_rows_px
    return {
        "usable": not verdict.refusals,
        "refusals": list(verdict.refusals),
        "missing": list(verdict.missing),
        "num_pairs": result.num_pairs,
        "model": calibration.left.model,
        "width": calibration.size[1],
        "height": calibration.size[0],
        "reprojection_error_px": result.rms_px,
        "alone_px": list(result.alone_px),
        "baseline_m": calibration.baseline_m,
        "baseline_deviation_m": result.baseline_deviation_m,
        "focal_deviation": result.focal_deviation,
        "row_error_px": {"median": float(np.median(result.rows_px)), "largest": float(result.rows_px.max())},
        "held_out_row_error_px": float(np.median(held_out)) if held_out.size else None,
        "coverage": {"left": verdict.covered[0], "right": verdict.covered[1]},
        "rectified": {"focal_px": float(rig.focal_px), "baseline_m": float(rig.baseline_m), "width": int(rig.width)},
        "views": [{"name": e.name, "left_px": e.left_px, "right_px": e.right_px, "rows_px": e.rows_px}
                  for e in result.errors],
        "left_out": [{"name": name, "reason": reason} for name, reason in result.left_out],
    }  # fmt: skip


def _findings(result: Calibrated, verdict: Verdict) -> list[str]:
    import numpy as np

    calibration, (height, width) = result.calibration, result.calibration.size
    rows, held_out = result.rows_px, result.held_out_rows_px
    covered, alone = verdict.covered, result.alone_px
    focal = calibration.left.matrix[0, 0], calibration.right.matrix[0, 0]
    left_out = f"; {np.median(held_out):.2f} px in pairs that were left out of the fit in turn" if held_out.size else ""
    lines = [
        f"{result.num_pairs} pairs of {width}x{height}, {result.board.name}, {calibration.left.model} lenses",
        f"  reprojection error {result.rms_px:.2f} px (by itself: left {alone[0]:.2f}, right {alone[1]:.2f})",
        f"  baseline {1000 * calibration.baseline_m:.2f} ± {1000 * result.baseline_deviation_m:.2f} mm",
        f"  focal length left {focal[0]:.1f}, right {focal[1]:.1f} px ± {100 * result.focal_deviation:.2f} %",
        f"  rows after rectification: median {np.median(rows):.2f} px, largest {rows.max():.2f} px{left_out}",
        f"  corners in {100 * covered[0]:.0f} % of the left picture, {100 * covered[1]:.0f} % of the right",
    ]
    for error in result.errors:
        left, right, apart = (_px(number) for number in (error.left_px, error.right_px, error.rows_px))
        lines.append(f"  view {error.name}: left {left}, right {right}, rows {apart}")
    lines += [f"left out: {name}: {reason}" for name, reason in result.left_out]
    return [*lines, *(f"missing: {what}" for what in verdict.missing)]


def _px(number: float | None) -> str:
    return "-" if number is None else f"{number:.2f} px"
