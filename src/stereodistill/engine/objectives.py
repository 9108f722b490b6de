"""Both views' disparity from a network that answers for the left one: the mirrored pair gives the other answer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stereodistill import losses
from stereodistill.engine.loop import Objective
from stereodistill.engine.recipe import ViewSynthesisRecipe
from stereodistill.types import Loss, Prediction, StereoPair


def view_synthesis_objective(recipe: ViewSynthesisRecipe) -> Objective:
    """Godard et al. 2017's loss as a function of (model, batch)."""

    def view_synthesis(model: nn.Module, pair: StereoPair) -> Loss:
        return losses.view_synthesis(both_views(model, pair.left.image, pair.right.image), pair, recipe.loss)

    return view_synthesis


def both_views(model: nn.Module, left: Tensor, right: Tensor) -> Prediction:
    """Disparities of the left and of the right view, in one pass over the pair and its mirror image.

    Mirrored and exchanged, a pair is a pair again, whose left view is the right one in a mirror.
    """
    batch = left.shape[0]
    images = torch.cat([left, right.flip(-1)]), torch.cat([right, left.flip(-1)])
    disparities = model(*(i.contiguous(memory_format=torch.channels_last) for i in images)).disparities
    return Prediction(
        disparities=tuple(d[:batch] for d in disparities),
        disparities_right=tuple(d[batch:].flip(-1) for d in disparities),
    )
