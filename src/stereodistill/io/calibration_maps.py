"""Calibrations that are key-value maps: OpenCV FileStorage (YAML, XML, JSON) and ROS camera_info YAML.

Values are kept as text until a number is wanted, and OpenCV's own parser is not used: a calibration comes
from anywhere, and a plain parser cannot be made to run code, expand references or crash.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import yaml

from stereodistill.errors import UserError
from stereodistill.io.files import read_text, shown
from stereodistill.io.rig_rules import checked_rig, refuse_millimetres, refuse_raw, rig_from_projections
from stereodistill.types import Rig

MAX_TEXT = 1 << 18

_PROJECTION_KEYS = (("P1", "P2"), ("LEFT.P", "RIGHT.P"))
_ROS_PROJECTION_KEYS = ("projection_matrix", "P", "p")
_WIDTH_KEYS = ("image_width", "imageWidth", "width", "LEFT.width")
_SIZE_KEYS = ("image_size", "imageSize", "size", "resolution")
_RAW_KEYS = ("intrinsics", "T_BS", "M1", "K1", "cameraMatrix1", "camera_matrix", "cam0", "cam1")
_PARTNERS = {"left": "right", "Left": "Right", "LEFT": "RIGHT", "cam0": "cam1", "camera0": "camera1"}


def rig_from_map(path: Path, values: Mapping[str, Any], *, width: int | None) -> Rig:
    """The rig of P1 and P2, of Q, or of a ROS pair of files; `UserError` for raw or unknown content."""
    stated = _stated_width(values)
    width = width if stated is None else stated
    for left, right in _PROJECTION_KEYS:
        if left in values and right in values:
            matrices = [_matrix(path, values, key, (3, 4)) for key in (left, right)]
            return rig_from_projections(path, *matrices, width=width, unit_stated=False)
    if "Q" in values:
        return _rig_from_q(path, _matrix(path, values, "Q", (4, 4)), width)
    if any(key in values for key in _ROS_PROJECTION_KEYS):
        return _rig_from_ros(path, values, width)
    if any(key in values for key in _RAW_KEYS):
        refuse_raw(path)
    raise UserError(f"{shown(path)}: expected P1 and P2, or Q (OpenCV), or projection_matrix (ROS); found none of them")


def parse_yaml(path: Path, text: str) -> Mapping[str, Any]:
    """The top-level map of a YAML file with every scalar as text, tags and OpenCV's `%YAML:1.0` line ignored."""
    _refuse_long(path, text)
    text = re.sub(r"\A%YAML[^\n]*", "", text)
    try:
        values = next(iter(yaml.load_all(text, Loader=yaml.BaseLoader)), None)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{shown(path)} is not readable YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(values, Mapping):
        raise UserError(f"{shown(path)}: expected `key: value` lines of a calibration")
    return values


def parse_xml(path: Path, text: str) -> Mapping[str, Any]:
    """The top-level map of an OpenCV XML file; entity definitions are refused."""
    _refuse_long(path, text)
    if "<!" in _without_comments(text):
        raise UserError(f"{shown(path)}: XML with a document type is not read; save it with OpenCV's FileStorage")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise UserError(f"{shown(path)} is not readable XML: {str(error).splitlines()[0]}") from None
    return {child.tag: {part.tag: part.text for part in child} if len(child) else child.text for child in root}


def _without_comments(text: str) -> str:
    """Split, because a pattern would search for the end of every unfinished comment anew."""
    first, *rest = text.split("<!--")
    return first + "".join(part.partition("-->")[2] for part in rest)


def _refuse_long(path: Path, text: str) -> None:
    if len(text) > MAX_TEXT:
        raise UserError(f"{shown(path)} is too long for a calibration ({len(text)} characters, at most {MAX_TEXT})")


def _rig_from_q(path: Path, q: np.ndarray, width: int | None) -> Rig:
    """OpenCV's reprojection matrix: `Z = Q[2,3] / (Q[3,2] d + Q[3,3])`, `Q[3,2] = 1 / baseline`."""
    if q[3, 2] == 0 or not np.isfinite(q).all():
        raise UserError(f"{shown(path)}: Q[3,2] must be 1 / baseline, found {q[3, 2]}")
    baseline_m, doffs_px = 1 / q[3, 2], q[3, 3] / q[3, 2]
    if baseline_m < 0:  # cameras listed in the other order: disparity changes sign, and with it the offset
        baseline_m, doffs_px = -baseline_m, -doffs_px
    refuse_millimetres(path, baseline_m)
    return checked_rig(path, focal_px=q[2, 3], baseline_m=baseline_m, width=width, doffs_px=doffs_px)


def _rig_from_ros(path: Path, values: Mapping[str, Any], width: int | None) -> Rig:
    """sensor_msgs/CameraInfo: the right camera's P[0, 3] is -focal * baseline, in metres."""
    partner, is_left = _partner(path)
    other = parse_yaml(partner, read_text(partner))
    left, right = (_ros_projection(*pair) for pair in ((path, values), (partner, other))[:: 1 if is_left else -1])
    return rig_from_projections(path, left, right, width=width)


def _partner(path: Path) -> tuple[Path, bool]:
    """The other camera's file, told by its name, and whether `path` is the left one."""
    for left, right in _PARTNERS.items():
        for mine, other, is_left in ((left, right, True), (right, left, False)):
            if mine in path.name:
                partner = path.with_name(path.name.replace(mine, other))
                if not partner.is_file():
                    raise UserError(f"{shown(path)} is one camera of a ROS pair: {shown(partner)} is missing")
                return partner, is_left
    raise UserError(f"{shown(path)} is one camera of a ROS pair: name the two files left.yaml and right.yaml")


def _ros_projection(path: Path, values: Mapping[str, Any]) -> np.ndarray:
    for key in _ROS_PROJECTION_KEYS:
        if key in values:
            return _matrix(path, values, key, (3, 4))
    raise UserError(f"{shown(path)}: expected a projection_matrix (ROS camera_info)")


def _matrix(path: Path, values: Mapping[str, Any], key: str, shape: tuple[int, int]) -> np.ndarray:
    stored = values[key]
    if isinstance(stored, Mapping):
        stored = stored.get("data")
    if isinstance(stored, str):
        stored = stored.split()
    if isinstance(stored, list) and stored and isinstance(stored[0], list):
        stored = [number for row in stored[:4] if isinstance(row, list) for number in row]
    try:
        numbers = [float(number) for number in stored or ()]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != shape[0] * shape[1]:
        raise UserError(f"{shown(path)}: {key} must hold {shape[0]} x {shape[1]} numbers")
    return np.reshape(numbers, shape)


def _stated_width(values: Mapping[str, Any]) -> int | None:
    """The first width the file states as a sensible number."""
    candidates = [values.get(key) for key in _WIDTH_KEYS]
    for key in _SIZE_KEYS:
        size = values.get(key)
        size = size.get("data", size.get("width")) if isinstance(size, Mapping) else size
        size = size.split() if isinstance(size, str) else size
        candidates.append(size[0] if isinstance(size, list) and size else size)
    for candidate in candidates:
        try:
            width = float(candidate)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            continue
        if 1 <= width <= 1e6:
            return int(width)
    return None
