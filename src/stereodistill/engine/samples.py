"""From a recipe's `data` to samples: procedural worlds, pairs with ground truth, pairs with a teacher's labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from stereodistill.data import StereoDataset, Subset, open_dataset
from stereodistill.data.dataset import Size
from stereodistill.data.tolerant import Tolerant
from stereodistill.engine.common_baseline import CommonBaseline
from stereodistill.engine.recipe import PairsSource, SynthSource
from stereodistill.engine.worlds import Worlds
from stereodistill.io.images import ChooseWindow
from stereodistill.labels.dataset import LabelledDataset
from stereodistill.labels.filled import Filled
from stereodistill.ops.geometry import crop_pair, resize_pair
from stereodistill.types import Rig, StereoPair

SKIPPED = "skipped.jsonl"
"""In a run's folder: pairs that could not be read."""


def open_samples(source: SynthSource | PairsSource, seed: int) -> StereoDataset:
    """The training samples that `source` describes."""
    if isinstance(source, SynthSource):
        worlds = Worlds(source, seed)
        return worlds if source.baseline_m is None else CommonBaseline(worlds, source.baseline_m)
    return open_pairs(source)


def open_pairs(source: PairsSource) -> StereoDataset:
    """Pairs on disk, with cached labels in place of ground truth where `labels` names a folder."""
    if source.labels:
        data = open_dataset(source.path, layout=source.layout)
        labelled = LabelledDataset(source.labels, data, min_confidence=source.min_confidence, names=source.names)
        return Filled(labelled, source.fill) if source.fill else labelled
    samples = open_dataset(source.path, layout=source.layout)
    return samples if source.names is None else Subset(samples, source.names)


def tolerant(samples: StereoDataset, source: SynthSource | PairsSource, out: Path) -> StereoDataset:
    """What `source.on_error` says about unreadable pairs; those left out are listed in `out/skipped.jsonl`."""
    if isinstance(source, SynthSource):
        return samples
    return Tolerant(samples, source.on_error, journal=out / SKIPPED, hint="data.on_error=skip")


class Shrunk:
    """Samples at a fixed small size, remembered once they were made: a student sees the same ones every epoch.

    Each worker process keeps its own memory, within its share of `budget_bytes`; what does not fit is made
    again.  Images are kept in float16, and pass through it in any case, so that a sample is the same whether it
    was remembered or not.
    """

    def __init__(self, samples: StereoDataset, size: tuple[int, int], workers: int, budget_bytes: int = 4 << 30):
        self.samples, self._size = samples, size
        self.endless = getattr(samples, "endless", False)
        bytes_per_sample = size[0] * size[1] * 2 * (3 * 2 + 4 + 1)
        self.capacity = 0 if self.endless else budget_bytes // max(workers, 1) // bytes_per_sample
        self.kept: dict[int, StereoPair] = {}

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def names(self) -> Sequence[str]:
        """Of the samples."""
        return self.samples.names

    def rig(self, index: int) -> Rig:
        """Of sample `index` at the fixed size."""
        return self.samples.rig(index).at_width(self._size[1])

    def size(self, index: int) -> Size:
        """The fixed size."""
        return self._size

    def load(self, index: int, window: ChooseWindow | None = None) -> StereoPair:
        """Sample `index` at the fixed size, or the `window` of it."""
        pair = self.kept.get(index)
        if pair is None:
            pair = _with_images(resize_pair(self.samples.load(index), self._size), torch.Tensor.half)
            if len(self.kept) < self.capacity:
                self.kept[index] = pair
        pair = _with_images(pair, torch.Tensor.float)
        return pair if window is None else crop_pair(pair, *window(self._size))


def _with_images(pair: StereoPair, function) -> StereoPair:
    left, right = (replace(view, image=function(view.image)) for view in (pair.left, pair.right))
    return replace(pair, left=left, right=right)
