"""Stereo pairs on disk as a data set (see `data.dataset.StereoDataset`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stereodistill.data.dataset import Size
from stereodistill.data.layouts import LAYOUTS, UNDERSTOOD, Found, PairFiles, find_pairs
from stereodistill.data.published.listed import ListedPairs
from stereodistill.data.published.registry import open_named, parse_source
from stereodistill.data.rigs import rig_at
from stereodistill.data.video import SideBySideFolder, SideBySideVideo
from stereodistill.data.windows import read_pair
from stereodistill.errors import UserError
from stereodistill.io.images import ChooseWindow, image_size
from stereodistill.io.video import VIDEO_SUFFIXES
from stereodistill.types import Rig, StereoPair


class PairDataset:
    """Pairs of image files, with ground truth and rigs where there are some."""

    def __init__(self, pairs: Sequence[PairFiles]):
        self._pairs = list(pairs)
        self.names = [files.name for files in self._pairs]

    def __len__(self) -> int:
        return len(self._pairs)

    def pair_files(self, index: int) -> PairFiles:
        """The files that pair `index` is read from."""
        return self._pairs[index]

    def without_truth(self) -> PairDataset:
        """The same pairs without their disparities, which are then not read."""
        return PairDataset([replace(files, disparity=None, disparity_right=None) for files in self._pairs])

    def rig(self, index: int) -> Rig:
        """The rig of pair `index` at its width, from its calibration and the header of its left image."""
        return rig_at(self._pairs[index].calibration, self.size(index))

    def size(self, index: int) -> Size:
        """(height, width) of pair `index`, from the header of its left image."""
        return image_size(self._pairs[index].left)

    def load(self, index: int, window: ChooseWindow | None = None) -> StereoPair:
        """Pair `index`, or the `window` of it; see `StereoDataset`.

        Raises:
            UserError: a file cannot be read, the views differ in size, or the ground truth is not a disparity.
        """
        return read_pair(self._pairs[index], window)


def open_dataset(
    path: str | Path | tuple[str | Path, str | Path],
    *,
    layout: str = "auto",
    rig: Rig | None = None,
    limit: int | None = None,
) -> PairDataset | ListedPairs | SideBySideFolder | SideBySideVideo:
    """Open stereo pairs of any understood layout; nothing is decoded yet.

    Args:
        path: a folder, a CSV list, a video, the two files of one pair `(left, right)`, or a data set by name:
            `NAME[:SPLIT]=ROOT`, or `NAME[:SPLIT]` with the root from `$STEREODISTILL_DATA/NAME` (see `data.named`).
        layout: "auto", or one of "folder", "kitti", "csv", "pair" (told apart by file names), "sbs" (side by side).
        rig: replaces every calibration found; it holds at its own width and is scaled to each image's width
            (`width=0`: it holds at each image's own width).
        limit: use only the first `limit` pairs.

    Raises:
        UserError: absent path, no pairs, or a view missing for some names; one line that says how to mend it.
    """
    if layout not in LAYOUTS:
        raise UserError(f"layout {layout!r} is not known; choose one of {', '.join(LAYOUTS)}")
    if limit is not None and limit < 1:
        raise UserError(f"limit must be at least 1, found {limit}")
    if isinstance(path, tuple):
        return PairDataset([_pair_of_files(path, rig)])
    named = parse_source(path)
    if named is not None:
        if layout != "auto":
            raise UserError(f"{path}: a data set by name has its own layout; leave out layout {layout!r}")
        return open_named(named, rig=rig, limit=limit)
    path = Path(path)
    if layout == "sbs":
        return _open_side_by_side(path, rig, limit)
    if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES:
        raise UserError(f"{path}: a video holds pairs only when both views lie side by side; then say layout 'sbs'")
    found = find_pairs(path, layout)
    refuse_unpaired(found, path)
    return PairDataset([with_rig(files, rig) for files in found.pairs[:limit]])


def refuse_unpaired(found: Found, path: Path) -> None:
    """Raise when images lack their partner; training on half a data set by accident must not happen."""
    if found.unpaired:
        first, total = found.unpaired[0], len(found.pairs) + len(found.unpaired)
        raise UserError(
            f"{path}: one view missing for {len(found.unpaired)} of {total} names, for example {first} has no "
            f"partner of that name; add the missing images or remove the lonely ones"
        )


def with_rig(files: PairFiles, rig: Rig | None) -> PairFiles:
    """The same pair with its calibration replaced, when one is given."""
    return files if rig is None else replace(files, calibration=rig)


def _pair_of_files(paths: tuple[str | Path, str | Path], rig: Rig | None) -> PairFiles:
    left, right = (Path(p) for p in paths)
    for file in (left, right):
        if not file.is_file():
            raise UserError(f"{file}: no such image file")
    return PairFiles(name=left.stem, left=left, right=right, calibration=rig)


def _open_side_by_side(path: Path, rig: Rig | None, limit: int | None) -> SideBySideFolder | SideBySideVideo:
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; expected stereo data: {UNDERSTOOD}")
    return (SideBySideFolder if path.is_dir() else SideBySideVideo)(path, rig, limit)
