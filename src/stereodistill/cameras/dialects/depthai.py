"""OAK-D cameras: the JSON of Luxonis' DepthAI (`CalibrationHandler.eepromToJsonFile`).

Each camera's `extrinsics` take a point from it to `toCameraSocket`, in centimetres unless `lengthUnit` says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from stereodistill.cameras.dialects.found import UNITS, Found, Lens, Size, matrix_of, numbers, size_of
from stereodistill.cameras.dialects.source import Source
from stereodistill.errors import UserError

EXPECTS = "OAK-D / DepthAI JSON (cameraData)"

_LENGTH_UNITS = {"0": "m", "1": "cm", "2": "mm"}
_LEFT_SOCKET, _RIGHT_SOCKET = 1, 2  # CAM_B, CAM_C


def read(source: Source) -> Found | None:
    """The rig of the two stereo sockets; None when this is no DepthAI file."""
    listed = source.values.get("cameraData")
    if not isinstance(listed, list):
        return None
    cameras = {entry[0]: entry[1] for entry in listed
               if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], int)
               and isinstance(entry[1], Mapping)}  # fmt: skip
    stated = _map(source.values.get("stereoRectificationData"))
    left, right = source.cameras or (_socket(stated, "left", cameras), _socket(stated, "right", cameras))
    for socket in (left, right):
        if socket not in cameras:
            raise UserError(f"{source.shown}: no camera at socket {socket} (found {', '.join(map(str, cameras))})")
    pose = _pose(source, cameras, left, right)
    lenses = [_lens(source, socket, cameras[socket]) for socket in (left, right)]
    return Found(left=lenses[0][0], right=lenses[1][0], rotation=pose[:3, :3], translation=pose[:3, 3], unit="m",
                 notes=lenses[0][1])  # fmt: skip


def _socket(stated: Mapping[str, Any], side: str, cameras: Mapping[int, Any]) -> int:
    socket = stated.get(f"{side}CameraSocket")
    if isinstance(socket, int) and socket in cameras:
        return socket
    return _LEFT_SOCKET if side == "left" else _RIGHT_SOCKET


def _pose(source: Source, cameras: Mapping[int, Mapping[str, Any]], left: int, right: int) -> np.ndarray:
    """(4, 4) in metres: both cameras' chains of extrinsics, followed to where they meet."""
    left_chain, right_chain = _chain(source, cameras, left), _chain(source, cameras, right)
    for socket, from_left in left_chain.items():
        if socket in right_chain:
            return np.linalg.inv(right_chain[socket]) @ from_left
    raise UserError(f"{source.shown}: nothing says how sockets {left} and {right} stand to each other (extrinsics)")


def _chain(source: Source, cameras: Mapping[int, Mapping[str, Any]], socket: int) -> dict[int, np.ndarray]:
    """Socket -> (4, 4) from the first camera to it, as far as the extrinsics lead."""
    reached, here = {socket: np.eye(4)}, np.eye(4)
    while socket in cameras:
        extrinsics = _map(cameras[socket].get("extrinsics"))
        following = extrinsics.get("toCameraSocket", -1)
        if not isinstance(following, int) or following < 0 or following in reached:
            break
        shift, unit = _map(extrinsics.get("translation")), _LENGTH_UNITS.get(str(extrinsics.get("lengthUnit")), "cm")
        step = np.eye(4)
        step[:3, :3] = matrix_of(
            source.shown, f"rotationMatrix of socket {socket}", extrinsics.get("rotationMatrix"), 3, 3
        )
        step[:3, 3] = matrix_of(source.shown, f"translation of socket {socket}", [shift.get(a, 0) for a in "xyz"], 3)
        step[:3, 3] *= UNITS[unit]
        here, socket = step @ here, following
        reached[socket] = here
    return reached


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _lens(source: Source, socket: int, camera: Mapping[str, Any]) -> tuple[Lens, tuple[str, ...]]:
    """The lens, and a note where the camera cuts its sensor's rows away (1280x800 sent as 1280x720)."""
    matrix = matrix_of(source.shown, f"intrinsicMatrix of socket {socket}", camera.get("intrinsicMatrix"), 3, 3)
    if camera.get("cameraType", 0) not in (0, 1):
        raise UserError(f"{source.shown}: socket {socket} is neither a perspective nor a fisheye camera (cameraType)")
    is_fisheye = camera.get("cameraType") == 1
    distortion = numbers(camera.get("distortionCoeff"))
    distortion = np.zeros(4) if distortion is None else distortion
    full = size_of(source.shown, camera.get("width"), camera.get("height"))
    matrix, size = _cropped(matrix, full, source.size)
    note = (f"{full[1]}x{full[0]} cut to the shape of {size[1]}x{size[0]} about the middle, as the camera does it",)
    return Lens(
        matrix=matrix,
        distortion=distortion[:4] if is_fisheye else distortion,
        size=size,
        model="fisheye" if is_fisheye else "pinhole",
    ), note if size != full else ()


def _cropped(matrix: np.ndarray, full: Size, size: Size | None) -> tuple[np.ndarray, Size]:
    """DepthAI's `keepAspectRatio`: the sensor is scaled to cover the picture and cut evenly on both sides."""
    if size is None or abs(full[0] * size[1] / full[1] - size[0]) <= 1:
        return matrix, full
    scale = max(size[0] / full[0], size[1] / full[1])
    kept = round(size[0] / scale), round(size[1] / scale)
    cut_rows, cut_columns = (full[0] - kept[0]) / 2, (full[1] - kept[1]) / 2
    return np.array([[1, 0, -cut_columns], [0, 1, -cut_rows], [0, 0, 1]]) @ matrix, kept
