"""What a dialect found in a file, and the checks that hold for every dialect: one place for sizes, units and senses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stereodistill.cameras.model import Camera, Model, RectifiedViews, StereoCalibration
from stereodistill.errors import UserError

Size = tuple[int, int]
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001}
LARGEST_METRES, SMALLEST_MILLIMETRES = 2.0, 10.0
"""A baseline without a unit is in metres up to the first and in millimetres from the second; between, nobody knows."""
LARGEST_BASELINE_M = 10.0
MOST_PIXELS_ACROSS = 100_000

_COEFFICIENTS = {"pinhole": (4, 5, 8, 12, 14), "fisheye": (4,)}
_OFF_CENTRE = 0.25


@dataclass(frozen=True, eq=False, kw_only=True)
class Lens:
    """A camera as a file states it: `size` (height, width) is None where it says nothing."""

    matrix: np.ndarray
    distortion: np.ndarray
    size: Size | None = None
    model: Model = "pinhole"


@dataclass(frozen=True, eq=False, kw_only=True)
class Found:
    """A rig as a file states it; `unit` of `translation` and of `rectified` is None where it says nothing."""

    left: Lens
    right: Lens
    rotation: np.ndarray
    translation: np.ndarray
    unit: str | None = None
    notes: tuple[str, ...] = ()
    rectified: RectifiedViews | None = None


def numbers(value: Any) -> np.ndarray | None:
    """The float64 numbers of text, lists, arrays, or OpenCV's map with `data`; None when these are no numbers."""
    if isinstance(value, Mapping):
        value = value.get("data")
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if value is None or isinstance(value, Mapping):
        return None
    try:
        found = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return found if found.size else None


def matrix_of(source: str, name: str, value: Any, *shape: int) -> np.ndarray:
    """The numbers of `value` as an array of `shape`; `UserError` names what is missing."""
    found = numbers(value)
    if found is None or found.size != math.prod(shape):
        held = "nothing that is numbers" if found is None else f"{found.size} numbers"
        raise UserError(f"{source}: {name} must hold {' x '.join(map(str, shape))} numbers, found {held}")
    if not np.isfinite(found).all():
        raise UserError(f"{source}: {name} holds something that is no finite number")
    return found.reshape(shape)


def size_of(source: str, width: Any, height: Any) -> Size:
    """(height, width) in whole pixels; `UserError` where these are none."""
    wide, high = matrix_of(source, "the size of the pictures", [width, height], 2)
    if not (1 <= wide <= MOST_PIXELS_ACROSS and 1 <= high <= MOST_PIXELS_ACROSS):
        raise UserError(f"{source}: pictures of {wide:g}x{high:g} pixels; a width and a height are expected")
    return int(high), int(wide)


def from_projections(
    lenses: tuple[Lens, Lens],
    rotations: tuple[np.ndarray, np.ndarray],
    projections: tuple[np.ndarray, np.ndarray],
    size: Size | None,
    unit: str | None,
) -> Found:
    """A rig told by its rectification: `x_rect = rotation @ x`, and `projection[:, 3]` = matrix @ position of it.

    The two rectified frames are parallel and differ by a shift: `x_rect_right = x_rect_left + shift`.
    """
    left, right = (np.linalg.solve(p[:, :3], p[:, 3]) for p in projections)
    rotation_left, rotation_right = rotations
    views = None
    if size is not None:
        views = RectifiedViews(
            rotation_left=rotation_left,
            rotation_right=rotation_right,
            projection_left=projections[0],
            projection_right=projections[1],
            size=size,
        )
    return Found(
        left=lenses[0],
        right=lenses[1],
        rotation=rotation_right.T @ rotation_left,
        translation=rotation_right.T @ (right - left),
        unit=unit,
        rectified=views,
    )


