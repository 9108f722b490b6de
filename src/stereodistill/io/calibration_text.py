"""Plain-text calibrations: KITTI, Middlebury, K.txt."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from stereodistill.errors import UserError
from stereodistill.io.files import shown
from stereodistill.io.rig_rules import checked_rig, rig_from_projections
from stereodistill.types import Rig

_MIDDLEBURY_LINE = re.compile(r"^[ \t]*(\w+)[ \t]*=(.*)$", re.MULTILINE)
_KITTI_PROJECTION = re.compile(r"^P(?:_rect_0)?(\d)$")


def rig_from_text(path: Path, text: str, *, width: int | None, cameras: tuple[int, int] | None) -> Rig:
    """Recognise a text calibration by its content; `UserError` lists what is understood."""
    middlebury = {key: value.strip() for key, value in _MIDDLEBURY_LINE.findall(text)}
    if "cam0" in middlebury:
        return _rig_from_middlebury(path, middlebury, width)
    table = number_lines(text)
    projections = _kitti_projections(path, table)
    if projections:
        return _rig_from_kitti(path, table, projections, width, cameras)
    numbers = [number for _, line in table for number in line]
    if len(numbers) == 10 and not any(key for key, _ in table):
        return _rig_from_intrinsics(path, numbers, width)
    raise UserError(
        f"{shown(path)} is no calibration that is understood: expected KITTI (P0: ...), Middlebury (cam0=[...]), "
        "K.txt (nine numbers, baseline), OpenCV or ROS YAML, or rig.json"
    )


def number_lines(text: str) -> list[tuple[str, list[float]]]:
    """(key, numbers) of the lines `KEY: 1 2 3` or `1 2 3` (empty key); other lines are no calibration."""
    lines = []
    for line in text.splitlines():
        key, separator, rest = line.rpartition(":")
        try:
            numbers = [float(word) for word in rest.split()]
        except ValueError:
            continue
        if numbers and (key.strip() or not separator):
            lines.append((key.strip(), numbers))
    return lines


def _kitti_projections(path: Path, table: list[tuple[str, list[float]]]) -> dict[int, np.ndarray]:
    projections = {}
    bare = [numbers for key, numbers in table if not key]
    if len(bare) == len(table) >= 2 and all(len(numbers) == 12 for numbers in bare):
        # Tools that read KITTI odometry with numpy strip the names; the order of the cameras remains.
        return {camera: np.reshape(numbers, (3, 4)) for camera, numbers in enumerate(bare)}
    for key, numbers in table:
        match = _KITTI_PROJECTION.match(key)
        if match is None:
            continue
        if len(numbers) != 12:
            raise UserError(f"{shown(path)}: {key} needs 12 numbers (3 x 4), found {len(numbers)}")
        projections[int(match[1])] = np.reshape(numbers, (3, 4))
    return projections


def _rig_from_kitti(
    path: Path,
    table: list[tuple[str, list[float]]],
    projections: dict[int, np.ndarray],
    width: int | None,
    cameras: tuple[int, int] | None,
) -> Rig:
    """KITTI (Geiger et al. 2013): cameras 0 and 1 are grey, 2 and 3 colour; `S_rect` is the rectified size."""
    if cameras is None:
        cameras = (2, 3) if {2, 3} <= projections.keys() else (0, 1)
    missing = [camera for camera in cameras if camera not in projections]
    if missing:
        found = ", ".join(f"P{camera}" for camera in sorted(projections))
        raise UserError(f"{shown(path)}: no projection matrix of camera {missing[0]} (found {found})")
    left, right = (projections[camera] for camera in cameras)
    sizes = dict(table).get(f"S_rect_0{cameras[0]}", [])
    if sizes and 1 <= sizes[0] <= 1e6:  # NaN compares false
        width = int(sizes[0])
    return rig_from_projections(path, left, right, width=width)


def _rig_from_middlebury(path: Path, values: dict[str, str], width: int | None) -> Rig:
    """Middlebury 2014 and 2021, ETH3D: `Z = baseline * f / (d + doffs)`, baseline in millimetres."""
    left, right = (_middlebury_matrix(path, values, key) for key in ("cam0", "cam1"))
    stated_width = _middlebury_number(path, values, "width", required=False)
    doffs_px = _middlebury_number(path, values, "doffs", required=False)
    if stated_width is not None and 1 <= stated_width <= 1e6:
        width = int(stated_width)
    return checked_rig(
        path,
        focal_px=left[0, 0],
        baseline_m=(_middlebury_number(path, values, "baseline") or 0.0) / 1000,
        width=width,
        doffs_px=right[0, 2] - left[0, 2] if doffs_px is None else doffs_px,
    )


def _middlebury_number(path: Path, values: dict[str, str], key: str, required: bool = True) -> float | None:
    if key not in values and not required:
        return None
    try:
        return float(values[key])
    except (KeyError, ValueError):
        found = ascii(values[key])[:40] if key in values else "no such line"
        raise UserError(f"{shown(path)}: expected a number in the line {key}=..., found {found}") from None


def _middlebury_matrix(path: Path, values: dict[str, str], key: str) -> np.ndarray:
    try:
        return np.array(values[key].strip("[]").replace(";", " ").split(), dtype=float).reshape(3, 3)
    except (KeyError, ValueError):
        raise UserError(f"{shown(path)}: expected a line {key}=[f 0 cx; 0 f cy; 0 0 1]") from None


def _rig_from_intrinsics(path: Path, numbers: list[float], width: int | None) -> Rig:
    """K.txt: the 3 x 3 matrix of the left camera row by row, then the baseline in metres."""
    matrix = np.reshape(numbers[:9], (3, 3))
    if matrix[2].tolist() != [0, 0, 1]:
        raise UserError(f"{shown(path)}: the first nine numbers are no camera matrix (last row 0 0 1 expected)")
    return checked_rig(path, focal_px=matrix[0, 0], baseline_m=numbers[9], width=width)
