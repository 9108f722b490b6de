"""ROS `camera_info`: a file per camera, as `camera_calibration` writes it or as the message is printed.

K and D are the lens, R and P the rectification; the right P holds the baseline.  See sensor_msgs/CameraInfo.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stereodistill.cameras.dialects.found import Found, Lens, Size, from_projections, matrix_of, numbers, size_of
from stereodistill.cameras.dialects.source import Source
from stereodistill.cameras.model import Model
from stereodistill.errors import UserError

EXPECTS = "ROS camera_info pair (K D R P; plumb_bob, rational_polynomial or equidistant; a folder or two files)"

_NAMES = {
    "K": ("camera_matrix", "K", "k"),
    "D": ("distortion_coefficients", "D", "d"),
    "R": ("rectification_matrix", "R", "r"),
    "P": ("projection_matrix", "P", "p"),
}
_LENSES: dict[str, Model] = {
    "": "pinhole", "plumb_bob": "pinhole", "rational_polynomial": "pinhole", "equidistant": "fisheye",
    "fisheye": "fisheye",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class _View:
    lens: Lens
    size: Size
    rotation: np.ndarray
    projection: np.ndarray


def read(source: Source) -> Found | None:
    """The rig of two files; None when this is no camera_info."""
    if _value(source, "K") is None or _value(source, "P") is None:
        return None
    left_file, right_file = source.views()
    left, right = _view(left_file), _view(right_file)
    if not (left.projection[0, 3] or right.projection[0, 3] or right.projection[1, 3]):
        raise UserError(
            f"{right_file.shown}: P holds no baseline (its last column is 0): both cameras were calibrated alone; "
            "calibrate them as a stereo pair"
        )
    found = from_projections(
        (left.lens, right.lens), (left.rotation, right.rotation), (left.projection, right.projection), left.size, "m"
    )
    # Windows of different rows in both cameras: their own rectification no longer shares its rows.
    shared = abs(left.projection[1, 2] - right.projection[1, 2]) < 1e-6 and left.size == right.size
    return found if shared else replace(found, rectified=None)


def _view(file: Source) -> _View:
    matrix = matrix_of(file.shown, "K", _value(file, "K"), 3, 3)
    projection = matrix_of(file.shown, "P", _value(file, "P"), 3, 4)
    rotation = matrix_of(file.shown, "R", _value(file, "R"), 3, 3)
    if not (matrix[0, 0] > 0 and projection[0, 0] > 0):
        raise UserError(f"{file.shown}: K and P are zero: this camera was never calibrated")
    said = str(file.values.get("distortion_model") or "").strip().lower()
    if said not in _LENSES:
        raise UserError(f"{file.shown}: distortion_model {said!r}; expected {', '.join(filter(None, _LENSES))}")
    distortion = numbers(_value(file, "D"))
    seen, size = _seen(file)
    lens = Lens(
        matrix=seen @ matrix,
        distortion=np.zeros(4) if distortion is None else distortion,
        size=size,
        model=_LENSES[said],
    )
    return _View(lens, size, rotation, seen @ projection)


def _seen(file: Source) -> tuple[np.ndarray, Size]:
    """What the region of interest and binning do to a point of the full picture, and the size of what is sent."""
    height, width = (
        _whole(file, file.values, *names) for names in (("image_height", "height"), ("image_width", "width"))
    )
    roi = file.values.get("roi")
    roi = roi if isinstance(roi, Mapping) else {}
    x, y = _whole(file, roi, "x_offset"), _whole(file, roi, "y_offset")
    height, width = _whole(file, roi, "height") or height, _whole(file, roi, "width") or width
    across, down = (max(1, _whole(file, file.values, key)) for key in ("binning_x", "binning_y"))
    height, width = size_of(file.shown, width, height)
    return np.array([[1 / across, 0, -x / across], [0, 1 / down, -y / down], [0, 0, 1]]), (
        height // down,
        width // across,
    )


def _whole(file: Source, values: Any, *names: str) -> int:
    """The first of these numbers that is there, else 0."""
    for name in names:
        if name in values:
            try:
                return int(values[name])
            except (TypeError, ValueError):
                raise UserError(f"{file.shown}: {name} is no whole number: {values[name]!r}") from None
    return 0


def _value(file: Source, quantity: str) -> Any:
    return next((file.values[name] for name in _NAMES[quantity] if name in file.values), None)
