"""DrivingStereo (Yang et al. 2019): street pairs with LiDAR-guided disparity, half size (881 x 400) or full size.

Two layouts: `train-left-image/DATE/*.jpg`, `train-right-image/`, `train-disparity-map/` (the same with `test-`;
underscores for the hyphens, and no folder per date, are understood), and that of the test archives and weather sets,
`left-image-half-size/`, `right-image-half-size/`, `disparity-map-half-size/` (or `full-size`), in the root, in a
folder named after the split, or in `test-left-image/` and its like.
Calibration: `DATE.txt` in `half-image-calib/` (`full-image-calib/`), itself in the root or in `calib/`, `calib_train/`.

Which frames belong to a split is told by the disk, for there is no published list: a frame counts when any of its
files is there, so what lacks its partner is reported, and what is absent altogether cannot be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stereodistill.data.published.listed import Entry, ListedPairs, Map
from stereodistill.data.windows import whole, window_of_truth
from stereodistill.errors import UserError
from stereodistill.io.disparity import positive_disparity
from stereodistill.io.files import read_text
from stereodistill.io.images import ChooseWindow, Window, read_samples_window
from stereodistill.io.rig_rules import checked_rig
from stereodistill.types import Rig

UNITS_PER_PX = {"half": 256, "full": 128}
"""What a stored disparity is divided by."""

_KINDS = ("left-image", "right-image", "disparity-map")
_PHOTOS, _MAPS = (".jpg", ".png"), (".png",)
_PARTS = {
    "train": "published as 174437 pairs",
    "test": "published as 7751 pairs",
    **{weather: f"500 pairs in {weather} weather" for weather in ("sunny", "cloudy", "foggy", "rainy")},
}
_DATE = re.compile(r"\d{4}(?:-\d{2}){5}")


class DrivingStereo(ListedPairs):
    """Half-size pairs; the splits that end in `_full` are full-size."""

    name = "drivingstereo"
    splits = {
        f"{part}{suffix}": f"{text}, {size} size"
        for suffix, size in (("", "half"), ("_full", "full"))
        for part, text in _PARTS.items()
    }

    def list_entries(self) -> Iterator[Entry]:
        """Frames of which any file is on disk, by date and time."""
        photos, others, truths = (_folder(self.root, self.part, kind, self.resolution) for kind in _KINDS)
        stems = _stems(photos, _PHOTOS) | _stems(others, _PHOTOS) | _stems(truths, _MAPS)
        if not stems:
            wanted = ", ".join(f"{self.part}-{kind}/" for kind in _KINDS)
            short = ", ".join(f"{kind}-{self.resolution}-size/" for kind in _KINDS)
            raise UserError(f"{self.root}: nothing of {self.title} there; expected the folders {wanted} or {short}")
        calibrations = _calibration_folder(self.root, self.part, self.resolution)
        for stem in sorted(stems):
            date = _DATE.search(stem)
            yield Entry(
                name=stem,
                left=photos / f"{stem}.jpg",
                right=others / f"{stem}.jpg",
                disparity=truths / f"{stem}.png" if truths.is_dir() else None,
                also=(calibrations / f"{date[0]}.txt",) if calibrations is not None and date else (),
            )

    @property
    def part(self) -> str:
        """The split without its size."""
        return self.split.removesuffix("_full")

    @property
    def resolution(self) -> str:
        """`half` or `full`."""
        return "full" if self.split.endswith("_full") else "half"

    def read_truth(self, entry: Entry, *, right: bool) -> Map | None:
        """16-bit PNG: pixels * 256 in half size, pixels * 128 in full size, 0 = unknown."""
        return self._read_map(entry, whole, right=right)

    def read_truth_window(self, entry: Entry, window: Window, size: tuple[int, int], *, right: bool) -> Map | None:
        """As `read_truth`, decoding nothing below the window."""
        return self._read_map(entry, window_of_truth(window, size, entry.name), right=right)

    def _read_map(self, entry: Entry, choose: ChooseWindow, *, right: bool) -> Map | None:
        if right or entry.disparity is None:
            return None
        stored, _, _ = read_samples_window(entry.disparity, choose)
        if stored.dtype != np.uint16 or stored.ndim != 2:
            raise UserError(f"{entry.disparity}: a DrivingStereo disparity is a 16-bit grey PNG, this is another file")
        return positive_disparity(stored.astype(np.float32) / UNITS_PER_PX[self.resolution])

    def read_rig(self, entry: Entry, size: tuple[int, int]) -> Rig:
        """The rig of the frame's date; unknown where the calibration was not downloaded."""
        return _read_calibration(entry.also[0], size[1]) if entry.also else Rig.unknown(size[1])


def _folder(root: Path, part: str, kind: str, size: str) -> Path:
    """The first folder of this kind that is there; else the training archives' name for it."""
    plain, sized = f"{part}-{kind}", f"{kind}-{size}-size"
    candidates = [base / name / sized for base in (root, root / part) for name in (plain, plain.replace("-", "_"))]
    candidates += [root / part / sized]
    if part == "test" or size == "half":
        candidates += [root / sized]
    if size == "half":
        candidates += [root / plain, root / plain.replace("-", "_")]
    return next((folder for folder in candidates if folder.is_dir()), root / plain)


def _calibration_folder(root: Path, part: str, size: str) -> Path | None:
    half = "train" if part == "train" else "test"
    names = ("", "calib", f"calib-{half}", f"calib_{half}", f"{half}-calib", f"{half}_calib")
    candidates = (root / name / f"{size}-image-calib" for name in names)
    return next((folder for folder in candidates if folder.is_dir()), None)


def _stems(folder: Path, suffixes: tuple[str, ...]) -> set[str]:
    """`DATE/NAME` (or `NAME`) of the files below a folder."""
    files = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes and not path.name.startswith("."))
    return {path.relative_to(folder).with_suffix("").as_posix() for path in files}


def _read_calibration(path: Path, width: int) -> Rig:
    """Focal length of `P_rect_101` (left); baseline `|T_103|`, which is where the right camera really is.

    `P_rect_103[0, 3] / P_rect_103[0, 0]` of the half-size files is twice the baseline: the focal length in it was
    halved and the product was not.
    """
    rows: dict[str, np.ndarray] = {}
    for line in read_text(path).splitlines():
        key, _, numbers = line.partition(":")
        try:
            rows[key.strip()] = np.array([float(number) for number in numbers.split()])
        except ValueError:
            continue
    none = np.empty(0)
    projection, shift_m, stated = (rows.get(key, none) for key in ("P_rect_101", "T_103", "S_rect_101"))
    if projection.size != 12 or shift_m.size != 3:
        raise UserError(f"{path}: expected DrivingStereo's lines P_rect_101 (12 numbers) and T_103 (3 numbers)")
    return checked_rig(
        path,
        focal_px=float(projection[0]),
        baseline_m=float(np.linalg.norm(shift_m)),
        width=int(stated[0]) if stated.size == 2 and stated[0] >= 1 else width,
    ).at_width(width)
