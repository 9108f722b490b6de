"""A procedural world as a data set like pairs on disk: `names`, `rig(i)`, `size(i)`, `load(i)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from stereodistill.errors import UserError
from stereodistill.io.images import ChooseWindow
from stereodistill.ops.geometry import crop_pair
from stereodistill.types import Rig, StereoPair, uncollate


class SynthDataset:
    """`num` samples of the world `kind`; sample i is rendered on demand and is the same each time."""

    def __init__(
        self,
        kind: str,
        num: int,
        size: tuple[int, int] = (384, 640),
        seed: int = 0,
        *,
        config: Any = None,
        photos: Sequence[np.ndarray] | None = None,
    ):
        if num < 1:
            raise UserError(f"a procedural dataset needs at least 1 sample, got num={num}")
        self.kind, self.num, self.seed, self._size = kind, num, seed, size
        self.config, self.photos = config, photos
        self.names = [f"{kind}_{seed}_{index:06d}" for index in range(num)]

    def __len__(self) -> int:
        return self.num

    def rig(self, index: int) -> Rig:
        """The cameras of sample `index`, which is rendered for it."""
        return self.load(index).rig

    def size(self, index: int) -> tuple[int, int]:
        """(height, width), the same for all samples."""
        return self._size

    def load(self, index: int, window: ChooseWindow | None = None) -> StereoPair:
        """Sample `index`, or the `window` of it, as an unbatched pair on the CPU."""
        from stereodistill.synth import render

        if not 0 <= index < self.num:
            raise IndexError(f"sample {index} of a dataset with {self.num}")
        rendered = render(
            self.kind, seed=self.seed, indices=[index], size=self._size, config=self.config, photos=self.photos
        )
        pair = replace(uncollate(rendered.pair)[0], name=self.names[index])
        return pair if window is None else crop_pair(pair, *window(pair.size))
