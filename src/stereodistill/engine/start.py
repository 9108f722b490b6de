"""The encoder of a mono network that starts from ImageNet weights: which parameters, and how long they hold still."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from stereodistill.engine.adapters import without_adapters
from stereodistill.engine.recipe import Recipe, SynthSource
from stereodistill.errors import UserError
from stereodistill.models.guo2018.vgg_mono import VggMono


def encoder_of(recipe: Recipe, network: nn.Module) -> Sequence[nn.Parameter]:
    """Parameters that `model.freeze_encoder_epochs` speaks of; none when it is 0.

    Raises:
        UserError: a network whose encoder is not one of ImageNet's.
    """
    if not recipe.model.freeze_encoder_epochs:
        return ()
    network = without_adapters(network)
    if not isinstance(network, VggMono):
        raise UserError(f"model.freeze_encoder_epochs: {network.name} has no encoder to freeze; vgg_mono has one")
    return tuple(network.encoder_parameters())


def frozen_steps(recipe: Recipe, num_samples: int) -> int:
    """Optimiser steps in `model.freeze_encoder_epochs`.

    Raises:
        UserError: the samples never end, so there are no epochs.
    """
    epochs = recipe.model.freeze_encoder_epochs
    if epochs and isinstance(recipe.data, SynthSource) and recipe.data.num is None:
        raise UserError("model.freeze_encoder_epochs counts epochs of a finite set: give data.num")
    return math.ceil(epochs * num_samples / recipe.loop.batch_size)
