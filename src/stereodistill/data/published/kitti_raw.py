"""KITTI raw, synced and rectified drives as distributed (Geiger et al. 2013), and the field's splits of it.

```
ROOT/2011_09_26/calib_cam_to_cam.txt, calib_velo_to_cam.txt
ROOT/2011_09_26/2011_09_26_drive_0001_sync/image_02/data/0000000000.png (or .jpg), image_03/data/...
ROOT/2011_09_26/2011_09_26_drive_0001_sync/velodyne_points/data/0000000000.bin
```
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from stereodistill.data.published.listed import PHOTO_SUFFIXES, Entry, ListedPairs, Map
from stereodistill.data.published.split_lists import expand_ranges, read_split
from stereodistill.data.rigs import Calibration
from stereodistill.data.windows import once
from stereodistill.errors import UserError
from stereodistill.io.images import ChooseWindow, Window, image_size
from stereodistill.io.velodyne import read_lidar_projection, read_scan
from stereodistill.ops.geometry import depth_to_disparity, swap_pair
from stereodistill.ops.lidar import DepthView, PixelRule, project_scan, scale_projection
from stereodistill.types import Rig, StereoPair

LIDAR = "_lidar"
MIRRORED = "_r"
"""Ending of the name of a frame whose subject is the right camera's picture."""

_LISTS = {
    "eigen_train": "22,600 pairs for training (Eigen et al. 2014)",
    "eigen_val": "888 pairs for validation",
    "eigen_test": "697 frames with LiDAR ground truth",
    "eigen_train100": "100 pairs of eigen_train (Guo et al. 2018)",
    "zhou_train": "39,810 views for training (Zhou et al. 2017); of a right view the mirrored pair",
    "zhou_val": "4,424 views for validation",
    "eigen_benchmark_test": "the 652 of eigen_test with improved ground truth; see kitti_depth for that truth",
    "all": "every frame below the root",
}
_WITH_LIDAR = ("eigen_test", "eigen_benchmark_test")


class KittiRaw(ListedPairs):
    """Lists for training are in the order of the drives (they are shuffled later), lists for tests in their own.

    `load` gives the LiDAR's disparity (of both views, points on the nearest pixel) in the test splits and in
    those that end in `_lidar`; `depth` gives LiDAR depth of the left view in all.
    """

    name: ClassVar[str] = "kitti_raw"
    splits = {
        **_LISTS,
        **{f"{key}{LIDAR}": f"{key} with LiDAR ground truth" for key in _LISTS if key not in _WITH_LIDAR},
    }

    depth_from = "lidar"
    tree = "2011_09_26/2011_09_26_drive_0001_sync/image_02/data/0000000000.png"

    def __init__(self, root: str | Path, split: str | None = None, *, rig: Rig | None = None, limit: int | None = None):
        super().__init__(root, split, rig=rig, limit=limit)
        self.images_are_files = not any(name.endswith(MIRRORED) for name in self.names)

    def list_entries(self) -> Iterable[Entry]:
        """The frames of the split."""
        split = self.split.removesuffix(LIDAR)
        with_lidar = split in _WITH_LIDAR or self.split.endswith(LIDAR)
        frames = find_frames(self.root) if split == "all" else listed_frames(split)
        return (raw_entry(self.root, *frame, with_lidar=with_lidar) for frame in frames)

    def load(self, index: int, window: ChooseWindow | None = None) -> StereoPair:
        """As every data set; a frame `..._r` is the mirrored pair, so that its left view shows the right camera's."""
        if not self.names[index].endswith(MIRRORED):
            return super().load(index, window)
        choose = once(window)

        def mirrored(size: tuple[int, int]) -> Window:
            part = choose(size)
            return part._replace(left=size[1] - part.left - part.width)

        return swap_pair(super().load(index, mirrored))

    def depth(self, index: int, *, view: DepthView = "camera", pixels: PixelRule = "classic") -> Map:
        """LiDAR depth in metres at the size of the day's calibration; see `ops.lidar.project_scan` for the options.

        The default is what the Eigen protocol scores.

        Raises:
            UserError: the frame has no scan or its day no calibration.
        """
        entry = self._entries[index]
        right = entry.name.endswith(MIRRORED)
        depth_m, valid = scan_depth(entry, 3 if right else 2, view=view, pixels=pixels)
        return (depth_m[:, ::-1].copy(), valid[:, ::-1].copy()) if right else (depth_m, valid)

    def read_truth(self, entry: Entry, *, right: bool) -> Map | None:
        """Disparity of the LiDAR's points, one view as good as the other."""
        if entry.depth is None:
            return None
        size = image_size(entry.left)
        depth_m, _ = scan_depth(entry, 3 if right else 2, size=size)
        disparity, valid = depth_to_disparity(torch.from_numpy(depth_m)[None], self.read_rig(entry, size))
        return disparity[0].numpy(), valid[0].numpy()


