"""A stage that learns from ground truth must find some: without any, the loss would be 0 and nothing learned."""

from __future__ import annotations

from stereodistill.engine.batches import Samples
from stereodistill.engine.recipe import PairsSource, Recipe
from stereodistill.errors import UserError

NUM_TRIED = 8
"""Samples looked at, spread over the set: one with ground truth is enough."""


def require_ground_truth(recipe: Recipe, samples: Samples) -> None:
    """Refuse pairs without known disparity for a supervised stage.

    Raises:
        UserError: none of a few samples has a known pixel in the left view.
    """
    if not recipe.stage.startswith("supervised") or not isinstance(recipe.data, PairsSource) or recipe.data.labels:
        return
    step = max(1, len(samples) // NUM_TRIED)
    if not any(bool(samples.load(index).left.valid.any()) for index in range(0, len(samples), step)):
        raise UserError(
            f"stage {recipe.stage} learns from ground truth and {recipe.data.path} has none: give pairs with "
            "disparity/, or a split that has it (kitti_raw:eigen_train_lidar)"
        )
