"""What every procedural world returns."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from stereodistill.types import Mask, StereoPair


@dataclass(frozen=True, kw_only=True)
class SynthBatch:
    """A rendered batch: images, exact disparity (> 0 wherever `valid`), and which pixels the other camera sees."""

    pair: StereoPair
    visible_left: Mask
    """(B, 1, H, W): this point of the left view is inside the right image and not hidden there."""
    visible_right: Mask

    def to(self, device: torch.device | str) -> SynthBatch:
        return SynthBatch(
            pair=self.pair.to(device),
            visible_left=self.visible_left.to(device),
            visible_right=self.visible_right.to(device),
        )
