"""Verbs about trained networks: predict, evaluate, export, look at weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stereodistill.cli.options import (
    BaselineM,
    Device,
    FocalPx,
    Layout,
    Limit,
    Seed,
    Width,
    if_stopped,
    rig_of,
    settle,
    told,
)
from stereodistill.errors import UserError


def predict(
    photos: Annotated[
        str, typer.Argument(metavar="INPUT", help="Image, folder, quoted glob, video, or the number of a camera.")
    ],
    weights: Annotated[str, typer.Option("--weights", help="Mono weights: folder, file, name or Hugging Face id.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; one folder inside for each kind of result.")],
    save: Annotated[
        str | None,
        typer.Option("--save", metavar="KIND,...", help="depth16, npy, color, ply, disparity; default: depth16,color."),
    ] = None,
    focal_px: FocalPx = None,
    width: Width = None,
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
    settle(device, seed)
    found = find_photos(photos, limit)
    predictor = from_pretrained(weights, device)
    if not isinstance(predictor, MonoPredictor):
        raise UserError(f"{weights} is a stereo network: `stereodistill match LEFT RIGHT --out FILE` takes two views")
    with if_stopped(lambda: f"finished maps are in {out}"):
        num, kinds = predict_all(found, predictor, out, kinds, focal_px, width)
    told(f"{num} {'image' if num == 1 else 'images'} -> {', '.join(f'{out}/{kind}' for kind in kinds)}")


def evaluate(
    data: Annotated[Path, typer.Option("--data", help="Stereo pairs with ground truth.")],
    protocol: Annotated[
        str, typer.Option("--protocol", help="depth, stereo or kitti-stereo; options as in depth:crop=garg,cap=50.")
    ],
    weights: Annotated[str | None, typer.Option("--weights", help="Mono or stereo weights, or a teacher.")] = None,
    predictions: Annotated[
        Path | None, typer.Option("--predictions", help="Or a folder of finished disparity maps.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the result, image by image.")] = None,
    layout: Layout = "auto",
    focal_px: FocalPx = None,
    baseline_m: BaselineM = None,
    width: Width = None,
    grey: Annotated[bool, typer.Option("--grey", help="Show grey images to the network.")] = False,
    limit: Limit = None,
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """Score predictions against ground truth."""
    from stereodistill.data import open_dataset
    from stereodistill.evaluation import evaluate as score
    from stereodistill.io.files import write_bytes

    settle(device, seed)
    rig = rig_of(focal_px, baseline_m, width)
    dataset = open_dataset(data, layout=layout, rig=rig, limit=limit)
    result = score(
        data=dataset, protocol=protocol, weights=weights, predictions=predictions, device=device, grey=grey,
        limit=limit, progress=True,
    )  # fmt: skip
    if json_file:
        write_bytes(json_file, json.dumps(result, indent=2).encode())
    told(f"{result['weights']} on {result['num_images']} images of {data}, protocol {result['protocol']}")
    told(
        *(f"  {name:<12} {'-' if value is None else format(value, '.4f')}" for name, value in result["metrics"].items())
    )
    if json_file:
        told(f"Image by image: {json_file}")


def export(
    weights: Annotated[str, typer.Option("--weights", help="Folder, file, name or Hugging Face id.")],
    out: Annotated[Path, typer.Option("--out", help="The .onnx file; its header goes beside it as .json.")],
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """ONNX of any size, written only when it equals PyTorch."""
    from stereodistill.export import export as write_onnx

    settle(device, seed)
    path = write_onnx(weights, out)
    told(f"{path}, header {path.with_suffix('.json')}: agrees with PyTorch")


def weights_list(device: Device = "auto", seed: Seed = 0) -> None:
    """Names of the weights that ship with the package."""
    from stereodistill.weights import catalogue

    settle(device, seed)
    for name, header in catalogue().items():
        told(f"{name:<16} {header.kind:<7} {header.architecture:<16} {header.licence:<12} {header.notes}".rstrip())


def weights_show(
    source: Annotated[str, typer.Argument(metavar="NAME|FILE", help="Shipped name, folder, file or Hugging Face id.")],
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """The header of weights: architecture, input size, rig, recipe, metrics, licence, teacher."""
    from stereodistill.weights import read_header, weights_hash

    settle(device, seed)
    header = read_header(source)
    told(json.dumps({**header.model_dump(mode="json"), "hash": weights_hash(source)}, indent=2))
