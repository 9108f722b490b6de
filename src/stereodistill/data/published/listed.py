"""Data sets whose frames are named by a split list: what a researcher has on disc, against what the split says.

A data set is one class in one file: it names its splits and lists its entries; `ListedPairs` does the rest.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch

from stereodistill.data.dataset import Size
from stereodistill.data.layouts import PairFiles
from stereodistill.data.rigs import Calibration, rig_at
from stereodistill.data.windows import once, window_of_truth
from stereodistill.errors import UserError
from stereodistill.io.disparity import read_disparity, read_disparity_window
from stereodistill.io.images import ChooseWindow, Window, image_size, read_image, read_image_window
from stereodistill.types import Rig, StereoPair, View

Map = tuple[np.ndarray, np.ndarray]
"""(values float32 (H, W), 0 where not known; valid bool (H, W))."""
PHOTO_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
"""What people convert photos to; a list's `.png` is found under each of them."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One frame of a split: where its files belong, whether they are there or not."""

    name: str
    left: Path
    right: Path | None = None
    disparity: Path | None = None
    disparity_right: Path | None = None
    depth: Path | None = None
    """Ground truth in metres, in whatever form (LiDAR scan, depth map)."""
    calibration: Calibration | Rig | None = None
    also: tuple[Path, ...] = ()
    """Other files that the frame is not complete without (a second calibration, a mask)."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file of the frame, photos first."""
        calibration = self.calibration.path if isinstance(self.calibration, Calibration) else None
        named = (self.left, self.right, self.disparity, self.disparity_right, self.depth, calibration)
        return (*(path for path in named if path is not None), *self.also)


