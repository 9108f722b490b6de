"""Verbs about stereo footage: check it, label it, match one pair, render some."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stereodistill.cli.exporting import Export, Exporter, MinConfidence, ValFraction
from stereodistill.cli.options import (
    BaselineM,
    Data,
    Device,
    FocalPx,
    InputSize,
    Layout,
    Limit,
    Seed,
    Teacher,
    Width,
    check_device,
    echo,
    if_stopped,
    input_size_of,
    rig_of,
)
from stereodistill.errors import UserError

if TYPE_CHECKING:
    from stereodistill.data import CheckReport


def check(
    data: Data,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the findings to this file as well.")] = None,
    layout: Layout = "auto",
    focal_px: FocalPx = None,
    baseline_m: BaselineM = None,
    width: Width = None,
    limit: Limit = None,
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """The rig doctor: may this footage be trained on?

    Finds swapped views, misaligned rows, different sizes, a wrong sign or principal-point offset, unreadable and
    duplicate files.  Exit code 1: the data must not be trained on.
    """
    from stereodistill.data import check_dataset
    from stereodistill.io.files import write_bytes
    from stereodistill.progress import progress

    check_device(device, seed)
    rig = rig_of(focal_px, baseline_m, width)
    with progress("checking") as report:
        try:
            found = check_dataset(data, layout=layout, rig=rig, limit=limit, progress=report)
        except UserError:
            from stereodistill.cameras.recording import check_recording

            recording = check_recording(data)
            if recording is None:
                raise
            found = recording
    options = {"layout": None if layout == "auto" else layout, "focal-px": focal_px, "baseline-m": baseline_m,
               "width": width}  # fmt: skip
    echo(*_findings(found), _verdict(found, data, options))
    if json_file:
        write_bytes(json_file, json.dumps(found.to_json(), indent=2).encode())
    if not found.ok:
        raise typer.Exit(1)


def label(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Folder for the labels; finished pairs in it are kept.")],
    teacher: Teacher = "lite_stereo",
    left_only: Annotated[bool, typer.Option("--left-only", help="Do not label the right views.")] = False,
    shard: Annotated[
        str, typer.Option("--shard", metavar="K/N", help="Only part K (from 0) of N equal parts.")
    ] = "0/1",
    workers: Annotated[int, typer.Option("--workers", help="Threads that read and write.")] = 2,
    on_error: Annotated[str, typer.Option("--on-error", metavar="stop|skip", help="At an unreadable pair.")] = "stop",
    precision: Annotated[
        str, typer.Option("--precision", metavar="auto|f32|bf16", help="Of a network; auto: what is quicker here.")
    ] = "auto",
    size: InputSize = None,
    export: Export = None,
    val_fraction: ValFraction = 0.1,
    min_confidence: MinConfidence = 0.0,
    layout: Layout = "auto",
    focal_px: FocalPx = None,
    baseline_m: BaselineM = None,
    width: Width = None,
    limit: Limit = None,
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """A teacher's disparity and confidence for each pair.

    The same call goes on where a stopped one ended; with --shard several machines fill one folder.  With --export the
    labels are also written as other trainers read them; DATA may then be a labels folder, which is not labelled again.
    """
    part, rig, seen = _shard(shard), rig_of(focal_px, baseline_m, width), input_size_of(size)
    if on_error not in ("stop", "skip"):
        raise UserError(f"--on-error is stop or skip, found {on_error!r}")
    from stereodistill.data.unreadable import skip_report
    from stereodistill.labels.make import label as write_labels

    check_device(device, seed)
    exporter = None
    if export is not None:
        exporter = Exporter(export, data, out, layout, rig, limit, part, val_fraction, min_confidence, seed)
        if exporter.has_labels:
            echo(*exporter.run())
            return
    done = write_labels(
        data, teacher, out, device=device, right=not left_only, shard=part, workers=workers, limit=limit,
        on_error=on_error, precision=precision, size=seen, progress=True, layout=layout, rig=rig,
    )  # fmt: skip
    echo(f"{done.num_new} pairs labelled by {done.teacher} in {done.elapsed_s:.0f} s, {done.num_old} were there: {out}")
    echo(*skip_report(done.skipped))
    if exporter is not None:
        echo(*exporter.run())


def match(
    left: Annotated[Path, typer.Argument(help="The left image.")],
    right: Annotated[Path, typer.Argument(help="The right image.")],
    out: Annotated[
        Path, typer.Option("--out", help="Disparity of the left view: .png (16 bit, px * 256), .pfm, .npy.")
    ],
    teacher: Teacher = "lite_stereo",
    right_view: Annotated[bool, typer.Option("--right", help="Disparity of the right view instead.")] = False,
    confidence: Annotated[
        Path | None, typer.Option("--confidence", help="Also the confidence, as a grey picture (255 = sure).")
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """One rectified pair -> disparity in pixels, 0 = unknown."""
    import numpy as np

    from stereodistill.io.disparity import DISPARITY_SUFFIXES, write_disparity
    from stereodistill.io.images import read_image, write_image
    from stereodistill.predict import load_teacher

    if out.suffix.lower() not in DISPARITY_SUFFIXES:
        raise UserError(f"--out {out}: a disparity map ends in one of {', '.join(DISPARITY_SUFFIXES)}")
    check_device(device, seed)
    images = read_image(left), read_image(right)
    if images[0].shape != images[1].shape:
        sizes = " and ".join(f"{image.shape[1]}x{image.shape[0]}" for image in images)
        raise UserError(f"the two views of a pair have one size, found {sizes} ({left}, {right})")
    matcher = load_teacher(teacher, device)
    disparity, sure = (matcher.match_right if right_view else matcher.match)(*images, name=left.stem)
    write_disparity(out, disparity)
    if confidence:
        write_image(confidence, np.rint(np.repeat(sure[..., None], 3, axis=2) * 255).astype(np.uint8))
    known = disparity[disparity > 0]
    middle = f", median {np.median(known):.1f} px" if known.size else ""
    echo(f"{out}: disparity of {100 * known.size / disparity.size:.0f} % of the pixels{middle}")


def synth(
    kind: Annotated[str, typer.Argument(help="flying, street or room.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; must not hold pairs yet.")],
    num: Annotated[int, typer.Option("--num", min=1, help="How many pairs.")] = 16,
    size: Annotated[tuple[int, int], typer.Option("--size", metavar="H W", help="Height and width.")] = (384, 640),
    photos: Annotated[Path | None, typer.Option("--photos", help="Folder of photos to use as textures too.")] = None,
    suffix: Annotated[str, typer.Option("--disparity", metavar="pfm|png|npy", help="Format of the truth.")] = "pfm",
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """Procedural stereo pairs with exact disparity of both views."""
    from stereodistill.predict.predictor import choose_device
    from stereodistill.worlds import write_world

    check_device(device, seed)
    with if_stopped(lambda: f"{len(list(out.glob('left/*.png')))} finished pairs are in {out}"):
        write_world(out, kind, num, size, seed, photos=photos, suffix=suffix, device=choose_device(device))
    echo(f"{num} pairs of the world {kind}, seed {seed}: {out}", f"Next: stereodistill check {out}")


def _findings(found: CheckReport) -> Sequence[str]:
    lines = [
        f"{found.num_pairs} pairs, {found.num_readable} readable; geometry measured on {found.num_measured}",
        *(
            [f"{found.split}: {found.num_expected} frames in the split, {found.num_missing} missing"]
            if found.split
            else []
        ),
        *(f"  {name} {value:g}" for name, value in found.figures.items()),
    ]
    for severity, code, where, message, remedy in found.table():
        lines += [f"{severity}: {code} ({where})", f"  {message}", f"  -> {remedy}"]
    return lines


def _verdict(found: CheckReport, data: Path, options: Mapping[str, object]) -> str:
    """The last line; `options` are what the pairs were opened with, for the command to go on with."""
    if not found.ok:
        return f"{data} must not be trained on as it is: mend the errors above."
    if not found.num_measured:
        return f"{data}: no pair shows enough to judge whether its views belong together; look at some before training."
    given = "".join(f" --{name} {value}" for name, value in options.items() if value is not None)
    return f"{data} can be trained on.  Next: stereodistill fit {shlex.quote(str(data))}{given} --out runs/mine"


def _shard(text: str) -> tuple[int, int]:
    part, slash, parts = text.partition("/")
    if not (slash and _is_number(part) and _is_number(parts) and int(part) < int(parts)):
        raise UserError(f"--shard is K/N with 0 <= K < N, for example 0/4; found {text!r}")
    return int(part), int(parts)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10
