"""Footage of several rigs, seen as that of one: what a single picture can tell does not know the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from stereodistill.data import StereoDataset
from stereodistill.data.dataset import Size
from stereodistill.io.images import ChooseWindow
from stereodistill.types import Rig, StereoPair, View


class CommonBaseline:
    """Samples whose disparity is what a rig with `baseline_m` and no offset would have measured.

    The focal length needs no such care: a network sees angles in image widths, and the focal rule of
    `MonoPredictor.predict` turns its disparity into metres for any camera.  Pairs without a rig stay as they are.
    """

    def __init__(self, samples: StereoDataset, baseline_m: float | None):
        self.samples, self.baseline_m = samples, baseline_m
        self.endless = getattr(samples, "endless", False)

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def names(self) -> Sequence[str]:
        """Of the samples."""
        return self.samples.names

    def rig(self, index: int) -> Rig:
        """Of sample `index`, with the common baseline."""
        return self._common(self.samples.rig(index))

    def size(self, index: int) -> Size:
        """Of sample `index`."""
        return self.samples.size(index)

    def load(self, index: int, window: ChooseWindow | None = None) -> StereoPair:
        """Sample `index`, its disparity rescaled to the common baseline."""
        pair = self.samples.load(index, window)
        rig = self._common(pair.rig)
        if rig is pair.rig:
            return pair
        scale, doffs_px = rig.baseline_m / pair.rig.baseline_m, pair.rig.doffs_px

        def rescale(view: View) -> View:
            disparity = torch.where(view.valid, (view.disparity + doffs_px) * scale, 0.0).clamp(min=0)
            return replace(view, disparity=disparity, valid=view.valid & (disparity > 0))

        return replace(pair, left=rescale(pair.left), right=rescale(pair.right), rig=rig)

    def _common(self, rig: Rig) -> Rig:
        """What `rig` becomes; the very same where nothing is to be done."""
        if self.baseline_m is None or not rig.is_metric:
            return rig
        if self.baseline_m / rig.baseline_m == 1 and rig.doffs_px == 0:
            return rig
        return Rig(focal_px=rig.focal_px, baseline_m=self.baseline_m, width=rig.width)
