"""Verbs about trained networks: predict, evaluate, export, look at weights."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stereodistill.cli.options import (
    BaselineM,
    Device,
    FocalPx,
    InputSize,
    Layout,
    Limit,
    Seed,
    Width,
    check_device,
    echo,
    if_stopped,
    input_size_of,
    rig_of,
)
from stereodistill.errors import UserError

if TYPE_CHECKING:
    from stereodistill.cameras.one_view import RawCamera

GENERAL = "lite0_mono"
"""Shipped mono weights that need no footage."""


def predict(
    photos: Annotated[
        str, typer.Argument(metavar="INPUT", help="Image, folder, quoted glob, video, or the number of a camera.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; one folder inside for each kind of result.")],
    weights: Annotated[
        str,
        typer.Option(
            "--weights", help="Mono weights: folder, file, name or Hugging Face id; default: the general ones."
        ),
    ] = GENERAL,
    save: Annotated[
        str | None,
        typer.Option("--save", metavar="KIND,...", help="depth16, npy, color, ply, disparity; default: depth16,color."),
    ] = None,
    focal_px: FocalPx = None,
    width: Width = None,
    calibration: Annotated[
        str | None,
        typer.Option("--calibration", help="The photos come raw from the left camera of this rig: undistort them."),
    ] = None,
    post_process: Annotated[
        bool, typer.Option("--post-process", help="Fuse with the answer for the mirror image: twice the time.")
    ] = False,
    limit: Limit = None,
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """Photos, folders, videos, cameras -> depth in metres.

    Give --focal-px for another camera than the one the weights were trained with: depth scales with it.
    """
    from stereodistill.cli.photos import find_photos, kinds_of, predict_all
    from stereodistill.predict import MonoPredictor, from_pretrained

    kinds = kinds_of(save)
    check_device(device, seed)
    found = find_photos(photos, limit, out)
    predictor = from_pretrained(weights, device)
    if weights == GENERAL:
        echo(
            "General weights, learned from procedural streets and rooms: a first look.  For metres of your own camera, "
            "`stereodistill fit` your footage."
        )
    if not isinstance(predictor, MonoPredictor):
        raise UserError(f"{weights} is a stereo network: `stereodistill match LEFT RIGHT --out FILE` takes two views")
    camera = _raw_camera(calibration, focal_px, predictor.header.rectified)
    with if_stopped(lambda: f"finished maps are in {out}"):
        num, kinds = predict_all(found, predictor, out, kinds, focal_px, width, post_process, camera)
    echo(f"{_images(num)} -> {', '.join(f'{out}/{kind}' for kind in kinds)}")


def _raw_camera(calibration: str | None, focal_px: float | None, is_from_rectified: bool) -> RawCamera | None:
    """The camera whose photos must be undistorted; without one, a word where the network needs that."""
    if calibration is None:
        if is_from_rectified:
            message = (
                "these weights learned from rectified pictures of a raw camera: its raw photos need --calibration, "
                "else depth is off towards the edges (pictures that are rectified already do not)"
            )
            warnings.warn(message, stacklevel=2)
        return None
    if focal_px is not None:
        raise UserError("the camera was given twice: give either --calibration or --focal-px")
    from stereodistill.cameras.one_view import RawCamera

    return RawCamera(calibration)


def evaluate(
    data: Annotated[Path, typer.Option("--data", help="Pairs with ground truth: a path, or NAME:SPLIT=ROOT.")],
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol",
            help="eigen, eigen-50m, eigen-lidar-view, eigen-improved, make3d, depth, kitti-stereo, sceneflow, "
            "sceneflow-192, middlebury or stereo; options as in eigen:crop=eigen,scaling=median.",
        ),
    ],
    weights: Annotated[str | None, typer.Option("--weights", help="Mono or stereo weights, or a teacher.")] = None,
    predictions: Annotated[
        Path | None,
        typer.Option("--predictions", help="Or finished maps: one .npy or .npz for all images, or a folder of files."),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(
            "--unit",
            help="What their numbers mean: disparity-px (default of folders), disparity-width (shares of the width, "
            "default of one file), depth-m, disparity-relative, depth-relative.  PNG: 16 bit, number * 256.",
        ),
    ] = None,
    scale: Annotated[
        float | None, typer.Option("--scale", help="Metres = SCALE * relative depth, or SCALE / relative disparity.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the result, image by image.")] = None,
    size: InputSize = None,
    layout: Layout = "auto",
    focal_px: FocalPx = None,
    baseline_m: BaselineM = None,
    width: Width = None,
    grey: Annotated[bool, typer.Option("--grey", help="Show grey images to the network.")] = False,
    limit: Limit = None,
    on_error: Annotated[
        str, typer.Option("--on-error", metavar="stop|skip", help="At a corrupt or missing file of the data.")
    ] = "stop",
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """Score predictions against ground truth."""
    if on_error not in ("stop", "skip"):
        raise UserError(f"--on-error is stop or skip, found {on_error!r}")
    from stereodistill.data import open_dataset
    from stereodistill.evaluation import evaluate as score
    from stereodistill.io.files import write_bytes

    check_device(device, seed)
    rig, seen = rig_of(focal_px, baseline_m, width), input_size_of(size)
    if seen is not None and weights is None:
        raise UserError("--size is the input of a network: give --weights")
    dataset = open_dataset(data, layout=layout, rig=rig, limit=limit)
    result = score(
        data=dataset, protocol=protocol, weights=weights, predictions=predictions, unit=unit, scale=scale,
        device=device, size=seen, grey=grey, limit=limit, on_error=on_error, progress=True,
    )  # fmt: skip
    echo(*_scores(result, str(data)))
    if json_file:
        write_bytes(json_file, json.dumps(result, indent=2).encode())
        echo(f"Image by image: {json_file}")


def _scores(result: dict[str, Any], data: str) -> list[str]:
    """What was scored, how, the numbers, and what makes them differ from a whole test set's."""
    from stereodistill.data.unreadable import Skipped, skip_report
    from stereodistill.evaluation import shortfall

    short = shortfall(result)
    lines = [
        f"{result['weights']} on {short or _images(result['num_images'])} of {data}, protocol {result['protocol']}"
    ]
    numbers = result["metrics"].items()
    lines += [f"  {name:<12} {'-' if value is None else format(value, '.4f')}" for name, value in numbers]
    if short:
        lines.append(f"† {short}: these numbers do not compare with those of the whole test set")
    return lines + skip_report(Skipped(**row) for row in result["skipped"])


