"""KITTI's depth benchmark (Uhrig et al. 2017) beside KITTI raw, as both unpack into one folder.

```
ROOT/DAY/DAY_drive_0001_sync/image_02/data/0000000000.png   photos, image_03 for the right camera
ROOT/DAY/calib_cam_to_cam.txt                               S_rect, R_rect and P_rect of cameras 2 and 3
ROOT/train|val/DAY_drive_0001_sync/proj_depth/groundtruth/image_02/0000000000.png   16 bit, metres * 256, 0 = unknown
ROOT/train_files_with_gt.txt  val_files_with_gt.txt         photo, depth and focal length, as Lee et al. 2019 list them
ROOT/names.csv                                              which pair became which frame
```
Frames of KITTI raw keep their day, drive and number.  Of other footage each rig becomes a day, counted from 2000_01_01,
since a day has one calibration, and each stretch in one folder becomes a drive, since a drive belongs to one split.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np

from stereodistill.io.images import write_image
from stereodistill.labels.export.formats import Target, units_for
from stereodistill.labels.export.samples import Sample
from stereodistill.predict.depth_map import DEPTH_PNG_UNITS_PER_M, depth_to_units

Place: TypeAlias = tuple[str, str, int]
"""(day, drive, frame)."""
CAMERAS = {"left": "image_02", "right": "image_03"}
_FIRST_DAY = date(2000, 1, 1)
_OWN_NAME = re.compile(r"(?:^|/)(\d{4}_\d\d_\d\d)_drive_(\d{4})_sync/(?:image_02/data/)?(\d{10})$")


class KittiDepth:
    """See `Format`; both cameras, where both have labels."""

    name: ClassVar[str] = "kitti-depth"
    needs_val: ClassVar[bool] = False

    def __init__(self, samples: Sequence[Sample], near_m: float, made_by: str):
        self._samples = samples
        self._places = dict(zip((s.name for s in samples), _own_places(samples) or _count_places(samples), strict=True))
        if units_for(near_m) > DEPTH_PNG_UNITS_PER_M:
            warnings.warn(
                f"KITTI's depth maps have steps of 4 mm, and this footage comes as near as {near_m:.2g} m; "
                "the exports ultralytics, npy and hf-datasets are finer",
                stacklevel=2,
            )

    def targets(self, sample: Sample) -> tuple[Target, ...]:
        """See `Format`."""
        day, drive, frame = self._places[sample.name]
        folder = f"{day}_drive_{drive}_sync"
        return tuple(
            Target(
                view=view,
                photo=f"{day}/{folder}/{camera}/data/{frame:010d}{sample.photo_suffix(view, ('.png', '.jpg'))}",
                depth=f"{sample.split}/{folder}/proj_depth/groundtruth/{camera}/{frame:010d}.png",
            )
            for view, camera in CAMERAS.items()
            if view in sample.confidences
        )

    def write_depth(self, path: Path, depth_m: np.ndarray) -> None:
        """See `Format`."""
        write_image(path, depth_to_units(depth_m, DEPTH_PNG_UNITS_PER_M))

    def index(self) -> dict[str, str]:
        """Calibrations, lists of files, names."""
        lists: dict[str, list[str]] = {}
        names = io.StringIO()
        table = csv.writer(names, lineterminator="\n")
        table.writerow(("photo", "name"))
        for sample in self._samples:
            for files in self.targets(sample):
                line = f"{files.photo} {files.depth} {float(sample.rig.focal_px):.4f}\n"
                lists.setdefault(f"{sample.split}_files_with_gt.txt", []).append(line)
                table.writerow((files.photo, sample.name))
        of_day = {self._places[sample.name][0]: sample for sample in self._samples}
        return {
            **{f"{day}/calib_cam_to_cam.txt": _calibration(sample) for day, sample in of_day.items()},
            **{name: "".join(lines) for name, lines in lists.items()},
            "names.csv": names.getvalue(),
        }

    def next_step(self, root: Path) -> str:
        """See `Format`."""
        return f"{root}/train_files_with_gt.txt lists photo, depth and focal length; its root is {root}"


def _own_places(samples: Sequence[Sample]) -> list[Place] | None:
    """Where KITTI's own frames belong; None for other footage, or when a day would need two calibrations."""
    found = [_OWN_NAME.search(sample.name) for sample in samples]
    places = [(match[1], match[2], int(match[3])) for match in found if match]
    cameras = {(place[0], _camera(sample)) for place, sample in zip(places, samples, strict=False)}
    is_own = len(places) == len(samples) == len(set(places)) and len(cameras) == len({day for day, _ in cameras})
    return places if is_own else None


def _count_places(samples: Sequence[Sample]) -> list[Place]:
    days: dict[object, str] = {}
    num_drives: dict[str, int] = {}
    places: list[Place] = []
    drive_of = None
    for sample in samples:
        camera = _camera(sample)
        day = days.setdefault(camera, (_FIRST_DAY + timedelta(len(days))).strftime("%Y_%m_%d"))
        stretch = (camera, sample.split, sample.name.rpartition("/")[0])
        if stretch != drive_of:
            num_drives[day] = num_drives.get(day, 0) + 1
            frame = 0
        else:
            frame = places[-1][2] + 1
        drive_of = stretch
        places.append((day, f"{num_drives[day]:04d}", frame))
    return places


def _camera(sample: Sample) -> tuple[object, ...]:
    rig = sample.rig
    return (*sample.size, float(rig.focal_px), float(rig.baseline_m), float(rig.doffs_px))


def _calibration(sample: Sample) -> str:
    """The rectified pair of cameras, the left one at the origin; an offset of the principal points is the right one's.

    `disparity + doffs = focal * baseline / depth` is what these projections give.
    """
    (height, width), rig = sample.size, sample.rig
    focal_px, centre = float(rig.focal_px), ((width - 1) / 2, (height - 1) / 2)
    lines = []
    for camera, offset_px, shift in (
        (2, 0.0, 0.0),
        (3, float(rig.doffs_px), -focal_px * float(rig.baseline_m)),
    ):
        projection = (focal_px, 0, centre[0] + offset_px, shift, 0, focal_px, centre[1], 0, 0, 0, 1, 0)
        for key, numbers in (
            ("S_rect", (width, height)),
            ("R_rect", (1, 0, 0, 0, 1, 0, 0, 0, 1)),
            ("P_rect", projection),
        ):
            lines.append(f"{key}_0{camera}: " + " ".join(f"{number:.12e}" for number in numbers))
    return "\n".join(lines) + "\n"
