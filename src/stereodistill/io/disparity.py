"""Disparity files to arrays and back: 16-bit PNG, PFM, npy.

In memory a disparity is float32 (height, width) in pixels of its own width, 0 where unknown, next to a bool
mask of the same shape, True where known.  Files: PNG holds `round(256 * pixels)`, 0 = unknown (KITTI); PFM
and npy hold pixels; 0, NaN and infinity are unknown.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np

from stereodistill.errors import UserError
from stereodistill.io.files import read_bytes, read_part, shown, write_bytes
from stereodistill.io.images import (
    MAX_PIXELS,
    ChooseWindow,
    Window,
    read_samples,
    read_samples_window,
    write_image,
)

DISPARITY_SUFFIXES = (".png", ".pfm", ".npy")

PNG_UNITS_PER_PX = 256
PNG_LARGEST_PX = 65535 / PNG_UNITS_PER_PX

_PFM_HEADER = re.compile(rb"(P[Ff])\s+(\d{1,9})\s+(\d{1,9})\s+(\S{1,40})[ \t]*\r?\n")


def read_disparity(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read (disparity, valid): float32 and bool (height, width); disparity in pixels, 0 where not valid.

    Raises `UserError` for an unreadable or truncated file, for negative values (the sign convention is
    `x_right = x_left - disparity`), and for values above the map's own width (another unit or scale).
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".png":
        values = _pixels(path, read_samples(path))
    elif suffix == ".pfm":
        values = read_disparity_pfm(path)
    elif suffix == ".npy":
        values = _read_npy(path)
    else:
        known = " ".join(DISPARITY_SUFFIXES)
        raise UserError(f"{shown(path)}: a disparity file ends in one of {known}, found {suffix or 'no suffix'}")
    return _split_unknown(values, path, values.shape[1])


def read_disparity_window(path: str | Path, choose: ChooseWindow) -> tuple[np.ndarray, np.ndarray]:
    """(disparity, valid) of the window `choose((height, width))` of a map.

    The numbers are those of `read_disparity`; of a PNG nothing below the window is decoded, of a PFM only the
    window's rows are read.  Errors as there; numbers outside the window are not looked at.
    """
    suffix = Path(path).suffix.lower()
    widths: list[int] = []

    def noted(size: tuple[int, int]) -> Window:
        widths.append(size[1])
        return choose(size)

    if suffix == ".png":
        values = _pixels(path, read_samples_window(path, noted)[0])
    elif suffix == ".pfm":
        values = read_disparity_pfm(path, noted)
    else:
        disparity, valid = read_disparity(path)
        window = choose((disparity.shape[0], disparity.shape[1]))
        return window.cut(disparity), window.cut(valid)
    return _split_unknown(values, path, widths[0])


def _pixels(path: str | Path, samples: np.ndarray) -> np.ndarray:
    if samples.dtype != np.uint16 or samples.ndim != 2:
        found = f"{samples.dtype.itemsize * 8}-bit {'grey' if samples.ndim == 2 else 'colour'}"
        raise UserError(f"{shown(path)}: a disparity PNG is 16-bit grey (pixels * 256, 0 = unknown), found {found}")
    return np.multiply(samples, np.float32(1 / PNG_UNITS_PER_PX), dtype=np.float32)


def positive_disparity(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(disparity, valid) of stored pixels: known where positive and finite, whatever the rest means; 0 elsewhere.

    For published data sets, whose marks for unknown (infinity, 0, negative numbers) are documented; files of
    unknown origin go through `read_disparity`, which refuses what hints at another sign or unit.
    """
    valid = np.isfinite(values) & (values > 0)
    return np.where(valid, values, np.float32(0)).astype(np.float32, copy=False), valid


def write_disparity(path: str | Path, disparity: np.ndarray, valid: np.ndarray | None = None) -> None:
    """Write float (height, width) pixels; unknown where `valid` is False, or the value is not positive and finite.

    The suffix chooses the format (`.png`, `.pfm`, `.npy`); unknown is stored as 0 in all three.  In a PNG a
    known value keeps 1/512 px accuracy and never becomes unknown.  Raises `UserError` for another suffix, for
    a value that a PNG cannot hold (above 255.99 px), and as `atomic_path`.
    """
    suffix = Path(path).suffix.lower()
    disparity = np.asarray(disparity, dtype=np.float32)
    assert disparity.ndim == 2 and disparity.size, f"a disparity map is (H, W), not {disparity.shape}"
    known = np.isfinite(disparity) & (disparity > 0)
    if valid is not None:
        assert valid.shape == disparity.shape, f"valid is {valid.shape}, disparity {disparity.shape}"
        known &= np.asarray(valid, dtype=bool)
    values = np.where(known, disparity, np.float32(0))
    if suffix == ".png":
        largest = float(values.max())
        if largest > PNG_LARGEST_PX:
            raise UserError(f"cannot write {shown(path)}: 16-bit PNG ends at 255.99 px, found {largest:.2f}; use .pfm")
        stored = np.maximum(np.rint(values * PNG_UNITS_PER_PX), known)
        write_image(path, stored.astype(np.uint16))
    elif suffix == ".pfm":
        write_pfm(path, values)
    elif suffix == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, values, allow_pickle=False)
        write_bytes(path, buffer.getvalue())
    else:
        known_suffixes = " ".join(DISPARITY_SUFFIXES)
        raise UserError(f"cannot write {shown(path)}: a disparity file ends in one of {known_suffixes}")


