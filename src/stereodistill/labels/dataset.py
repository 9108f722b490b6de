"""A teacher's labels as a dataset: the pairs that `label` finished, with the teacher's disparity as what is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stereodistill.data.dataset import Size, StereoDataset, Subset
from stereodistill.data.folder import PairDataset, open_dataset
from stereodistill.data.layouts import find_pairs
from stereodistill.data.published.listed import ListedPairs
from stereodistill.data.windows import once, whole
from stereodistill.errors import UserError
from stereodistill.io.disparity import read_disparity_window
from stereodistill.io.images import ChooseWindow, Window, read_samples_window
from stereodistill.labels.files import HEADER, SIDES, LabelFiles, LabelsHeader, label_name, written_over
from stereodistill.types import Rig, StereoPair, View


class LabelledDataset:
    """Pairs whose disparity is the teacher's, otherwise a data set like any other (`StereoDataset`).

    Args:
        labels: folder that `label` wrote.
        data: the pairs that were labelled (path or dataset), to read images and rigs from there; the default reads
            them from the labels folder itself.
        min_confidence: pixels below it (0..1) are unknown: disparity 0, `valid` False.  At 0 every pixel with a
            positive disparity counts (Guo et al. 2018, eq. 8).
        names: use only these pairs.
        allow_missing: leave out pairs of `data` (or of `names`) that have no labels instead of refusing.

    Raises:
        UserError: no labels there, pairs without labels, labels of other images, damaged files.
    """

    def __init__(
        self,
        labels: str | Path,
        data: str | Path | StereoDataset | None = None,
        *,
        min_confidence: float = 0.0,
        names: Sequence[str] | None = None,
        allow_missing: bool = False,
    ):
        if not 0 <= min_confidence <= 1:
            raise UserError(f"min_confidence is a number from 0 to 1, found {min_confidence}")
        header = LabelsHeader.read(labels)
        if header is None:
            raise UserError(f"{labels}: no {HEADER}, so no labels; make them with `stereodistill label DATA --out DIR`")
        self.header, self.min_confidence = header, min_confidence
        self._files = LabelFiles(labels)
        images = _without_truth(_open(labels, data))
        self._images = Subset(
            images, self._select(images.names, names, allow_missing or (data is None and names is None))
        )
        self.names = self._images.names

    def __len__(self) -> int:
        return len(self._images)

    def rig(self, index: int) -> Rig:
        """The rig of pair `index`."""
        return self._images.rig(index)

    def size(self, index: int) -> Size:
        """(height, width) of pair `index`."""
        return self._images.size(index)

    def load(self, index: int, window: ChooseWindow | None = None) -> StereoPair:
        """Pair `index` with the teacher's disparity of the left view, and of the right view where it was labelled."""
        choose = once(window)
        sizes: list[Size] = []

        def noted(size: Size) -> Window:
            sizes.append(size)
            return choose(size)

        pair = self._images.load(index, noted)
        name, size = label_name(self.names[index]), sizes[0]
        left, right = (
            self._view(view, name, side, choose(size), size)
            for view, side in ((pair.left, "left"), (pair.right, "right"))
        )
        return replace(pair, left=left, right=right)

    def load_confidence(self, index: int) -> tuple[Tensor, Tensor]:
        """The teacher's confidence in the left and the right disparity, (1, H, W) float32 in [0, 1]; 0 = unlabelled."""
        name = label_name(self.names[index])
        paths = [self._files.find(f"confidence{end}", name) for end in SIDES.values()]
        left = _read_confidence(paths[0])
        return left, torch.zeros_like(left) if paths[1] is None else _read_confidence(paths[1])

    def _view(self, view: View, name: str, side: str, window: Window, size: tuple[int, int]) -> View:
        if not self._files.has_labels(name, side):
            return View.unlabelled(view.image, view.seen)
        path, picture = self._files.find(f"disparity{SIDES[side]}", name), self._files.find(side, name)
        assert path is not None
        if picture is not None and written_over(picture, path):
            raise UserError(f"{picture} was changed after it was labelled; run `stereodistill label` again")

        def of_this_image(found: tuple[int, int]) -> Window:
            if found != size:
                sizes = [f"{width}x{height}" for height, width in (size, found)]
                raise UserError(
                    f"{path}: the image is {sizes[0]}, its label {sizes[1]}; these labels belong to other data"
                )
            return window

        arrays = read_disparity_window(path, of_this_image)
        disparity, valid = (torch.as_tensor(array)[None] for array in arrays)
        if self.min_confidence > 0:
            confidence = _read_confidence(self._files.find(f"confidence{SIDES[side]}", name), lambda _: window)
            valid &= confidence >= self.min_confidence
        valid &= view.seen
        return View(image=view.image, disparity=disparity * valid, valid=valid, seen=view.seen)

    def _select(self, known: Sequence[str], names: Sequence[str] | None, allow_missing: bool) -> list[str]:
        """Of the pairs called `names` (None: all that are known) those that have labels."""
        wanted = list(known if names is None else names)
        root, there = self._files.root, set(known)
        unknown = [name for name in wanted if name not in there]
        if unknown:
            raise UserError(
                f"{root}: no pair named {unknown[0]!r} in the data ({len(unknown)} of {len(wanted)} absent)"
            )
        if names is not None and not wanted:  # a run that holds nothing out
            return []
        finished = [name for name in wanted if self._files.is_finished(label_name(name), right=False)]
        if not finished or (len(finished) < len(wanted) and not allow_missing):
            raise UserError(
                f"{root}: {len(finished)} of {len(wanted)} pairs have labels; run `stereodistill label` again with "
                "the same data and folder, it goes on where it stopped"
            )
        return finished


def _open(labels: str | Path, data: str | Path | StereoDataset | None) -> StereoDataset:
    if data is None:
        # Not open_dataset: while labelling goes on, an image may already lie there without its partner.
        return PairDataset(find_pairs(Path(labels), "folder").pairs)
    return open_dataset(data) if isinstance(data, (str, Path)) else data


def _without_truth(dataset: StereoDataset) -> StereoDataset:
    return dataset.without_truth() if isinstance(dataset, (PairDataset, ListedPairs)) else dataset


def _read_confidence(path: Path | None, choose: ChooseWindow = whole) -> Tensor:
    assert path is not None
    samples, _, _ = read_samples_window(path, choose)
    if samples.dtype != np.uint8 or samples.ndim != 2:
        raise UserError(f"{path}: a confidence map is 8-bit grey; delete it and run `stereodistill label` again")
    return torch.as_tensor(samples.astype(np.float32) / 255)[None]
