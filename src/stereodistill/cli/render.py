"""A procedural world on disk, in the folder layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stereodistill.data.layouts import list_images
from stereodistill.errors import UserError
from stereodistill.io.calibration import write_rig
from stereodistill.io.disparity import DISPARITY_SUFFIXES, write_disparity
from stereodistill.io.images import IMAGE_SUFFIXES, read_image, write_image
from stereodistill.progress import progress
from stereodistill.synth import render
from stereodistill.types import Rig, View

if TYPE_CHECKING:
    import numpy as np
    import torch

    from stereodistill.synth import SynthBatch

CHUNK = 4
"""Pairs rendered at a time: enough to keep a GPU busy, little enough for any memory."""


def write_world(
    out: Path,
    kind: str,
    num: int,
    size: tuple[int, int],
    seed: int,
    *,
    photos: Path | None,
    suffix: str,
    device: torch.device,
) -> None:
    """Render pairs 0..num-1 of the world `kind` into `out`; pair i is the same for every `num`.

    Raises UserError for a folder that holds pairs already, an unknown world or format, and a disk that refuses.
    """
    suffix = f".{suffix.lstrip('.')}"
    if suffix not in DISPARITY_SUFFIXES:
        raise UserError(f"--disparity {suffix[1:]!r}: choose one of {', '.join(s[1:] for s in DISPARITY_SUFFIXES)}")
    if any((out / "left").glob("*")):
        raise UserError(f"{out} holds pairs already: choose another --out or delete it")
    textures = None if photos is None else _read_photos(photos)
    with progress("rendering") as report:
        for start in range(0, num, CHUNK):
            indices = range(start, min(start + CHUNK, num))
            batch = render(kind, seed=seed, indices=indices, size=size, device=device, photos=textures)
            _write(out, [f"{kind}_{seed}_{index:06d}" for index in indices], batch, suffix)
            report(indices[-1] + 1, num)


def _write(out: Path, names: Sequence[str], batch: SynthBatch, suffix: str) -> None:
    pair = batch.to("cpu").pair
    for position, name in enumerate(names):
        values = (pair.rig.focal_px, pair.rig.baseline_m, pair.rig.width, pair.rig.doffs_px)
        focal_px, baseline_m, width, doffs_px = (float(value[position]) for value in values)  # type: ignore[index]
        rig = Rig(focal_px=focal_px, baseline_m=baseline_m, width=int(width), doffs_px=doffs_px)
        write_rig(out / "rig" / f"{name}.json", rig)
        # The left image goes last: a folder that is read while we write shows finished pairs only.
        _write_view(out, name, "right", "disparity_right", pair.right, position, suffix)
        _write_view(out, name, "left", "disparity", pair.left, position, suffix)


def _write_view(out: Path, name: str, images: str, maps: str, view: View, position: int, suffix: str) -> None:
    disparity, valid = (tensor[position, 0].numpy() for tensor in (view.disparity, view.valid))
    write_disparity(out / maps / f"{name}{suffix}", disparity, valid)
    write_image(out / images / f"{name}.png", view.image[position].permute(1, 2, 0).numpy())


def _read_photos(folder: Path) -> list[np.ndarray]:
    if not folder.is_dir():
        raise UserError(f"--photos {folder}: no such folder")
    paths = list_images(folder)
    if not paths:
        raise UserError(f"--photos {folder}: no images in it ({' '.join(IMAGE_SUFFIXES)})")
    return [read_image(path) for path in paths]