def raw_entry(root: Path, day: str, drive: str, side: str, frame: int, *, with_lidar: bool = False) -> Entry:
    """Where the files of a frame belong."""
    left, right, scans, calibration, to_lidar = _places(root, day, drive)
    file = f"{frame:010d}.png"
    return Entry(
        name=f"{day}_drive_{drive}_sync/{frame:010d}{MIRRORED if side == 'r' else ''}",
        left=left / file,
        right=right / file,
        depth=scans / f"{frame:010d}.bin" if with_lidar else None,
        calibration=calibration,
        also=(to_lidar,) if with_lidar else (),
    )


@lru_cache(maxsize=256)
def _places(root: Path, day: str, drive: str) -> tuple[Path, Path, Path, Calibration, Path]:
    folder = root / day / f"{day}_drive_{drive}_sync"
    return (
        folder / "image_02" / "data",
        folder / "image_03" / "data",
        folder / "velodyne_points" / "data",
        Calibration(root / day / "calib_cam_to_cam.txt", (2, 3)),
        root / day / "calib_velo_to_cam.txt",
    )


def listed_frames(split: str) -> list[tuple[str, str, str, int]]:
    """(day, drive, side l or r, frame) of a published list; its lines are `DAY DRIVE SIDE RANGES`."""
    rows = [line.split() for line in read_split(f"kitti_raw_{split}")]
    return [(day, drive, side, frame) for day, drive, side, ranges in rows for frame in expand_ranges(ranges)]


def find_frames(root: Path) -> list[tuple[str, str, str, int]]:
    """(day, drive, "l", frame) of every photo of either colour camera below `root`, in order."""
    found = set()
    for camera in ("image_02", "image_03"):
        for folder in root.glob(f"*/*_drive_*_sync/{camera}/data"):
            drive = folder.parents[1].name.removesuffix("_sync").rpartition("_drive_")
            stems = (path.stem for path in folder.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES)
            found |= {(drive[0], drive[2], "l", int(stem)) for stem in stems if stem.isdecimal()}
    return sorted(found)


def scan_depth(
    entry: Entry,
    camera: int,
    *,
    size: tuple[int, int] | None = None,
    view: DepthView = "camera",
    pixels: PixelRule = "exact",
) -> Map:
    """The LiDAR's depth in a colour camera (2 or 3), at its calibrated size or at `size` (height, width)."""
    drive, frame = entry.left.parents[2], int(entry.left.stem)
    path = drive / "velodyne_points" / "data" / f"{frame:010d}.bin"
    if not path.is_file():
        raise UserError(f"frame {entry.name} has no LiDAR scan: {path} is absent (KITTI lacks a few)")
    day = drive.parent
    numbers, calibrated = read_lidar_projection(day / "calib_cam_to_cam.txt", day / "calib_velo_to_cam.txt", camera)
    projection = torch.from_numpy(numbers)
    if size is not None and size != calibrated:
        projection = scale_projection(projection, calibrated, size)
    points = torch.from_numpy(read_scan(path)[:, :3].astype(np.float64))
    depth_m, valid = project_scan(points, projection, size or calibrated, view=view, pixels=pixels)
    return depth_m[0].numpy(), valid[0].numpy()
