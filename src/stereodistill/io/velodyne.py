"""KITTI's LiDAR: scans (`.bin`) and where they fall in a rectified camera (`calib_velo_to_cam.txt`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stereodistill.errors import UserError
from stereodistill.io.calibration_text import number_lines
from stereodistill.io.files import read_bytes, read_text, shown

_BYTES_PER_POINT = 16


def read_scan(path: str | Path) -> np.ndarray:
    """The points of a scan: float32 (N, 4), x forward, y left, z up in metres, reflectance in [0, 1].

    Raises `UserError` for a file that is absent, empty, cut off within a point, or holds no finite numbers.
    """
    data = read_bytes(path)
    if len(data) % _BYTES_PER_POINT:
        raise UserError(
            f"{shown(path)}: a scan holds 4 float32 (16 bytes) for each point, found {len(data)} bytes: "
            "truncated? copy or download it again"
        )
    points = np.frombuffer(data, "<f4").reshape(-1, 4)
    if not np.isfinite(points).all():
        raise UserError(f"{shown(path)}: the scan holds values that are no numbers; it is damaged or no Velodyne scan")
    return points


def read_lidar_projection(
    cam_to_cam: str | Path, velo_to_cam: str | Path, camera: int
) -> tuple[np.ndarray, tuple[int, int]]:
    """The float64 (3, 4) projection of LiDAR points into rectified camera `camera`, and that camera's (height, width).

    `P_rect_0c . R_rect_00 . [R | T]` (Geiger et al. 2013, eq. 8): the third coordinate of the product is the depth
    in front of the camera.  Raises `UserError` when a file or an entry is missing.
    """
    cameras, lidar = _entries(cam_to_cam), _entries(velo_to_cam)
    projection = _matrix(cam_to_cam, cameras, f"P_rect_{camera:02d}", (3, 4))
    rectify, move = np.eye(4), np.eye(4)
    rectify[:3, :3] = _matrix(cam_to_cam, cameras, "R_rect_00", (3, 3))
    move[:3, :3] = _matrix(velo_to_cam, lidar, "R", (3, 3))
    move[:3, 3] = _matrix(velo_to_cam, lidar, "T", (3,))
    width, height = _matrix(cam_to_cam, cameras, f"S_rect_{camera:02d}", (2,))
    return projection @ rectify @ move, (int(height), int(width))


def _entries(path: str | Path) -> dict[str, list[float]]:
    return dict(number_lines(read_text(path)))


def _matrix(path: str | Path, entries: dict[str, list[float]], key: str, shape: tuple[int, ...]) -> np.ndarray:
    values, expected = entries.get(key, []), int(np.prod(shape))
    if len(values) != expected:
        raise UserError(f"{shown(path)}: expected a line {key}: with {expected} numbers, found {len(values)}")
    return np.array(values, dtype=np.float64).reshape(shape)
