"""Finding and reading the calibration that belongs to a pair."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from stereodistill.errors import UserError
from stereodistill.io.calibration import CALIBRATION_NAMES, read_rig
from stereodistill.io.files import read_text
from stereodistill.types import Rig

_BY_WIDTH = "calib_by_width.txt"
_SHARED = ("rig.json", _BY_WIDTH, *(name for name in CALIBRATION_NAMES if name != "rig.json"))


@dataclass(frozen=True)
class Calibration:
    """A calibration file and which of its cameras are left and right (KITTI files hold four)."""

    path: Path
    cameras: tuple[int, int] | None = None


def shared_calibration(folder: Path, root: Path, cameras: tuple[int, int] | None) -> Calibration | None:
    """The calibration of the sequence in `folder`, else the one of the whole tree `root` above it.

    KITTI keeps `calib_cam_to_cam.txt` in the folder of the day, above the drive, so for KITTI trees the two
    folders above `root` are asked for that one file as well.
    """
    folder, root = folder.absolute(), root.absolute()
    inside = [p for p in (folder, *folder.parents) if p == root or root in p.parents]
    candidates = [p / name for p in inside for name in _SHARED]
    if cameras is not None:
        candidates += [p / "calib_cam_to_cam.txt" for p in list(root.parents)[:2]]
    path = next((path for path in candidates if path.is_file()), None)
    return None if path is None else Calibration(path, cameras)


def own_calibration(folder: Path, stem: str, cameras: tuple[int, int] | None) -> Calibration | None:
    """The calibration that pair `stem` has for itself: `rig/NAME.json`, or KITTI's `calib/NNNNNN.txt`."""
    candidates = [folder / "rig" / f"{stem}.json"]
    if cameras is not None:
        frame = re.split(r"[_/]", stem)[0]
        candidates += [folder / "calib" / f"{frame}.txt", folder / "calib_cam_to_cam" / f"{frame}.txt"]
    path = next((path for path in candidates if path.is_file()), None)
    return None if path is None else Calibration(path, cameras)


def rig_at(calibration: Calibration | Rig | None, size: tuple[int, int]) -> Rig:
    """The rig for images of `size` (height, width); unknown when there is no calibration.

    Raises:
        UserError: the calibration file cannot be understood.
    """
    width = size[1]
    if calibration is None:
        return Rig.unknown(width)
    if isinstance(calibration, Calibration):
        calibration = _read(calibration, width)
    # Width 0 says "at each image's own width": a list's focal length, or a focal length given by hand.
    return replace(calibration, width=width) if calibration.width <= 0 else calibration.at_width(width)


def _read(calibration: Calibration, width: int) -> Rig:
    if calibration.path.name == _BY_WIDTH:
        return _read_by_width(calibration.path, width)
    return read_rig(calibration.path, width=width, cameras=calibration.cameras)


def _read_by_width(path: Path, width: int) -> Rig:
    """KITTI's days have a rectified width each: rows `width height day fx cx cy fx*baseline`."""
    rigs: dict[int, Rig] = {}
    baseline_m = 0.0
    rows = [line.split() for line in read_text(path).splitlines() if line.strip() and line[0] != "#"]
    try:
        for row in rows:
            focal_px = float(row[3])
            # A day without a published baseline has the baseline of the others: the cameras were never moved.
            baseline_m = float(row[6]) / focal_px if row[6] != "-" else baseline_m
            rigs[int(row[0])] = Rig(focal_px=focal_px, baseline_m=baseline_m, width=int(row[0]))
    except (IndexError, ValueError):
        raise UserError(f"{path}: expected rows `width height day fx cx cy fx*baseline`") from None
    if not rigs:
        raise UserError(f"{path}: no calibration rows")
    return rigs[min(rigs, key=lambda known: abs(known - width))]
