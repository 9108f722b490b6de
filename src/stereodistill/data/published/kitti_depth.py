"""KITTI's improved ground truth (Uhrig et al. 2017), eleven scans accumulated and cleaned, with the raw pictures.

```
DEPTH/train|val/2011_09_26_drive_0001_sync/proj_depth/groundtruth/image_02/0000000005.png   16 bit, metres * 256
RAW/2011_09_26/2011_09_26_drive_0001_sync/image_02/data/0000000005.png
```
The folders `train` and `val` may also lie in the drives of the raw data (`.../2011_09_26_drive_0001_sync/proj_depth`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from stereodistill.data.published.kitti_raw import listed_frames, raw_entry
from stereodistill.data.published.listed import Entry, ListedPairs, Map
from stereodistill.data.published.registry import ROOTS_VARIABLE
from stereodistill.errors import UserError
from stereodistill.io.files import shown
from stereodistill.io.images import read_samples
from stereodistill.ops.geometry import depth_to_disparity
from stereodistill.ops.lidar import DepthView
from stereodistill.types import Rig

UNITS_PER_M = 256
_TRUTH = Path("proj_depth", "groundtruth")


class KittiDepth(ListedPairs):
    """`depth` and the disparity of `load` come from the same map; the right view has one, too, where its file exists.

    The root is the folder with `train` and `val`.  The raw pictures are looked for there, in a second root after a
    comma (`kitti_depth=DEPTH,RAW`), and in `$STEREODISTILL_DATA/kitti_raw`.
    """

    name: ClassVar[str] = "kitti_depth"
    splits = {
        "eigen_test": "the 652 frames of eigen_test that have improved ground truth",
        "train": "every annotated frame of train/",
        "val": "every annotated frame of val/",
    }
    depth_from = "improved"
    tree = "train|val/2011_09_26_drive_0001_sync/proj_depth/groundtruth/image_02/0000000005.png"
    anchors = ("depth", "left")

    def __init__(self, root: str | Path, split: str | None = None, *, rig: Rig | None = None, limit: int | None = None):
        truth, comma, raw = str(root).partition(",")
        if not comma or os.path.isdir(root):
            truth, raw = str(root), ""
        self._raw = Path(raw).expanduser() if raw else _raw_root(Path(truth))
        if raw and not self._raw.is_dir():
            raise UserError(f"kitti_depth: no such folder {self._raw} of raw pictures; say kitti_depth=DEPTH,RAW")
        super().__init__(truth, split, rig=rig, limit=limit)

    def list_entries(self) -> Iterable[Entry]:
        """The frames of the split, tests in the order of their list."""
        if self.split == "eigen_test":
            frames = [(day, drive, frame) for day, drive, _, frame in listed_frames("eigen_benchmark_test")]
        else:
            frames = _annotated(self.root / self.split)
        return (self._entry(*frame) for frame in frames)

    def depth(self, index: int, *, view: DepthView = "camera") -> Map:
        """Depth of the left view in metres, at the size of its file.

        Raises:
            UserError: the map is absent or no 16-bit PNG, or the view is not the camera's.
        """
        if view != "camera":
            raise UserError(f"{self.title} has depth as the camera sees it only; for {view} view take kitti_raw")
        path = self._entries[index].depth
        assert path is not None
        return read_depth_png(path)

    def read_truth(self, entry: Entry, *, right: bool) -> Map | None:
        """The map as disparity."""
        assert entry.depth is not None
        path = entry.depth.parents[1] / "image_03" / entry.depth.name if right else entry.depth
        if right and not path.is_file():
            return None
        depth_m, _ = read_depth_png(path)
        rig = self.read_rig(entry, (depth_m.shape[0], depth_m.shape[1]))
        disparity, valid = depth_to_disparity(torch.from_numpy(depth_m)[None], rig)
        return disparity[0].numpy(), valid[0].numpy()

    def _entry(self, day: str, drive: str, frame: int) -> Entry:
        entry = raw_entry(self._raw, day, drive, "l", frame)
        folder = f"{day}_drive_{drive}_sync"
        parts = (self.split,) if self.split in ("train", "val") else ("train", "val")
        homes = [self.root / part / folder for part in parts] + [self.root / day / folder]
        home = next((home for home in homes if (home / _TRUTH).is_dir()), homes[0])
        return replace(entry, depth=home / _TRUTH / "image_02" / f"{frame:010d}.png")


def read_depth_png(path: Path) -> Map:
    """A 16-bit PNG of metres * 256, 0 = unknown (KITTI's depth benchmark).

    Raises:
        UserError: unreadable, or another kind of picture.
    """
    samples = read_samples(path)
    if samples.dtype != np.uint16 or samples.ndim != 2:
        found = f"{samples.dtype.itemsize * 8}-bit {'grey' if samples.ndim == 2 else 'colour'}"
        raise UserError(f"{shown(path)}: a depth PNG is 16-bit grey (metres * 256, 0 = unknown), found {found}")
    return samples.astype(np.float32) / UNITS_PER_M, samples > 0


def _raw_root(root: Path) -> Path:
    """The folder that has days: `root` itself, else `kitti_raw` among the data sets that the environment names."""
    named = os.environ.get(ROOTS_VARIABLE)
    elsewhere = Path(named).expanduser() / "kitti_raw" if named else root
    return elsewhere if elsewhere.is_dir() and not any(root.glob("20*_*_*/*_sync")) else root


def _annotated(part: Path) -> list[tuple[str, str, int]]:
    """(day, drive, frame) of every map of the left camera below `part`, in order."""
    found = []
    for path in part.glob(f"*_drive_*_sync/{_TRUTH.as_posix()}/image_02/*.png"):
        day, _, drive = path.parents[3].name.removesuffix("_sync").partition("_drive_")
        found.append((day, drive, int(path.stem)))
    return sorted(found)
