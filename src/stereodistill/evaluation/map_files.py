"""Files of numbers whose meaning the user tells: 16-bit PNG, PFM, npy and npz to plain float32 maps."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stereodistill.errors import UserError
from stereodistill.io.disparity import PNG_UNITS_PER_PX, read_pfm
from stereodistill.io.files import check_readable, shown
from stereodistill.io.images import MAX_PIXELS, read_samples

MAP_SUFFIXES = (".png", ".pfm", ".npy", ".npz")
NAMES = "names"
"""Array of an npz that tells which image each map belongs to."""
MAX_NPZ_BYTES = 1 << 34
"""An npz is unpacked in memory; the largest in use hold 697 maps of 375 x 1242."""


def read_map(path: Path) -> np.ndarray:
    """(h, w) float32: a 16-bit PNG's numbers / 256, or the numbers of a PFM, npy or npz as they are.

    Raises:
        UserError: unreadable, or not one map.
    """
    suffix = path.suffix.lower()
    if suffix == ".png":
        samples = read_samples(path)
        if samples.dtype != np.uint16 or samples.ndim != 2:
            kind = f"{samples.dtype.itemsize * 8}-bit {'grey' if samples.ndim == 2 else 'colour'}"
            raise UserError(f"{shown(path)}: a map as PNG is 16-bit grey (value * 256, 0 = unknown), found {kind}")
        return samples.astype(np.float32) / PNG_UNITS_PER_PX
    values = read_pfm(path) if suffix == ".pfm" else _open_arrays(path)[0]
    values = _without_channels(values, 2)
    if values.ndim != 2 or not 0 < values.size <= MAX_PIXELS:
        raise UserError(f"{shown(path)}: expected one map (height, width), found the shape {values.shape}")
    return np.asarray(values, dtype=np.float32)


def open_stack(path: Path) -> tuple[np.ndarray, list[str] | None]:
    """(N, h, w) numbers of an npy (left on disk until they are asked for) or npz, and the npz's names if it has some.

    Raises:
        UserError: unreadable, pickled objects, or another shape.
    """
    values, names = _open_arrays(path)
    values = _without_channels(values, 3)
    if values.ndim != 3 or not 0 < values.shape[1] * values.shape[2] <= MAX_PIXELS:
        raise UserError(f"{shown(path)}: expected the maps of all images (N, height, width), found {values.shape}")
    return values, names


def _without_channels(values: np.ndarray, num_dimensions: int) -> np.ndarray:
    """Drop a single channel before or after height and width."""
    if values.ndim == num_dimensions + 1:
        if values.shape[-3] == 1:
            return values[..., 0, :, :]
        if values.shape[-1] == 1:
            return values[..., 0]
    return values


def _open_arrays(path: Path) -> tuple[np.ndarray, list[str] | None]:
    check_readable(path)
    kind = path.suffix.lower()[1:]
    try:
        if kind == "npy":
            values, names = np.load(path, mmap_mode="r", allow_pickle=False), None
        else:
            values, names = _open_npz(path)
    except UserError:
        raise
    except Exception as error:  # numpy, zipfile, zlib and Python's own parser raise many kinds for a damaged file
        pickled = "allow_pickle" in str(error) or "Python objects" in str(error)
        raise UserError(
            f"cannot read {shown(path)} as {kind}: it "
            + (
                "holds Python objects, which are never loaded; save plain numbers, or a file for each image"
                if pickled
                else "is damaged; write it with numpy again"
            )
        ) from None
    if values.dtype.kind not in "fiu":
        raise UserError(f"{shown(path)}: expected plain numbers, found {str(values.dtype)[:40]!a}")
    return values, names


def _open_npz(path: Path) -> tuple[np.ndarray, list[str] | None]:
    with zipfile.ZipFile(path) as archive:
        num_bytes = sum(member.file_size for member in archive.infolist())
    if num_bytes > MAX_NPZ_BYTES:
        raise UserError(f"{shown(path)} unpacks to {num_bytes / 2**30:.0f} GB: save it as .npy, which stays on disk")
    with np.load(path, allow_pickle=False) as arrays:
        keys = [key for key in arrays.files if key != NAMES]
        if len(keys) != 1:
            found: Sequence[str] = sorted(keys)[:5]
            raise UserError(f"{shown(path)}: expected one array (and {NAMES!r} if you like), found {', '.join(found)}")
        names = [str(name) for name in arrays[NAMES].ravel()] if NAMES in arrays.files else None
        return arrays[keys[0]], names
