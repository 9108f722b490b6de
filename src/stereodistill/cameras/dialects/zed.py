"""Stereolabs' factory calibration, `SN12345.conf`: a lens for each resolution, one pose, millimetres.

The pose as Stereolabs' own example (zed-opencv-native) feeds it to `stereoRectify`: R is the rotation vector
(RX, CV, RZ).  Its T = (Baseline, TY, TZ) is where the right camera stands, so that `x_right = R @ x_left - T`.
"""

from __future__ import annotations

import configparser

import cv2
import numpy as np

from stereodistill.cameras.dialects.found import Found, Lens, Size
from stereodistill.cameras.dialects.source import Source
from stereodistill.errors import UserError

EXPECTS = "ZED .conf (LEFT_CAM_HD, ..., STEREO)"

SIZES: dict[str, Size] = {
    "4K": (2160, 3840), "2K": (1242, 2208), "FHD": (1080, 1920), "FHD1200": (1200, 1920), "HD": (720, 1280),
    "HD1200": (1200, 1920), "SVGA": (600, 960), "VGA": (376, 672),
}  # fmt: skip
_COEFFICIENTS = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")


def read(source: Source) -> Found | None:
    """The rig at the resolution of the pictures; None when this is no ZED file."""
    if "[STEREO]" not in source.text or "[LEFT_CAM_" not in source.text:
        return None
    file = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        file.read_string(source.text)
    except configparser.Error as error:
        raise UserError(f"{source.shown} is no readable .conf: {str(error).splitlines()[0]}") from None
    name = _resolution(source, file)

    def number(section: str, *keys: str, default: float | None = None) -> float:
        text = next((file[section][key] for key in keys if key in file[section]), default)
        try:
            return float(str(text))
        except ValueError:
            raise UserError(f"{source.shown}: [{section}] {keys[0]} must be a number, found {text}") from None

    def lens(side: str) -> Lens:
        section = f"{side}_CAM_{name}"
        fx, fy, cx, cy = (number(section, key) for key in ("fx", "fy", "cx", "cy"))
        distortion = np.array([number(section, key, default=0.0) for key in _COEFFICIENTS])
        return Lens(matrix=np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), distortion=distortion, size=SIZES[name])

    turn = [number("STEREO", f"{key}_{name}", key, default=0.0) for key in ("RX", "CV", "RZ")]
    shift = [number("STEREO", f"{key}_{name}", key, default=default) for key, default in
             (("Baseline", None), ("TY", 0.0), ("TZ", 0.0))]  # fmt: skip
    rotation, _ = cv2.Rodrigues(np.array(turn).reshape(3, 1))
    return Found(left=lens("LEFT"), right=lens("RIGHT"), rotation=rotation, translation=-np.array(shift), unit="mm")


def _resolution(source: Source, file: configparser.ConfigParser) -> str:
    """The section for the pictures' size, or the nearest of the same aspect (they are the same picture, binned)."""
    prefix = "LEFT_CAM_"
    held = {s.removeprefix(prefix): SIZES[s.removeprefix(prefix)] for s in file.sections()
            if s.removeprefix(prefix) in SIZES and f"RIGHT_CAM_{s.removeprefix(prefix)}" in file}  # fmt: skip
    listed = ", ".join(f"{name} {width}x{height}" for name, (height, width) in held.items())
    if source.size is None:
        if len(held) == 1:
            return next(iter(held))
        raise UserError(f"{source.shown} holds several resolutions ({listed}): give the size of the pictures")
    height, width = source.size
    fitting = {name: abs(w - width) for name, (h, w) in held.items() if abs(h * width / w - height) <= 1}
    if not fitting:
        raise UserError(f"{source.shown}: no calibration for pictures of {width}x{height} (found {listed})")
    return min(fitting, key=lambda name: fitting[name])
