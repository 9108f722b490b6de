"""Small made-up pairs with ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from stereodistill.types import Rig, StereoPair, View

RIG = Rig(focal_px=100.0, baseline_m=0.5, width=40)
SIZE = (20, 40)


def _make_pair(name: str = "a", truth: np.ndarray | float | None = 5.0, rig: Rig = RIG) -> StereoPair:
    image = torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(len(name)))
    view = View.unlabelled(image)
    if truth is not None:
        disparity = torch.full((1, *SIZE), truth) if isinstance(truth, float) else torch.from_numpy(truth)[None]
        view = View(image=image, disparity=disparity, valid=disparity > 0)
    return StereoPair(left=view, right=View.unlabelled(image), rig=rig, name=name)


@dataclass
class Pairs:
    pairs: list[StereoPair]

    @property
    def names(self) -> list[str]:
        return [str(pair.name) for pair in self.pairs]

    def __len__(self) -> int:
        return len(self.pairs)

    def load(self, index: int) -> StereoPair:
        return self.pairs[index]


@pytest.fixture(scope="session")
def make_pair():
    """make_pair(name="a", truth=5.0, rig=...) -> a pair of 20 x 40 pixels; truth: a number, a map, or None."""
    return _make_pair


@pytest.fixture(scope="session")
def pairs_of():
    """pairs_of(list of pairs) -> a dataset."""
    return Pairs
