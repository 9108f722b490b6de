"""Footage of several rigs, seen as that of one: what a single picture can tell does not know the baseline."""

from __future__ import annotations

from dataclasses import replace

import torch

from stereodistill.engine.batches import Samples
from stereodistill.types import Rig, StereoPair, View


class OneRig:
    """Samples whose disparity is what a rig with `baseline_m` and no offset would have measured.

    The focal length needs no such care: a network sees angles in image widths, and the focal rule of
    `MonoPredictor.predict` turns its disparity into metres for any camera.  Pairs without a rig stay as they are.
    """

    def __init__(self, samples: Samples, baseline_m: float | None):
        self.samples, self.baseline_m = samples, baseline_m

    def __len__(self) -> int:
        return len(self.samples)

    def load(self, index: int) -> StereoPair:
        """Sample `index`, its disparity rescaled to the common baseline."""
        pair = self.samples.load(index)
        if self.baseline_m is None or not pair.rig.is_metric:
            return pair
        scale, doffs_px = self.baseline_m / pair.rig.baseline_m, pair.rig.doffs_px
        if scale == 1 and doffs_px == 0:
            return pair

        def rescale(view: View) -> View:
            disparity = torch.where(view.valid, (view.disparity + doffs_px) * scale, 0.0).clamp(min=0)
            return replace(view, disparity=disparity, valid=view.valid & (disparity > 0))

        rig = Rig(focal_px=pair.rig.focal_px, baseline_m=self.baseline_m, width=pair.rig.width)
        return replace(pair, left=rescale(pair.left), right=rescale(pair.right), rig=rig)