def _images(num: int) -> str:
    return f"{num} image{'' if num == 1 else 's'}"


def export(
    weights: Annotated[str, typer.Option("--weights", help="Folder, file, name or Hugging Face id.")],
    out: Annotated[Path, typer.Option("--out", help="The .onnx file; its header goes beside it as .json.")],
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """ONNX of any size, written only when it equals PyTorch."""
    from stereodistill.onnx_export import export as write_onnx

    check_device(device, seed)
    path = write_onnx(weights, out, progress=True)
    echo(f"{path}, header {path.with_suffix('.json')}: agrees with PyTorch")


def weights_list(device: Device = "auto", seed: Seed = 0) -> None:
    """Names of the weights that ship with the package."""
    from stereodistill.weights import catalogue

    check_device(device, seed)
    for name, header in catalogue().items():
        echo(f"{name:<16} {header.kind:<7} {header.architecture:<16} {header.licence:<12} {header.notes}".rstrip())


def weights_show(
    source: Annotated[str, typer.Argument(metavar="NAME|FILE", help="Shipped name, folder, file or Hugging Face id.")],
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """The header of weights: architecture, input size, rig, recipe, metrics, licence, teacher."""
    from stereodistill.weights import read_header, weights_hash

    check_device(device, seed)
    header = read_header(source)
    echo(json.dumps({**header.model_dump(mode="json"), "hash": weights_hash(source)}, indent=2))


def weights_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Checkpoint released with Guo et al. 2018 (.pth.tar).")],
    out: Annotated[Path, typer.Option("--out", help="Weights folder to write.")],
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """A checkpoint released with the paper -> weights of dispnet or vgg_mono.  Read without running any code."""
    from stereodistill.weights import import_released

    check_device(device, seed)
    header = import_released(file, out)
    echo(f"{out}: {header.architecture} ({header.kind})", f"Next: stereodistill weights show {out}")
