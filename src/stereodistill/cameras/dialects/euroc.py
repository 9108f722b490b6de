"""EuRoC / ASL `sensor.yaml`, one file per camera (`mav0/cam0/sensor.yaml`, `sensorLeft.yaml`): Burri et al. 2016."""

from __future__ import annotations

import numpy as np

from stereodistill.cameras.dialects.found import Found, Lens, matrix_of, numbers, size_of
from stereodistill.cameras.dialects.source import Source
from stereodistill.errors import UserError

EXPECTS = "EuRoC sensor.yaml pair (T_BS, intrinsics; a mav0 folder or two files)"


def read(source: Source) -> Found | None:
    """The rig of two files; `T_BS` takes a point from the camera to the body, in metres."""
    if not source.values.keys() >= {"T_BS", "intrinsics"}:
        return None
    left, right = source.views()
    to_body = [matrix_of(view.shown, "T_BS", view.values.get("T_BS"), 4, 4) for view in (left, right)]
    left_to_right = np.linalg.inv(to_body[1]) @ to_body[0]
    return Found(
        left=_lens(left),
        right=_lens(right),
        rotation=left_to_right[:3, :3],
        translation=left_to_right[:3, 3],
        unit="m",
    )


def _lens(view: Source) -> Lens:
    fx, fy, cx, cy = matrix_of(view.shown, "intrinsics", view.values.get("intrinsics"), 4)
    distortion = numbers(view.values.get("distortion_coefficients"))
    resolution = view.values.get("resolution")
    camera, lens = (str(view.values.get(key, "")).lower() for key in ("camera_model", "distortion_model"))
    if camera not in ("", "pinhole") or lens not in ("", "none", "radial-tangential", "radtan", "equidistant"):
        raise UserError(
            f"{view.shown}: camera_model {camera}, distortion_model {lens}: expected pinhole with radial-tangential "
            "or equidistant"
        )
    return Lens(
        matrix=np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]),
        distortion=np.zeros(4) if distortion is None else distortion,
        size=None if resolution is None else size_of(view.shown, *matrix_of(view.shown, "resolution", resolution, 2)),
        model="fisheye" if lens == "equidistant" else "pinhole",
    )