class ListedPairs:
    """Base of the named data sets: a `StereoDataset` with `pair_files`, `missing`, `total`.

    A subclass gives `name`, `splits` and `list_entries`, and replaces `read_view` (with `view_size`), `read_truth` or
    `read_rig` where its files need it.  Ground truth in metres (LiDAR) is a further method `depth(index)`.
    """

    name: ClassVar[str]
    splits: ClassVar[Mapping[str, str]]
    """Split -> what it is, in one line; the first is taken when none is named."""
    tree: ClassVar[str] = ""
    """A file below the root, for the message when a split that is found by looking finds nothing."""
    anchors: ClassVar[tuple[str, ...]] = ("left",)
    """Fields of `Entry`: where not one such file of the split is on disk, the root is wrong."""
    depth_from: ClassVar[Literal["lidar", "improved", "laser", "rendered"] | None] = None
    """What the method `depth` tells: single LiDAR scans, accumulated and cleaned ones, Make3D's, a renderer's."""
    reads_truth: bool = True
    """False where `load` leaves the disparities out (`without_truth`)."""
    images_are_files: bool = True
    """False where `load` changes the pictures (crops them), so that they are not what the files hold."""

    def __init__(self, root: str | Path, split: str | None = None, *, rig: Rig | None = None, limit: int | None = None):
        self.root, self.split, self._rig = Path(root), split or next(iter(self.splits)), rig
        if self.split not in self.splits:
            if split == "?":
                known = "; ".join(f"{key} ({text})" for key, text in self.splits.items())
                raise UserError(f"{self.name}: choose a split: {known}")
            raise UserError(f"{self.name}: no split {split!r}; choose one of {', '.join(self.splits)}")
        if not self.root.is_dir():
            raise UserError(f"{self.title}: no such folder {self.root}; give the root as {self.name}:{self.split}=ROOT")
        self._all = [self._with_rig(entry) for entry in self.list_entries()]
        self._refuse_other_tree()
        self._entries = self._all[:limit]
        self.names = [entry.name for entry in self._entries]

    def list_entries(self) -> Iterable[Entry]:
        """The frames of `self.split` below `self.root`, in the order of the list; no file needs to be there."""
        raise NotImplementedError

    def read_view(self, path: Path) -> np.ndarray:
        """A photo as `load` gives it: float32 (H, W, 3) in [0, 1]."""
        return read_image(path)

    def view_size(self, path: Path) -> Size:
        """(height, width) of what `read_view` gives, without decoding; for a subclass as `read_view_window`."""
        if type(self).read_view is ListedPairs.read_view:
            return image_size(path)
        image = self.read_view(path)
        return image.shape[0], image.shape[1]

    def read_view_window(self, path: Path, choose: ChooseWindow) -> tuple[np.ndarray, tuple[int, int]]:
        """A window of what `read_view` gives, float32 (3, h, w), and the size of the whole.

        A subclass that replaces `read_view` replaces this, too, where it can read less than the whole.
        """
        if type(self).read_view is ListedPairs.read_view:
            return read_image_window(path, choose)
        image = self.read_view(path)
        size = (image.shape[0], image.shape[1])
        return np.ascontiguousarray(choose(size).cut(image).transpose(2, 0, 1)), size

    def read_truth(self, entry: Entry, *, right: bool) -> Map | None:
        """Disparity of one view in pixels, at the size of its photo; None = there is none."""
        path = entry.disparity_right if right else entry.disparity
        return None if path is None else read_disparity(path)

    def read_truth_window(self, entry: Entry, window: Window, size: tuple[int, int], *, right: bool) -> Map | None:
        """A window of what `read_truth` gives, which must be of `size`; for a subclass as `read_view_window`."""
        choose = window_of_truth(window, size, entry.name)
        if type(self).read_truth is ListedPairs.read_truth:
            path = entry.disparity_right if right else entry.disparity
            return None if path is None else read_disparity_window(path, choose)
        truth = self.read_truth(entry, right=right)
        if truth is None:
            return None
        disparity, valid = truth
        choose((disparity.shape[0], disparity.shape[1]))
        return window.cut(disparity), window.cut(valid)

    def read_rig(self, entry: Entry, size: tuple[int, int]) -> Rig:
        """The cameras of a photo of `size` (height, width); a rig given by hand is already in `entry`."""
        return rig_at(entry.calibration, size)

    @property
    def title(self) -> str:
        """`NAME:SPLIT`."""
        return f"{self.name}:{self.split}"

    @property
    def total(self) -> int:
        """How many frames the split names, present or not, and whatever `limit` says."""
        return len(self._all)

    @property
    def has_right(self) -> bool:
        """Whether there is a second view."""
        return all(entry.right is not None for entry in self._all)

    def __len__(self) -> int:
        return len(self._entries)

    def entry(self, index: int) -> Entry:
        """Frame `index` with its photos under the suffix they have on disk."""
        entry = self._entries[index]
        return replace(entry, left=present(entry.left), right=entry.right and present(entry.right))

    def pair_files(self, index: int) -> PairFiles:
        """The files of pair `index`.

        Raises:
            UserError: the data set has no second view.
        """
        entry = self.entry(index)
        if entry.right is None:
            raise UserError(f"{self.title} has no second view: its photos make no stereo pairs")
        return PairFiles(
            name=entry.name,
            left=entry.left,
            right=entry.right,
            disparity=entry.disparity,
            disparity_right=entry.disparity_right,
            calibration=entry.calibration,
        )

    def missing(self) -> list[tuple[str, Path]]:
        """(frame, path) of every file of the split that is not on disk, in the order of the list."""
        folders: dict[str, set[str]] = {}
        return [(entry.name, path) for entry in self._all for path in entry.files if not _is_listed(path, folders)]

    def without_truth(self) -> ListedPairs:
        """The same frames without their disparities, which are then not read."""
        plain = copy(self)
        plain.reads_truth = False
        return plain

    def rig(self, index: int) -> Rig:
        """The cameras of frame `index` at its width."""
        return self.read_rig(self.entry(index), self.size(index))

    def size(self, index: int) -> Size:
        """(height, width) of frame `index`, from its photo's header."""
        return self.view_size(self.entry(index).left)

    def load(self, index: int, window: ChooseWindow | None = None) -> StereoPair:
        """Frame `index`, or the `window` of it; see `StereoDataset`.

        Without a second view `right` is an unlabelled view of zeros.

        Raises:
            UserError: a file is absent or cannot be read, or sizes differ; names the frame.
        """
        entry, choose = self.entry(index), once(window)
        self._refuse_absent(entry)
        image, size = self.read_view_window(entry.left, choose)
        left, part = torch.from_numpy(image), choose(size)
        right, right_size = torch.zeros_like(left), size
        if entry.right is not None:
            image, right_size = self.read_view_window(entry.right, choose)
            right = torch.from_numpy(image)
        if size != right_size:
            sizes = [f"{width}x{height}" for height, width in (size, right_size)]
            raise UserError(f"{entry.name}: the two views must have one size, found {sizes[0]} and {sizes[1]}")
        return StereoPair(
            left=self._view(left, entry, part, size, right=False),
            right=self._view(right, entry, part, size, right=True),
            rig=replace(self.read_rig(entry, size), width=part.width),
            name=entry.name,
        )

    def _with_rig(self, entry: Entry) -> Entry:
        return entry if self._rig is None else replace(entry, calibration=self._rig)

    def _view(self, image: torch.Tensor, entry: Entry, window: Window, size: tuple[int, int], *, right: bool) -> View:
        if not self.reads_truth or (right and entry.right is None):
            return View.unlabelled(image)
        truth = self.read_truth_window(entry, window, size, right=right)
        if truth is None:
            return View.unlabelled(image)
        disparity, valid = (torch.from_numpy(array)[None] for array in truth)
        return View(image=image, disparity=disparity, valid=valid)

    def _refuse_absent(self, entry: Entry) -> None:
        absent = next((path for path in entry.files if not path.is_file()), None)
        if absent is not None:
            raise UserError(f"{self.title}: frame {entry.name} lacks {absent}; `stereodistill check` lists all such")

    def _refuse_other_tree(self) -> None:
        """A wrong root is told at once: not one file of a kind that the split needs lies where it belongs."""
        folders: dict[str, set[str]] = {}
        if not self._all:
            raise UserError(f"{self.root}: nothing of {self.title} there; expected {self.tree}, {self._found()}")
        for anchor in self.anchors:
            paths = (path for entry in self._all if (path := getattr(entry, anchor)) is not None)
            first = next(paths, None)
            if first is None or any(_is_listed(path, folders) for path in (first, *paths)):
                continue
            first = first.relative_to(self.root) if first.is_relative_to(self.root) else first
            more = f" and {self.total - 1} more" if self.total > 1 else ""
            raise UserError(f"{self.root}: nothing of {self.title} there; expected {first}{more}, {self._found()}")

    def _found(self) -> str:
        entries = sorted(p.name + ("/" if p.is_dir() else "") for p in self.root.iterdir())
        shown = ", ".join(entries[:6]) + (f" and {len(entries) - 6} more" if len(entries) > 6 else "")
        return f"found {shown or 'an empty folder'}"


def present(photo: Path) -> Path:
    """The photo under the suffix it has on disk; unchanged when there is none."""
    if photo.is_file():
        return photo
    others = (photo.with_suffix(suffix) for suffix in PHOTO_SUFFIXES)
    return next((path for path in others if path.is_file()), photo)


def _is_listed(path: Path, folders: dict[str, set[str]]) -> bool:
    """Like `is_file`, but each folder is asked once: a split has tens of thousands of files."""
    folder, name = os.path.split(path)
    names = folders.get(folder)
    if names is None:
        try:
            names = set(os.listdir(folder))
        except OSError:
            names = set()
        folders[folder] = names
    if name in names:
        return True
    if not names:
        return False
    stem, suffix = os.path.splitext(name)
    return suffix in PHOTO_SUFFIXES and any(stem + other in names for other in PHOTO_SUFFIXES)
