"""KITTI raw's `calib_cam_to_cam.txt`: Geiger et al. 2013.  `x_camera = R @ x_camera0 + T`, metres."""

from __future__ import annotations

import numpy as np

from stereodistill.cameras.dialects.found import Found, Lens, matrix_of, size_of
from stereodistill.cameras.dialects.source import Source
from stereodistill.cameras.model import RectifiedViews
from stereodistill.errors import UserError
from stereodistill.io.calibration_text import number_lines

EXPECTS = "KITTI calib_cam_to_cam.txt (S K D R T; grey 0,1 or colour 2,3)"


def read(source: Source) -> Found | None:
    """The rig of two cameras, colour unless others are asked for; None when this is no KITTI file of raw cameras."""
    table = dict(number_lines(source.text)) if source.text else {}
    held = sorted(int(key[2:]) for key in table if key.startswith("K_0") and key[2:].isdigit())
    if not held:
        return None
    left, right = source.cameras or ((2, 3) if {2, 3} <= set(held) else (0, 1))
    if not {left, right} <= set(held):
        raise UserError(f"{source.shown}: no cameras {left} and {right} (found {', '.join(map(str, held))})")

    def value(name: str, camera: int, *shape: int) -> np.ndarray:
        key = f"{name}_{camera:02d}"
        return matrix_of(source.shown, key, table.get(key), *shape)

    def lens(camera: int) -> Lens:
        size = size_of(source.shown, *value("S", camera, 2))
        matrix, distortion = value("K", camera, 3, 3), value("D", camera, 5)
        return Lens(matrix=matrix, distortion=distortion, size=size)

    rotation = value("R", right, 3, 3) @ value("R", left, 3, 3).T
    rectified = None
    if f"P_rect_{left:02d}" in table:
        rectified = RectifiedViews(
            rotation_left=value("R_rect", left, 3, 3),
            rotation_right=value("R_rect", right, 3, 3),
            projection_left=value("P_rect", left, 3, 4),
            projection_right=value("P_rect", right, 3, 4),
            size=size_of(source.shown, *value("S_rect", left, 2)),
        )
    return Found(
        left=lens(left),
        right=lens(right),
        rotation=rotation,
        translation=value("T", right, 3) - rotation @ value("T", left, 3),
        unit="m",
        rectified=rectified,
    )
