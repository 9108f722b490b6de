"""The verb that makes rectified pairs: of raw footage by a calibration, of nearly rectified pairs by their matches."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stereodistill.cli.options import BaselineM, Device, FocalPx, Seed, Width, check_device, echo, rig_of
from stereodistill.errors import UserError

if TYPE_CHECKING:
    from stereodistill.cameras.refine import RefineSummary


def rectify(
    source: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE [RIGHT]",
            help="Folder of pairs, EuRoC/ASL or KITTI raw recording, ROS bag, video or pictures with both views in "
            "one; or two videos or folders, left and right.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the pairs; a stopped run goes on.")],
    calibration: Annotated[
        str | None,
        typer.Option("--calibration", help="Of the raw cameras: a file, a folder with one in it, or LEFT,RIGHT."),
    ] = None,
    refine: Annotated[
        bool, typer.Option("--refine", help="Instead: mend nearly rectified pairs from their own matches.")
    ] = False,
    layout: Annotated[
        str, typer.Option("--layout", help="sbs, rl, tb, bt (both views in one picture); else as for other verbs.")
    ] = "auto",
    topics: Annotated[tuple[str, str] | None, typer.Option("--topics", metavar="LEFT RIGHT", help="Of a bag.")] = None,
    offset_frames: Annotated[
        int, typer.Option("--offset-frames", help="Left frame i belongs to right frame i + N (two videos).")
    ] = 0,
    tolerance_ms: Annotated[
        float | None,
        typer.Option("--tolerance-ms", help="Of time stamps; default: a quarter of the time between two pictures."),
    ] = None,
    bayer: Annotated[
        str | None, typer.Option("--bayer", metavar="rggb|bggr|gbrg|grbg", help="The pictures are mosaics.")
    ] = None,
    bits: Annotated[
        int | None, typer.Option("--bits", help="How many bits of 16 the sensor uses; default: as it looks.")
    ] = None,
    every: Annotated[int, typer.Option("--every", help="Only every N-th frame.")] = 1,
    min_motion: Annotated[
        float, typer.Option("--min-motion", metavar="PX", help="Leave out frames that moved by less.")
    ] = 0.0,
    max_pairs: Annotated[int | None, typer.Option("--max-pairs", help="Stop after so many.")] = None,
    size: Annotated[str | None, typer.Option("--size", metavar="HxW", help="Size of the rectified pictures.")] = None,
    suffix: Annotated[str, typer.Option("--format", metavar="png|jpg", help="Of the pictures.")] = "png",
    keep_fov: Annotated[
        float | None,
        typer.Option(
            "--keep-fov",
            help="0: no empty pixels; 1: nothing of the raw picture is lost.  Default: the calibration's own "
            "rectification, 0 without one.",
        ),
    ] = None,
    unit: Annotated[
        str | None, typer.Option("--unit", metavar="m|cm|mm", help="Of the calibration's baseline.")
    ] = None,
    focal_px: FocalPx = None,
    baseline_m: BaselineM = None,
    width: Width = None,
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """Raw footage of a rig -> rectified pairs for check and fit.

    With --refine: pairs whose rows are a few pixels off -> pairs whose rows agree.
    """
    if refine == (calibration is not None):
        raise UserError("give either --calibration FILE (raw footage) or --refine (pairs that are nearly rectified)")
    if len(source) > 2:
        raise UserError(f"one source, or two (left and right), found {len(source)}")
    check_device(device, seed)
    from stereodistill.progress import progress

    if refine:
        from stereodistill.cameras.refine import refine_pairs

        if len(source) != 1:
            raise UserError("--refine takes one folder of pairs")
        rig = rig_of(focal_px, baseline_m, width)
        with progress("mending") as report:
            mended = refine_pairs(source[0], out, layout=layout, rig=rig, suffix=suffix, keep_fov=keep_fov or 0.0,
                                  report=report)  # fmt: skip
        echo(*_mended(mended))
        return
    if focal_px is not None or baseline_m is not None or width is not None:
        raise UserError("--focal-px, --baseline-m and --width belong to --refine; raw cameras have a --calibration")
    from stereodistill.cameras.rectify import RectifyOptions, SourceOptions
    from stereodistill.cameras.rectify import rectify as rectify_footage

    assert calibration is not None
    options = RectifyOptions(
        source=SourceOptions(
            layout=layout, topics=topics, offset_frames=offset_frames, tolerance_ms=tolerance_ms, bayer=bayer
        ),
        every=every, min_motion_px=min_motion, max_pairs=max_pairs, size=_size(size), suffix=suffix,
        keep_fov=keep_fov, unit=unit, bits=bits,
    )  # fmt: skip
    paths = source[0] if len(source) == 1 else (source[0], source[1])
    with progress("rectifying") as report:
        done = rectify_footage(paths, calibration, out, options, report=report)
    folder = shlex.quote(str(out))
    mend = f"rectify {folder} --refine --out {shlex.quote(f'{out}_mended')}"
    echo(*done.lines(), f"Next: stereodistill {mend if done.is_stale else f'fit {folder} --out runs/mine'}")


def _mended(done: RefineSummary) -> list[str]:
    lines = [f"{done.num_pairs} pairs mended: {done.out}", *(f"  {line}" for line in done.correction.lines())]
    lines.append(f"  rows: {done.rows_before_px:.2f} px off before, {done.rows_after_px:.2f} px after (median)")
    lines += [f"  {note}" for note in done.notes]
    return [*lines, f"Next: stereodistill fit {shlex.quote(str(done.out))} --out runs/mine"]


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    height, x, width = text.lower().partition("x")
    if not (x and height.isdigit() and width.isdigit()):
        raise UserError(f"--size is HEIGHTxWIDTH, for example 480x752; found {text!r}")
    return int(height), int(width)
