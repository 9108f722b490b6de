"""From a recipe's `data` to samples: procedural worlds, pairs with ground truth, pairs with a teacher's labels."""

from __future__ import annotations

from stereodistill.engine.batches import Samples
from stereodistill.engine.recipe import PairsSource, SynthSource
from stereodistill.errors import UserError
from stereodistill.rng import rng
from stereodistill.synth import render
from stereodistill.types import StereoPair

ENDLESS = 1 << 40


def open_samples(source: SynthSource | PairsSource, seed: int) -> Samples:
    """The training samples that `source` describes."""
    if isinstance(source, SynthSource):
        return Worlds(source, seed)
    return open_pairs(source)


def open_pairs(source: PairsSource) -> Samples:
    """Pairs on disk, with cached labels in place of ground truth where `labels` names a folder."""
    from stereodistill.data import open_dataset

    if source.labels:
        from stereodistill.label import LabelledDataset

        samples = LabelledDataset(source.labels, data=source.path, layout=source.layout)
    else:
        samples = open_dataset(source.path, layout=source.layout)
    return samples if source.names is None else Subset(samples, source.names)


class Worlds:
    """Procedural scenes of several kinds, mixed in fixed shares; sample i is a function of (seed, i)."""

    def __init__(self, source: SynthSource, seed: int):
        self.source, self.seed = source, seed
        self.kinds = list(source.worlds)
        total = sum(source.worlds.values())
        if not self.kinds or total <= 0 or min(source.worlds.values()) < 0:
            raise UserError("data.worlds: expected shares like {flying: 0.7, street: 0.3}, at least one above 0")
        self.shares = [source.worlds[kind] / total for kind in self.kinds]
        self.endless = source.num is None

    def __len__(self) -> int:
        return self.source.num or ENDLESS

    def load(self, index: int) -> StereoPair:
        """Render scene `index`."""
        kind = str(rng(self.seed, 0, index, purpose=2).choice(self.kinds, p=self.shares))
        batch = render(kind, seed=self.seed, indices=[index], size=self.source.size)
        return first(batch.pair)


def first(batch: StereoPair) -> StereoPair:
    """The first sample of a batch, without its batch dimension."""
    from dataclasses import fields, replace

    rig = type(batch.rig)(**{f.name: float(getattr(batch.rig, f.name)[0]) for f in fields(batch.rig)})
    left, right = (view.map(lambda t: t[0]) for view in (batch.left, batch.right))
    return replace(batch, left=left, right=right, rig=replace(rig, width=int(rig.width)), name=batch.name[0])


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
