"""Whose disparities a one-camera network learned: without their rig its weights could not say metres."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from stereodistill.engine.batches import Samples
from stereodistill.engine.recipe import JointRecipe, PairsSource, Recipe

NUM_LOOKED_AT = 20
SAME_BASELINE = 0.02
"""KITTI's cars differ by one per cent from day to day."""


def rig_field(recipe: Recipe, samples: Samples) -> dict[str, Any]:
    """The header's `rig` for a run that leaves a mono network: that of most pairs.

    Empty for other runs, for procedural worlds, and where pairs have no rig or different baselines: then nobody can
    tell a network's metres (`fit` rescales such footage).
    """
    leaves_mono = recipe.trains == "mono" or isinstance(recipe, JointRecipe)
    if not leaves_mono or not isinstance(recipe.data, PairsSource):
        return {}
    step = max(1, len(samples) // NUM_LOOKED_AT)
    rigs = [samples.load(index).rig for index in range(0, len(samples), step)]
    if not rigs or not all(rig.is_metric for rig in rigs):
        return {}
    middle = sorted(rigs, key=lambda rig: rig.focal_px / rig.width)[len(rigs) // 2]
    if any(abs(rig.baseline_m / middle.baseline_m - 1) > SAME_BASELINE for rig in rigs):
        return {}
    return {"rig": {name: float(value) for name, value in asdict(middle).items()}}
