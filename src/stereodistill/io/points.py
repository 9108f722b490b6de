"""Coloured point clouds as binary PLY, which every viewer opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stereodistill.io.files import write_bytes

_POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")])
_TYPES = {"<f4": "float", "|u1": "uchar"}
_PROPERTIES = "".join(f"property {_TYPES[_POINT[name].str]} {name}\n" for name in _POINT.names or ())
_HEADER = "ply\nformat binary_little_endian 1.0\nelement vertex {}\n" + _PROPERTIES + "end_header\n"


def write_ply(path: str | Path, points: np.ndarray, colors: np.ndarray) -> None:
    """Write points (N, 3) float, metres, with colours (N, 3) uint8 RGB; points that are not finite are left out.

    Little-endian binary, x y z as float, red green blue as uchar.  Errors as `atomic_path`.
    """
    points, colors = np.asarray(points), np.asarray(colors)
    assert points.ndim == 2 and points.shape[1] == 3, f"points are (N, 3), not {points.shape}"
    assert colors.shape == points.shape and colors.dtype == np.uint8, f"colors are (N, 3) uint8, not {colors.shape}"
    finite = np.isfinite(points).all(axis=1)
    table = np.empty(int(finite.sum()), _POINT)
    for column, (axis, channel) in enumerate(zip("xyz", ("red", "green", "blue"), strict=True)):
        table[axis] = points[finite, column]
        table[channel] = colors[finite, column]
    write_bytes(path, _HEADER.format(len(table)).encode() + table.tobytes())
