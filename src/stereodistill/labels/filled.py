"""Two teachers: the first one's labels where they are trusted, the second one's everywhere else.

A stereo teacher knows nothing of what the right camera does not see, and little of sky, glass and reflections.  A mono
network has an opinion of every pixel, and its error is mostly one factor for the whole picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from stereodistill.data import StereoDataset
from stereodistill.data.dataset import Size
from stereodistill.data.windows import once
from stereodistill.errors import UserError
from stereodistill.io.disparity import read_disparity_window
from stereodistill.io.images import ChooseWindow
from stereodistill.labels.files import HEADER, SIDES, LabelFiles, LabelsHeader, label_name
from stereodistill.types import Rig, StereoPair, View

MIN_SHARE = 0.02
"""Share of a picture's pixels that both must know before their scales are compared."""


class Filled:
    """Samples whose unknown pixels take a second teacher's disparity, brought to the known pixels' scale.

    Args:
        samples: pairs with the first teacher's trusted labels; what is not `valid` is not trusted.
        folder: the second teacher's labels, as `label` writes them, in the same unit (one rig).

    A view of which nothing is known stays so.  The factor between both is the median ratio of their disparities where
    both are known, one for each view; 1 where too little is known to tell.

    Raises:
        UserError: no labels in `folder`; from `load`: none of this pair, or of another size.
    """

    def __init__(self, samples: StereoDataset, folder: str | Path):
        if LabelsHeader.read(folder) is None:
            raise UserError(
                f"{folder}: no {HEADER}, so no labels to fill with: `stereodistill label DATA --teacher MONO`"
            )
        self.samples, self._files = samples, LabelFiles(folder)

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def names(self) -> Sequence[str]:
        """Of the samples."""
        return self.samples.names

    def rig(self, index: int) -> Rig:
        """Of sample `index`."""
        return self.samples.rig(index)

    def size(self, index: int) -> Size:
        """Of sample `index`."""
        return self.samples.size(index)

    def load(self, index: int, window: ChooseWindow | None = None) -> StereoPair:
        """Sample `index`, with something known about every pixel that either teacher knows."""
        choose = once(window)
        pair = self.samples.load(index, choose)
        views = {side: self._filled(getattr(pair, side), str(pair.name), side, choose) for side in SIDES}
        return replace(pair, **views)

    def _filled(self, view: View, name: str, side: str, choose: ChooseWindow) -> View:
        if not bool(view.valid.any()):
            return view
        path = self._files.find(f"disparity{SIDES[side]}", label_name(name))
        if path is None:
            raise UserError(
                f"{self._files.root}: no labels of the {side} view of {name!r} to fill with; run `stereodistill label` "
                "again with the same data and folder, it goes on where it stopped"
            )
        second = torch.as_tensor(read_disparity_window(path, choose)[0])[None]
        if second.shape != view.disparity.shape:
            sizes = [f"{t.shape[-1]}x{t.shape[-2]}" for t in (view.image, second)]
            raise UserError(f"{path}: the image is {sizes[0]}, its label {sizes[1]}; these labels belong to other data")
        disparity = torch.where(view.valid, view.disparity, second * scale_between(second, view))
        return replace(view, disparity=disparity, valid=view.valid | (second > 0))


def scale_between(second: Tensor, view: View) -> float:
    """The factor that brings `second` (1, H, W) to the scale of what is known in `view`."""
    both = view.valid & (second > 0)
    if int(both.sum()) < MIN_SHARE * both.numel():
        return 1.0
    return float((view.disparity[both] / second[both]).median())


def disagreement(second: Tensor, view: View) -> float:
    """Median of `|second * scale / known - 1|` over what is known in `view`; NaN where nothing is."""
    both = view.valid & (second > 0)
    return float((second[both] * scale_between(second, view) / view.disparity[both] - 1).abs().median())
