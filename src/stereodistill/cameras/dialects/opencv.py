"""OpenCV's `stereoCalibrate` as people save it: YAML, XML, JSON or npz, one file or intrinsics and extrinsics apart.

There is no standard of names.  A key is read as a quantity and a camera in any order and spelling: `K1`, `M1`,
`cameraMatrixL`, `camera_matrix_left`, `LEFT.K`, `left: {K: ...}`.  `stereodistill calibrate` writes this dialect.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np

from stereodistill.cameras.dialects.found import Found, Lens, Size, from_projections, matrix_of, numbers, size_of
from stereodistill.cameras.dialects.source import Source
from stereodistill.cameras.model import Model
from stereodistill.errors import UserError

EXPECTS = "OpenCV stereoCalibrate (K1 D1 K2 D2 R T in the usual spellings; YAML, XML, JSON, npz)"

_MATRIX = "k|m|cm|km|mtx|cameramatrix|cammatrix|matrix|intrinsics?|intrinsicmatrix|camerak|k3x3"
_DISTORTION = "d|dc|dist|distcoeffs?|distcoefs?|distortion|distortions|distortioncoefficients|distortioncoeffs?"
_RECTIFY = "r|rect|rectification|rectificationmatrix"
_PROJECTION = "p|proj|projection|projectionmatrix"
_ROTATION = {
    "r",
    "rot",
    "rotation",
    "rotationmatrix",
    "rotmat",
    "rstereo",
    "stereor",
    "extrinsicrotation",
    "om",
    "rvec",
}
_TRANSLATION = {"t", "trans", "translation", "translationvector", "transvector", "tvec", "tstereo", "stereot",
                "extrinsictranslation"}  # fmt: skip
_CAMERAS = (("left", "right"), ("l", "r"), ("1", "2"), ("0", "1"))
_SIZES = ("imagesize", "imgsize", "size", "framesize", "resolution", "imageshape")
_WIDTHS, _HEIGHTS = ("imagewidth", "width", "w", "leftwidth"), ("imageheight", "height", "h", "leftheight")
_MODELS = ("model", "cameramodel", "distortionmodel", "lensmodel", "fisheye", "leftmodel", "leftdistortionmodel")
_UNITS = ("unit", "units", "lengthunit", "translationunit", "baselineunit")


def read(source: Source) -> Found | None:
    """The rig of a file that holds both cameras; None when it is not of this dialect."""
    values = _flat(source)
    cameras = _cameras(values)
    if cameras is None:
        if _first(values, _ROTATION) is None or _first(values, _TRANSLATION) is None:
            return None
        other = source.beside("intrinsics", "intrinsic", "intrinsics_stereo")
        values = {**(_flat(other) if other else {}), **values}
        cameras = _cameras(values)
        if cameras is None:
            return None
    if _first(values, _ROTATION) is None and _first(values, _TRANSLATION) is None:
        other = source.beside("extrinsics", "extrinsic", "extrinsics_stereo")
        values = {**(_flat(other) if other else {}), **values}
    name, model = source.shown, _model(values)
    lenses = (_lens(name, values, cameras[0], model), _lens(name, values, cameras[1], model))
    unit = _first(values, _UNITS)
    return _pose(name, values, lenses, cameras, None if unit is None else str(unit).strip())


def _pose(
    name: str, values: Mapping[str, Any], lenses: tuple[Lens, Lens], cameras: tuple[str, str], unit: str | None
) -> Found:
    rotation, translation = numbers(_first(values, _ROTATION)), numbers(_first(values, _TRANSLATION))
    if rotation is not None and translation is not None:
        if rotation.size == 3:  # a rotation vector
            rotation = cv2.Rodrigues(rotation.reshape(3, 1))[0]
        rotation, translation = matrix_of(name, "R", rotation, 3, 3), matrix_of(name, "T", translation, 3)
        return Found(left=lenses[0], right=lenses[1], rotation=rotation, translation=translation, unit=unit)
    rotations = [_of_camera(values, _RECTIFY, camera) for camera in cameras]
    projections = [_of_camera(values, _PROJECTION, camera) for camera in cameras]
    if any(value is None for value in (*rotations, *projections)):
        raise UserError(f"{name} holds both lenses but not how the cameras stand: expected R and T (stereoCalibrate)")
    left_r, right_r = (matrix_of(name, f"R of {c}", r, 3, 3) for r, c in zip(rotations, cameras, strict=True))
    left_p, right_p = (matrix_of(name, f"P of {c}", p, 3, 4) for p, c in zip(projections, cameras, strict=True))
    return from_projections(lenses, (left_r, right_r), (left_p, right_p), lenses[0].size, unit)


def _flat(source: Source) -> dict[str, Any]:
    """Keys in lower case without punctuation, those of nested maps behind the name of their map."""

    def walk(values: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
        for key, value in values.items():
            name = prefix + re.sub(r"[^a-z0-9]", "", str(key).lower())
            if isinstance(value, Mapping) and "data" not in value and depth < 3:
                yield from walk(value, name, depth + 1)
            else:
                yield name, value

    return dict(walk(source.values, "", 0))


def _cameras(values: Mapping[str, Any]) -> tuple[str, str] | None:
    """How the file names its two cameras: the first pair of names for which it has two camera matrices."""
    for pair in _CAMERAS:
        held = [numbers(_of_camera(values, _MATRIX, camera)) for camera in pair]
        if all(matrix is not None and matrix.size == 9 for matrix in held):
            return pair
    return None


def _of_camera(values: Mapping[str, Any], quantity: str, camera: str) -> Any:
    """The value whose key says `quantity` and `camera`, in either order."""
    names = rf"(?:camera|cam)?{camera}(?:camera|cam)?"
    pattern = re.compile(rf"(?:{names}(?:{quantity})|(?:{quantity}){names})")
    return next((value for key, value in values.items() if pattern.fullmatch(key)), None)


def _lens(name: str, values: Mapping[str, Any], camera: str, model: Model) -> Lens:
    matrix = matrix_of(name, f"the matrix of camera {camera}", _of_camera(values, _MATRIX, camera), 3, 3)
    distortion = numbers(_of_camera(values, _DISTORTION, camera))
    if distortion is None:
        raise UserError(f"{name}: no distortion coefficients of camera {camera} (D1 and D2, zeros if there are none)")
    return Lens(matrix=matrix, distortion=distortion, size=_size(name, values, matrix), model=model)


def _size(source: str, values: Mapping[str, Any], matrix: np.ndarray) -> Size | None:
    """(height, width); a pair of numbers is width, height in OpenCV, but numpy's shape when the centre says so."""
    width, height = numbers(_first(values, _WIDTHS)), numbers(_first(values, _HEIGHTS))
    if width is not None and height is not None and width.size == height.size == 1:
        return size_of(source, width.item(), height.item())
    pair = numbers(_first(values, _SIZES))
    if pair is None or pair.size < 2:
        return None
    high, wide = size_of(source, *pair.reshape(-1)[:2])
    centre = matrix[:2, 2]
    as_stated, turned = (np.abs(centre / size - 0.5).max() for size in ((wide, high), (high, wide)))
    return (high, wide) if as_stated <= turned else (wide, high)


def _model(values: Mapping[str, Any]) -> Model:
    said = str(_first(values, _MODELS) or "").lower()
    return "fisheye" if said in ("1", "true") or re.search("fisheye|equi|kannala", said) else "pinhole"


def _first(values: Mapping[str, Any], names: Any) -> Any:
    return next((values[name] for name in names if name in values), None)
