"""Kalibr's `camchain.yaml`, `camchain-imucam.yaml` (Furgale et al. 2013): `x_cam1 = T_cn_cnm1 @ x_cam0`, metres."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from stereodistill.cameras.dialects.found import Found, Lens, matrix_of, numbers, size_of
from stereodistill.cameras.dialects.source import Source
from stereodistill.cameras.model import Model
from stereodistill.errors import UserError

EXPECTS = "Kalibr camchain.yaml (pinhole-radtan, pinhole-equi)"

_LENSES: dict[str, Model] = {"radtan": "pinhole", "equidistant": "fisheye", "equi": "fisheye", "none": "pinhole"}


def read(source: Source) -> Found | None:
    """The rig of cam0 and cam1; None when this is no camera chain."""
    chain = source.values
    first, second = source.cameras or (0, 1)
    if not any(isinstance(camera, Mapping) and "camera_model" in camera for camera in chain.values()):
        return None
    left, right = (chain.get(f"cam{number}") for number in (first, second))
    if not (isinstance(left, Mapping) and isinstance(right, Mapping)):
        raise UserError(f"{source.shown}: expected cam{first} and cam{second}, found {', '.join(map(str, chain))}")
    others = [name for name in chain if str(name).startswith("cam") and name not in (f"cam{first}", f"cam{second}")]
    pose = _pose(source, left, right, second == first + 1)
    notes = (
        (f"cam{first} was taken for left, cam{second} for right; also there: {', '.join(others)}",) if others else ()
    )
    return Found(
        left=_lens(source, f"cam{first}", left),
        right=_lens(source, f"cam{second}", right),
        rotation=pose[:3, :3],
        translation=pose[:3, 3],
        unit="m",
        notes=notes,
    )


def _pose(source: Source, left: Mapping[str, Any], right: Mapping[str, Any], is_next: bool) -> np.ndarray:
    """(4, 4) from the left to the right camera: directly, or by way of the inertial unit."""
    if is_next and "T_cn_cnm1" in right:
        return matrix_of(source.shown, "T_cn_cnm1", right["T_cn_cnm1"], 4, 4)
    if "T_cam_imu" in left and "T_cam_imu" in right:
        to_cameras = [matrix_of(source.shown, "T_cam_imu", camera["T_cam_imu"], 4, 4) for camera in (left, right)]
        return to_cameras[1] @ np.linalg.inv(to_cameras[0])
    raise UserError(f"{source.shown}: the right camera has no T_cn_cnm1, so nothing says how the cameras stand")


def _lens(source: Source, name: str, camera: Mapping[str, Any]) -> Lens:
    kind, distortion_kind = (str(camera.get(key, "")).strip() for key in ("camera_model", "distortion_model"))
    if kind != "pinhole" or distortion_kind not in _LENSES:
        raise UserError(
            f"{source.shown}: {name} is {kind}-{distortion_kind}; expected pinhole-radtan or pinhole-equi (run Kalibr "
            "again with --models pinhole-equi pinhole-equi, which fits wide lenses that omni was chosen for)"
        )
    fx, fy, cx, cy = matrix_of(source.shown, f"{name} intrinsics", camera.get("intrinsics"), 4)
    distortion = numbers(camera.get("distortion_coeffs"))
    width, height = matrix_of(source.shown, f"{name} resolution", camera.get("resolution"), 2)
    return Lens(
        matrix=np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]),
        distortion=np.zeros(4) if distortion is None else distortion,
        size=size_of(source.shown, width, height),
        model=_LENSES[distortion_kind],
    )
