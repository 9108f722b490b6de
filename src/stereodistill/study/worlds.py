"""A study's procedural data on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from stereodistill.data.writing import write_pair
from stereodistill.fitting.show import say
from stereodistill.rng import rng
from stereodistill.study.plan import World
from stereodistill.synth import SynthDataset
from stereodistill.types import StereoPair, View

_PURPOSE = 0x11DA


def render_world(world: World, folder: Path, progress: bool) -> Path:
    """The world's pairs in the folder layout; what is there already is kept."""
    scenes = SynthDataset(world.kind, world.first + world.num, world.size, world.seed, config=world.options or None)
    # The left image is written last, so it stands for a finished pair.
    missing = [
        index
        for index in range(world.first, world.first + world.num)
        if not (folder / "left" / f"{scenes.names[index]}.png").exists()
    ]
    if missing:
        say(f"rendering {len(missing)} pairs of {world.kind} into {folder}", progress)
    for index in missing:
        pair = scenes.load(index)
        write_pair(folder, pair if world.known_share == 1 else thinned(pair, world, index))
    return folder


def thinned(pair: StereoPair, world: World, index: int) -> StereoPair:
    """The pair with its disparities known at a random share of the pixels, as LiDAR's are."""
    g = rng(world.seed, 0, index, _PURPOSE)
    left, right = (_thinned(view, g.random(pair.size) < world.known_share) for view in (pair.left, pair.right))
    return replace(pair, left=left, right=right)


def _thinned(view: View, told: np.ndarray) -> View:
    valid = view.valid & torch.from_numpy(told)
    return replace(view, disparity=view.disparity * valid, valid=valid)
