"""What a shipped recipe leaves open, in capitals, for the command line to fill in."""

from __future__ import annotations

from pathlib import Path

from stereodistill.engine.recipe import PairsSource, Recipe
from stereodistill.errors import UserError

BLANKS = {
    "START": "the weights of the stage before",
    "IMAGENET": "VGG-16 for ImageNet, a .pth or .safetensors file, or hub:timm/vgg16.tv_in1k to download one",
    "LABELS": "the folder that `stereodistill label` wrote",
    "PAIRS": "the stereo pairs",
}


def refuse_blanks(recipe: Recipe, has_samples: bool) -> None:
    """Ask for the first thing that is still open; `has_samples`: the data come from elsewhere.

    Raises:
        UserError: names the key to give, and what belongs there.
    """
    values = {"model.weights": recipe.model.weights, "model.encoder_weights": recipe.model.encoder_weights}
    if isinstance(recipe.data, PairsSource) and not has_samples:
        values |= {"data.path": recipe.data.path, "data.labels": recipe.data.labels}
    for key, value in values.items():
        if value in BLANKS and not Path(value).exists():
            raise UserError(f"this recipe leaves {key} open ({value}): give {key}=..., {BLANKS[value]}")