def read_disparity_pfm(path: str | Path, choose: ChooseWindow | None = None) -> np.ndarray:
    """`read_pfm` of a file with one channel: float32 (height, width)."""
    values = read_pfm(path, choose)
    if values.ndim != 2:
        raise UserError(f"{shown(path)}: a disparity PFM has one channel ('Pf'), found three ('PF')")
    return values


def read_pfm(path: str | Path, choose: ChooseWindow | None = None) -> np.ndarray:
    """The numbers of a PFM file, top row first: float32 (height, width) for 'Pf', (height, width, 3) for 'PF'.

    With `choose`, only the window `choose((height, width))`, and only its rows are read.

    The sign of the scale field tells the byte order.  Its magnitude is not applied: in stereo data it does not
    scale the values (Middlebury 2014 writes 1/255 there and means pixels).  Raises `UserError` for a damaged
    header or when the file does not hold exactly the values that the header promises.
    """
    start, num_bytes = read_part(path, 0, 256)
    header = _PFM_HEADER.match(start)
    if header is None:
        raise UserError(f"cannot read {shown(path)} as PFM: expected the header 'Pf', 'WIDTH HEIGHT', 'SCALE'")
    width, height, channels = int(header[2]), int(header[3]), 3 if header[1] == b"PF" else 1
    try:
        scale = float(header[4])
    except ValueError:
        scale = 0.0
    if not np.isfinite(scale) or scale == 0:
        raise UserError(f"cannot read {shown(path)} as PFM: the scale {header[4].decode('latin1')!a} is no number")
    _check_size(path, height, width)
    row_bytes, found = width * channels * 4, num_bytes - header.end()
    if row_bytes * height != found:
        state = "truncated" if found < row_bytes * height else "damaged"
        what = f"{width} x {height} pixels need {row_bytes * height} bytes, found {found}"
        raise UserError(f"cannot read {shown(path)} as PFM: the file is {state} ({what}); copy or download it again")
    window = Window(0, 0, height, width) if choose is None else choose((height, width))
    below = height - window.top - window.height  # the last row comes first
    data, _ = read_part(path, header.end() + below * row_bytes, window.height * row_bytes)
    shape = (window.height, width) if channels == 1 else (window.height, width, 3)
    rows = np.frombuffer(data, "<f4" if scale < 0 else ">f4").reshape(shape)[::-1]
    return np.ascontiguousarray(rows[:, window.left : window.left + window.width], dtype=np.float32)


def write_pfm(path: str | Path, values: np.ndarray) -> None:
    """Write float (height, width) or (height, width, 3) as little-endian PFM; errors as `atomic_path`."""
    values = np.asarray(values, dtype="<f4")
    assert values.ndim == 2 or (values.ndim == 3 and values.shape[2] == 3), f"(H, W[, 3]), not {values.shape}"
    height, width = values.shape[:2]
    header = f"{'Pf' if values.ndim == 2 else 'PF'}\n{width} {height}\n-1.0\n".encode()
    write_bytes(path, header + np.ascontiguousarray(values[::-1]).tobytes())


def _read_npy(path: str | Path) -> np.ndarray:
    """(height, width) real numbers; the header is checked before memory is taken and nothing is unpickled."""
    stream = io.BytesIO(read_bytes(path))
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran_order, dtype = read(stream)
    except Exception:  # numpy and Python's own parser raise many kinds for a damaged header
        raise UserError(f"cannot read {shown(path)} as npy: the header is damaged; write it with numpy.save") from None
    if dtype.hasobject or dtype.kind not in "fiu":
        raise UserError(f"{shown(path)}: a disparity npy holds plain numbers, found {ascii(str(dtype))[:60]}")
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != 2:
        raise UserError(f"{shown(path)}: a disparity npy has the shape (height, width), found {str(shape)[:60]}")
    _check_size(path, *shape)
    expected, body = shape[0] * shape[1] * dtype.itemsize, stream.read()
    if len(body) < expected:
        raise UserError(f"cannot read {shown(path)} as npy: the file is truncated; copy or download it again")
    values = np.frombuffer(body, dtype, count=shape[0] * shape[1])
    return values.reshape(shape, order="F" if fortran_order else "C")


def _check_size(path: str | Path, height: int, width: int) -> None:
    if not (height >= 1 and width >= 1 and height * width <= MAX_PIXELS):
        found = f"{width} x {height}"[:60]
        raise UserError(f"{shown(path)} claims {found} pixels: 1 to {MAX_PIXELS / 1e6:.0f} megapixels are read")


def _split_unknown(values: np.ndarray, path: str | Path, width: int) -> tuple[np.ndarray, np.ndarray]:
    finite = np.isfinite(values)
    known = values if finite.all() else np.where(finite, values, values.dtype.type(0))
    valid = known != 0
    smallest, largest = float(known.min()), float(known.max())
    if smallest < 0:
        share = float((known < 0).sum() / valid.sum())
        raise UserError(
            f"{shown(path)}: {share:.1%} of the known disparities are negative (down to {smallest:.4g}); "
            "expected x_left - x_right, positive: change the sign, and store unknown pixels as 0 or NaN"
        )
    if largest > width:
        raise UserError(
            f"{shown(path)}: the largest disparity, {largest:.6g} px, exceeds the width of {width} px; "
            "expected pixels of this map's width: check its unit or scale"
        )
    disparity = known.astype(np.float32, copy=not known.flags.writeable)
    return disparity, valid & (disparity > 0)  # a double can be too small for float32
