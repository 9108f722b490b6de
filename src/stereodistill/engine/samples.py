"""From a recipe's `data` to samples: procedural worlds, pairs with ground truth, pairs with a teacher's labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from stereodistill.data import open_dataset
from stereodistill.data.tolerant import Tolerant
from stereodistill.data.windows import load_window
from stereodistill.engine.batches import Samples
from stereodistill.engine.recipe import PairsSource, SynthSource
from stereodistill.engine.worlds import Worlds
from stereodistill.errors import UserError
from stereodistill.io.images import ChooseWindow
from stereodistill.labels.dataset import LabelledDataset
from stereodistill.ops.geometry import resize_pair
from stereodistill.types import StereoPair

SKIPPED = "skipped.jsonl"
"""In a run's folder: pairs that could not be read."""


def open_samples(source: SynthSource | PairsSource, seed: int) -> Samples:
    """The training samples that `source` describes."""
    if isinstance(source, SynthSource):
        return Worlds(source, seed)
    return open_pairs(source)


def open_pairs(source: PairsSource) -> Samples:
    """Pairs on disk, with cached labels in place of ground truth where `labels` names a folder."""
    if source.labels:
        data = open_dataset(source.path, layout=source.layout)
        return LabelledDataset(source.labels, data, min_confidence=source.min_confidence, names=source.names)
    samples = open_dataset(source.path, layout=source.layout)
    return samples if source.names is None else Subset(samples, source.names)


def tolerant(samples: Samples, source: SynthSource | PairsSource, out: Path) -> Samples:
    """What `source.on_error` says about unreadable pairs; those left out are listed in `out/skipped.jsonl`."""
    if isinstance(source, SynthSource):
        return samples
    return Tolerant(samples, source.on_error, journal=out / SKIPPED, hint="data.on_error=skip")


class Subset:
    """The named pairs of a dataset, in the dataset's order."""

    def __init__(self, samples, names: tuple[str, ...]):
        wanted = set(names)
        self.samples = samples
        self.indices = [i for i, name in enumerate(samples.names) if name in wanted]
        missing = wanted - {samples.names[i] for i in self.indices}
        if missing:
            raise UserError(f"{len(missing)} of the named pairs are not in the data, the first: {min(missing)}")
        self.names = [samples.names[i] for i in self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def load(self, index: int) -> StereoPair:
        """Sample `index` of the subset."""
        return self.samples.load(self.indices[index])

    def load_window(self, index: int, choose: ChooseWindow) -> StereoPair:
        """`load`, cropped to the window `choose((height, width))`."""
        return load_window(self.samples, self.indices[index], choose)


class Shrunk:
    """Samples at a fixed small size, remembered once they were made: a student sees the same ones every epoch.

    Each worker process keeps its own memory, within its share of `budget_bytes`; what does not fit is made
    again.  Images are kept in float16, and pass through it in any case, so that a sample is the same whether it
    was remembered or not.
    """

    def __init__(self, samples: Samples, size: tuple[int, int], workers: int, budget_bytes: int = 4 << 30):
        self.samples, self.size = samples, size
        self.endless = getattr(samples, "endless", False)
        bytes_per_sample = size[0] * size[1] * 2 * (3 * 2 + 4 + 1)
        self.capacity = 0 if self.endless else budget_bytes // max(workers, 1) // bytes_per_sample
        self.kept: dict[int, StereoPair] = {}

    def __len__(self) -> int:
        return len(self.samples)

    def load(self, index: int) -> StereoPair:
        """Sample `index` at the fixed size."""
        pair = self.kept.get(index)
        if pair is None:
            pair = _with_images(resize_pair(self.samples.load(index), self.size), torch.Tensor.half)
            if len(self.kept) < self.capacity:
                self.kept[index] = pair
        return _with_images(pair, torch.Tensor.float)


def _with_images(pair: StereoPair, function) -> StereoPair:
    left, right = (replace(view, image=function(view.image)) for view in (pair.left, pair.right))
    return replace(pair, left=left, right=right)
