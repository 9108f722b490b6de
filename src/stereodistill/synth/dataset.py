"""A procedural world as a dataset: `len`, `load(i)`, `names`, like pairs on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from stereodistill.errors import UserError
from stereodistill.types import StereoPair, uncollate


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
        self.kind, self.num, self.size, self.seed = kind, num, size, seed
        self.config, self.photos = config, photos
        self.names = [f"{kind}_{seed}_{index:06d}" for index in range(num)]

    def __len__(self) -> int:
        return self.num

    def load(self, index: int) -> StereoPair:
        """Sample `index` as an unbatched pair on the CPU."""
        from stereodistill.synth import render

        if not 0 <= index < self.num:
            raise IndexError(f"sample {index} of a dataset with {self.num}")
        rendered = render(
            self.kind, seed=self.seed, indices=[index], size=self.size, config=self.config, photos=self.photos
        )
        return replace(uncollate(rendered.pair)[0], name=self.names[index])
