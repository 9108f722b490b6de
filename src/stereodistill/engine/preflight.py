"""What is looked at before a run: what the recipe leaves open, ground truth, the rig of the pairs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from stereodistill.data import StereoDataset
from stereodistill.data.dataset import metric_rigs, middle_rig, spread
from stereodistill.engine.recipe import JointRecipe, PairsSource, Recipe, SynthSource
from stereodistill.engine.stages import STAGES
from stereodistill.errors import UserError

BLANKS = {
    "START": "the weights of the stage before",
    "IMAGENET": "VGG-16 for ImageNet, a .pth or .safetensors file, or hub:timm/vgg16.tv_in1k to download one",
    "LABELS": "the folder that `stereodistill label` wrote",
    "PAIRS": "the stereo pairs",
    "hf:MODEL": "a model of transformers, hf:ORG/NAME or hf:FOLDER",
}
NUM_TRIED = 8
"""Samples that are searched for ground truth, spread over the set: one with it is enough."""
COMMON_FOCAL = 0.72
"""Focal length in image widths that is assumed where a photo comes without one: a phone's main camera (26 mm)."""
SAME_BASELINE = 0.02
"""KITTI's cars differ by one per cent from day to day."""


def refuse_blanks(recipe: Recipe, has_samples: bool) -> None:
    """Ask for the first thing that is still open; `has_samples`: the data come from elsewhere.

    Raises:
        UserError: names the key to give, and what belongs there.
    """
    model = recipe.model
    values = {"model.name": model.name, "model.weights": model.weights, "model.encoder_weights": model.encoder_weights}
    if isinstance(recipe.data, PairsSource) and not has_samples:
        values |= {"data.path": recipe.data.path, "data.labels": recipe.data.labels}
    for key, value in values.items():
        if value in BLANKS and not Path(value).exists():
            raise UserError(f"this recipe leaves {key} open ({value}): give {key}=..., {BLANKS[value]}")


def require_ground_truth(recipe: Recipe, samples: StereoDataset) -> None:
    """Refuse pairs without known disparity for a supervised stage: its loss would be 0 and nothing learned.

    Raises:
        UserError: none of a few samples has a known pixel in the left view.
    """
    if not STAGES[recipe.stage].learns_from_truth or not isinstance(recipe.data, PairsSource) or recipe.data.labels:
        return
    if not any(bool(samples.load(index).left.valid.any()) for index in spread(samples, NUM_TRIED)):
        raise UserError(
            f"stage {recipe.stage} learns from ground truth and {recipe.data.path} has none: give pairs with "
            "disparity/, or a split that has it (kitti_raw:eigen_train_lidar)"
        )


def rig_field(recipe: Recipe, samples: StereoDataset) -> dict[str, Any]:
    """The header's `rig` for a run that leaves a mono network: that of most pairs.  Without it there are no metres.

    Of procedural worlds that are seen with one baseline, that baseline and a common focal length.
    Empty for other runs and worlds, and where pairs have no rig or different baselines: then nobody can tell a
    network's metres (`fit` rescales such footage).
    """
    leaves_mono = recipe.trains == "mono" or isinstance(recipe, JointRecipe)
    if leaves_mono and isinstance(recipe.data, SynthSource) and recipe.data.baseline_m is not None:
        return {"rig": {"focal_px": COMMON_FOCAL * 1000, "baseline_m": recipe.data.baseline_m, "width": 1000.0}}
    if not leaves_mono or not isinstance(recipe.data, PairsSource):
        return {}
    rigs = metric_rigs(samples)
    if not rigs:
        return {}
    middle = middle_rig(rigs)
    if any(abs(rig.baseline_m / middle.baseline_m - 1) > SAME_BASELINE for rig in rigs):
        return {}
    return {"rig": {name: float(value) for name, value in asdict(middle).items()}}
