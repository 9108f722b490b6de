"""Procedural stereo worlds: batched torch code on any device, exact disparity and visibility of both views.

`render(kind, seed=..., indices=[...])` gives a batch; sample i is a function of (seed, indices[i]) alone, never of
its neighbours in the batch or of the batch size.  A new world is one module and one line in `KINDS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from stereodistill.errors import UserError
from stereodistill.io.images import MAX_PIXELS
from stereodistill.io.memory import refuse_larger_than_memory
from stereodistill.synth.batch import SynthBatch
from stereodistill.synth.dataset import SynthDataset

KINDS = {
    "flying": "stereodistill.synth.flying.world",
    "street": "stereodistill.synth.street.world",
    "room": "stereodistill.synth.room.world",
}
"""Kind -> module with `render(*, seed, indices, size, device, config, photos) -> SynthBatch`."""

BYTES_PER_PIXEL = 100
"""What drawing one pair takes at its peak (measured)."""

__all__ = ["KINDS", "SynthBatch", "SynthDataset", "render"]


def render(
    kind: str,
    *,
    seed: int,
    indices: Sequence[int],
    size: tuple[int, int] = (384, 640),
    device: torch.device | str = "cpu",
    config: Any = None,
    photos: Sequence[np.ndarray] | None = None,
) -> SynthBatch:
    """Render the samples `indices` of the world `kind` at `size` (height, width).

    `config`: the kind's own configuration, or a dict of its fields (default: everything on); `photos`: float
    (H, W, 3) images in [0, 1] that are used as extra textures.
    """
    if kind not in KINDS:
        raise UserError(f"unknown procedural world {kind!r}: choose one of {', '.join(KINDS)}")
    if min(size) < 32:
        raise UserError(f"size {size[0]} x {size[1]} is too small for a procedural world: give at least 32 x 32")
    if size[0] * size[1] > MAX_PIXELS:
        raise UserError(
            f"size {size[0]} x {size[1]} is too large: at most {MAX_PIXELS / 1e6:.0f} megapixels are rendered"
        )
    refuse_larger_than_memory(
        len(indices) * size[0] * size[1] * BYTES_PER_PIXEL,
        f"rendering {len(indices)} pairs of {size[0]} x {size[1]} pixels",
        "give a smaller size",
    )
    world = importlib.import_module(KINDS[kind])
    if isinstance(config, dict):
        config = getattr(world, f"{kind.title()}Config").parse(config, f"world {kind}")
    return world.render(seed=seed, indices=list(indices), size=tuple(size), device=device, config=config, photos=photos)
