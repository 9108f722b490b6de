"""Calibration files to a `Rig`: rig.json, KITTI, Middlebury, OpenCV, ROS and K.txt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, FiniteFloat, PositiveInt

from stereodistill.config import Config
from stereodistill.errors import UserError
from stereodistill.io.calibration_maps import parse_xml, parse_yaml, rig_from_map
from stereodistill.io.calibration_text import rig_from_text
from stereodistill.io.files import read_text, shown, write_bytes
from stereodistill.io.rig_rules import checked_rig
from stereodistill.types import Rig

CALIBRATION_NAMES = (
    "rig.json",
    "calib_cam_to_cam.txt",
    "calib.txt",
    "stereo.yaml",
    "stereo.yml",
    "stereo.xml",
    "extrinsics.yml",
    "left.yaml",
    "K.txt",
)
"""File names that `find_calibration` knows, best first."""


class RigFile(Config):
    """The keys of rig.json; all in pixels hold at an image width of `width`."""

    model_config = ConfigDict(strict=True)

    focal_px: FiniteFloat
    baseline_m: FiniteFloat
    width: PositiveInt
    doffs_px: FiniteFloat = 0.0
    cx_px: FiniteFloat | None = None
    cy_px: FiniteFloat | None = None


def read_rig(path: str | Path, *, width: int | None = None, cameras: tuple[int, int] | None = None) -> Rig:
    """Read the rig of a rectified pair; the content decides about the format.

    Understood: rig.json; KITTI `calib.txt` (P0..P3) and `calib_cam_to_cam.txt` (P_rect_00..03); Middlebury and
    ETH3D `calib.txt` (cam0, cam1, doffs, baseline in mm); OpenCV FileStorage YAML, XML or JSON with P1 and P2,
    or Q; a ROS `camera_info` pair (give either file, the other is found by its name); `K.txt` (nine numbers
    and the baseline).  A folder is searched for `CALIBRATION_NAMES`.

    `width` is the width of the pictures, used only when the file does not state one.  `cameras` chooses two
    KITTI cameras: (0, 1) grey, (2, 3) colour (default: colour when the file has them).
    Raises `UserError` when the file is unreadable or describes raw (unrectified) cameras, or when a needed
    number is missing.  A negative baseline is made positive.
    """
    path = Path(path)
    if path.is_dir():
        found = find_calibration(path)
        if found is None:
            raise UserError(f"no calibration in {shown(path)}: expected one of {', '.join(CALIBRATION_NAMES)}")
        path = found
    text = read_text(path)
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _rig_from_json(path, text, width)
    if suffix in (".yaml", ".yml") or text.startswith("%YAML"):
        return rig_from_map(path, parse_yaml(path, text), width=width)
    if suffix == ".xml" or text.startswith("<?xml"):
        return rig_from_map(path, parse_xml(path, text), width=width)
    return rig_from_text(path, text, width=width, cameras=cameras)


def write_rig(path: str | Path, rig: Rig, centre: tuple[float, float] | None = None) -> None:
    """Write rig.json; the rig must be a single, known one, `centre` (cx, cy) the left camera's.

    Errors as `atomic_path`.
    """
    assert rig.is_metric, "an unknown rig has nothing to write"
    values = {
        "focal_px": float(rig.focal_px),
        "baseline_m": float(rig.baseline_m),
        "width": int(rig.width),
        "doffs_px": float(rig.doffs_px),
    }
    if centre is not None:
        values |= {"cx_px": float(centre[0]), "cy_px": float(centre[1])}
    write_bytes(path, (json.dumps(values, indent=2) + "\n").encode())


def read_centre(path: str | Path, width: int) -> tuple[float, float] | None:
    """The left camera's centre (column, row) at pictures of `width`, where a rig.json states it.

    Raises:
        UserError: as `read_rig`.
    """
    path = Path(path)
    if path.suffix.lower() != ".json":
        return None
    try:
        values = json.loads(read_text(path))
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, Mapping) or "focal_px" not in values:
        return None
    known = RigFile.parse(dict(values), shown(path))
    if known.cx_px is None or known.cy_px is None:
        return None
    scale = width / known.width
    return (known.cx_px + 0.5) * scale - 0.5, (known.cy_px + 0.5) * scale - 0.5


def find_calibration(folder: str | Path) -> Path | None:
    """The first of `CALIBRATION_NAMES` that lies in `folder`."""
    return next((path for name in CALIBRATION_NAMES if (path := Path(folder) / name).is_file()), None)


def _rig_from_json(path: Path, text: str, width: int | None) -> Rig:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{shown(path)} is not readable JSON: {str(error).splitlines()[0]}") from None
    if not isinstance(values, Mapping):
        raise UserError(f'{shown(path)}: expected {{"focal_px": ..., "baseline_m": ..., "width": ...}}')
    if any(isinstance(value, Mapping) for value in values.values()):  # OpenCV's FileStorage writes JSON, too
        return rig_from_map(path, values, width=width)
    known: dict[str, Any] = dict(RigFile.parse(dict(values), shown(path)))
    del known["cx_px"], known["cy_px"]
    return checked_rig(path, **known)
