"""What every data set is, on disk or rendered: `names`, `rig(i)`, `size(i)`, `load(i)`; and a part of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stereodistill.errors import UserError
from stereodistill.io.images import ChooseWindow
from stereodistill.types import Rig, StereoPair

Size = tuple[int, int]


class StereoDataset(Protocol):
    """What every consumer of pairs relies on, and every wrapper keeps.

    `names` are in sequence order.  `rig(i)` and `size(i)` say what `load(i)` will have as `.rig` and `.size`; for
    pairs on disk they are read from headers and calibrations, so that asking many pairs costs little.
    """

    @property
    def names(self) -> Sequence[str]:
        """Of all pairs, each once."""
        ...

    def __len__(self) -> int: ...

    def rig(self, index: int) -> Rig: ...

    def size(self, index: int) -> Size: ...

    def load(self, index: int, window: ChooseWindow | None = None) -> StereoPair:
        """Pair `index`: images (3, H, W), disparities and masks (1, H, W), the rig at this width.

        `window` is called with the whole pair's (height, width), once, and says which part of it to load; of files
        no more is read where the format allows it.

        Raises:
            UserError: a file is absent or cannot be read; what lies outside the window may pass unseen.
        """
        ...


class Subset:
    """The pairs of a data set that `names` names, in that order.

    Raises:
        UserError: a name that the data set does not have.
    """

    def __init__(self, dataset: StereoDataset, names: Sequence[str]):
        place = {name: index for index, name in enumerate(dataset.names)}
        missing = [name for name in names if name not in place]
        if missing:
            raise UserError(f"{len(missing)} of the named pairs are not in the data, the first: {missing[0]}")
        self.dataset, self.names = dataset, list(names)
        self._indices = [place[name] for name in names]

    def __len__(self) -> int:
        return len(self._indices)

    def rig(self, index: int) -> Rig:
        """Of pair `index` of the subset."""
        return self.dataset.rig(self._indices[index])

    def size(self, index: int) -> Size:
        """Of pair `index` of the subset."""
        return self.dataset.size(self._indices[index])

    def load(self, index: int, window: ChooseWindow | None = None) -> StereoPair:
        """Pair `index` of the subset."""
        return self.dataset.load(self._indices[index], window)


NUM_LOOKED_AT = 20
"""Pairs that are asked for what all of them are like."""


def metric_rigs(dataset: StereoDataset) -> list[Rig]:
    """The rigs of some pairs, spread over the data set; none when any of these pairs has none."""
    rigs = [dataset.rig(index) for index in spread(dataset, NUM_LOOKED_AT)]
    return rigs if all(rig.is_metric for rig in rigs) else []


def middle_rig(rigs: Sequence[Rig]) -> Rig:
    """The one of which as many see more as see less: the median of the focal lengths in image widths."""
    return sorted(rigs, key=lambda rig: rig.focal_px / rig.width)[len(rigs) // 2]


def spread(dataset: StereoDataset, num: int) -> range:
    """Indices spread evenly over the data set: `num` or up to twice as many, or all of a smaller one."""
    return range(0, len(dataset), max(1, len(dataset) // num))
