"""Masks of what a camera has seen: rectification leaves parts of a picture empty, and nobody may learn from those.

`seen_left.png` and `seen_right.png` beside `rig.json`: 8-bit grey, 255 = seen, 0 = empty, for every picture of the
folder and of those below it.  No file: everything is seen.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from stereodistill.errors import UserError
from stereodistill.io.images import read_samples, write_image

SIDES = ("left", "right")


def seen_path(root: Path, side: str) -> Path:
    """Where the mask of a side lies."""
    return root / f"seen_{side}.png"


def write_seen(root: Path, left: np.ndarray, right: np.ndarray) -> None:
    """Write bool (H, W) masks; one that hides nothing needs no file."""
    for side, seen in zip(SIDES, (left, right), strict=True):
        if not seen.all():
            write_image(seen_path(root, side), seen.astype(np.uint8) * 255)


def read_seen(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Bool (H, W), True = seen; do not change it.  `UserError` when it is not of the picture's `size`."""
    seen = _read(path, path.stat().st_mtime_ns)
    if seen.shape != size:
        found = f"{seen.shape[1]}x{seen.shape[0]}" if seen.ndim == 2 else "a colour picture"
        raise UserError(
            f"{path}: the mask of what a camera has seen must be grey and of its pictures' size {size[1]}x{size[0]}, "
            f"found {found}"
        )
    return seen


@lru_cache(maxsize=16)
def _read(path: Path, _mtime_ns: int) -> np.ndarray:
    return read_samples(path) > 127