def checked(source: str, found: Found, *, unit: str | None, size: Size | None) -> StereoCalibration:
    """The calibration after all checks; `size` (height, width) of the pictures, where it is known.

    Raises:
        UserError: numbers that no pair of cameras has, a unit or a size that nobody states, another aspect.
    """
    for name, array in (("rotation", found.rotation), ("translation", found.translation)):
        if not np.isfinite(array).all():
            raise UserError(f"{source}: the {name} between the cameras holds numbers that are not finite")
    rotation = found.rotation
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-2 or np.linalg.det(rotation) < 0:
        raise UserError(f"{source}: the rotation between the cameras is no rotation matrix (R @ R.T must be 1)")
    scale, notes = _metres(source, found, unit)
    left, right = (_camera(source, side, lens, size) for side, lens in (("left", found.left), ("right", found.right)))
    rectified = found.rectified
    if rectified is not None:
        shift = np.array([1, 1, 1, scale])
        left_projection, right_projection = rectified.projection_left * shift, rectified.projection_right * shift
        rectified = replace(rectified, projection_left=left_projection, projection_right=right_projection)
    calibration = StereoCalibration(
        left=left,
        right=right,
        rotation=_nearest_rotation(rotation),
        translation_m=found.translation.reshape(3) * scale,
        source=source,
        notes=(*found.notes, *notes),
        rectified=rectified,
    )
    return calibration if size is None else calibration.scaled_to(size)


def _nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """Files round to a few digits; OpenCV wants orthonormal rows."""
    u, _, vt = np.linalg.svd(matrix)
    return u @ vt


def _metres(source: str, found: Found, unit: str | None) -> tuple[float, tuple[str, ...]]:
    """(metres per unit of the file, what was concluded)."""
    for name in filter(None, (unit, found.unit)):
        if name not in UNITS:
            raise UserError(f"{source}: the unit of a baseline is one of {', '.join(UNITS)}, found {name!r}")
    length = float(np.linalg.norm(found.translation))
    if length == 0:
        raise UserError(f"{source}: the baseline is 0; both entries describe the same camera")
    notes: tuple[str, ...] = ()
    if unit and found.unit and unit != found.unit:
        notes = (f"the file states its baseline in {found.unit}, read in {unit} as asked",)
    known = unit or found.unit
    if known is None and length >= SMALLEST_MILLIMETRES:
        known = "mm"
        notes = (f"a baseline of {length:.6g} without a unit was read in millimetres; --unit says otherwise",)
    elif known is None and length > LARGEST_METRES:
        raise UserError(
            f"{source}: a baseline of {length:.6g} without a unit may be metres, centimetres or millimetres: give "
            "--unit m, cm or mm"
        )
    scale = UNITS[known or "m"]
    if length * scale > LARGEST_BASELINE_M:
        raise UserError(
            f"{source}: a baseline of {length * scale:.6g} m; at most {LARGEST_BASELINE_M:g} m are plausible "
            "(another --unit?)"
        )
    return scale, notes


def _camera(source: str, side: str, lens: Lens, size: Size | None) -> Camera:
    matrix, distortion = lens.matrix.reshape(3, 3), lens.distortion.reshape(-1)
    allowed = _COEFFICIENTS[lens.model]
    if distortion.size > max(allowed) and not distortion[max(allowed) :].any():
        distortion = distortion[: max(allowed)]
    if distortion.size not in allowed:
        distortion = np.append(distortion, np.zeros(max(0, 4 - distortion.size)))
    if distortion.size not in allowed:
        raise UserError(
            f"{source}: the {side} {lens.model} lens has {distortion.size} distortion coefficients, expected "
            f"{', '.join(map(str, allowed))}"
        )
    if not (np.isfinite(matrix).all() and np.isfinite(distortion).all() and matrix[0, 0] > 0 and matrix[1, 1] > 0):
        raise UserError(f"{source}: the {side} camera's matrix holds no positive, finite focal length")
    if np.abs(matrix[2] - (0, 0, 1)).max() > 1e-6:
        raise UserError(f"{source}: the last row of the {side} camera's matrix is not 0 0 1")
    stated = lens.size
    if stated is None:
        if size is None:
            raise UserError(f"{source} does not state the size of its pictures: give it (width and height in pixels)")
        _check_centre(source, side, matrix, size)
    return Camera(matrix=matrix, distortion=distortion, model=lens.model, size=stated or size or (0, 0))


def _check_centre(source: str, side: str, matrix: np.ndarray, size: Size) -> None:
    """A file without a size may be of another resolution; its centre gives that away."""
    (height, width), (cx, cy) = size, matrix[:2, 2]
    if abs(cx / width - 0.5) > _OFF_CENTRE or abs(cy / height - 0.5) > _OFF_CENTRE:
        raise UserError(
            f"{source}: the {side} camera's centre ({cx:.0f}, {cy:.0f}) is not near the middle of pictures of "
            f"{width}x{height}: it was calibrated at another resolution, near {2 * cx:.0f}x{2 * cy:.0f}"
        )
