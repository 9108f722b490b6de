"""A procedural world on disk, in the folder layout: what the command `synth` does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stereodistill.data.layouts import list_images
from stereodistill.data.writing import write_pair
from stereodistill.errors import UserError
from stereodistill.io.disparity import DISPARITY_SUFFIXES
from stereodistill.io.images import IMAGE_SUFFIXES, read_image
from stereodistill.io.lock import one_per_out
from stereodistill.progress import progress
from stereodistill.synth import render
from stereodistill.types import uncollate

if TYPE_CHECKING:
    import numpy as np
    import torch

CHUNK = 4
"""Pairs rendered at a time: enough to keep a GPU busy, little enough for any memory."""


@one_per_out
def write_world(
    out: str | Path,
    kind: str,
    num: int = 16,
    size: tuple[int, int] = (384, 640),
    seed: int = 0,
    *,
    photos: str | Path | None = None,
    suffix: str = "pfm",
    device: torch.device | str = "cpu",
) -> Path:
    """Render pairs 0..num-1 of the world `kind` into the folder `out`, which is returned.

    Pair i is the same for every `num`.

    Args:
        kind: flying, street or room.
        size: (height, width).
        photos: folder of pictures that are used as textures too.
        suffix: format of the disparities: pfm, png or npy.

    Raises:
        UserError: a folder that holds pairs already, an unknown world or format, a disk that refuses.
    """
    out = Path(out)
    suffix = f".{suffix.lstrip('.')}"
    if suffix not in DISPARITY_SUFFIXES:
        raise UserError(f"--disparity {suffix[1:]!r}: choose one of {', '.join(s[1:] for s in DISPARITY_SUFFIXES)}")
    if any((out / "left").glob("*")):
        raise UserError(f"{out} holds pairs already: choose another --out or delete it")
    textures = None if photos is None else _read_photos(Path(photos))
    with progress("rendering") as report:
        for start in range(0, num, CHUNK):
            indices = range(start, min(start + CHUNK, num))
            batch = render(kind, seed=seed, indices=indices, size=size, device=device, photos=textures)
            for index, pair in zip(indices, uncollate(batch.to("cpu").pair), strict=True):
                write_pair(out, replace(pair, name=f"{kind}_{seed}_{index:06d}"), suffix)
            report(indices[-1] + 1, num)
    return out


def _read_photos(folder: Path) -> list[np.ndarray]:
    if not folder.is_dir():
        raise UserError(f"--photos {folder}: no such folder")
    paths = list_images(folder)
    if not paths:
        raise UserError(f"--photos {folder}: no images in it ({' '.join(IMAGE_SUFFIXES)})")
    return [read_image(path) for path in paths]
