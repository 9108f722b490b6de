"""The network of a run: built, started from weights, wrapped for training, and taken out again to be saved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import nn

from stereodistill import models
from stereodistill.engine.adapters import with_adapters, without_adapters
from stereodistill.engine.recipe import JointRecipe, ModelSpec, MonoRecipe, Recipe, SynthSource
from stereodistill.errors import UserError
from stereodistill.models.ye2021.recursive import Recursive
from stereodistill.weights import load_encoder, load_weights
from stereodistill.weights.transformer import PREFIX, load_transformer

STEREO_WEIGHTS = "stereo_weights"
"""In the folder of a joint run: both networks; `weights` holds the mono network alone."""


def build_model(recipe: Recipe) -> nn.Module:
    """The network of a recipe, randomly initialised or from the weights it names."""
    model = _named(recipe.model)
    if model.kind != recipe.trains:
        raise UserError(
            f"stage {recipe.stage} trains a {recipe.trains} network, {recipe.model.name} is a {model.kind} one"
        )
    if isinstance(recipe, JointRecipe):
        model = both_networks(model)
    if recipe.model.weights:
        start, header = load_weights(recipe.model.weights)
        part = started_part(model, header.kind)
        if header.architecture != part.name or start.options != part.options:
            raise UserError(
                f"model.weights {recipe.model.weights} hold {header.architecture} {start.options}, "
                f"the recipe builds {part.name} {part.options}"
            )
        part.load_state_dict(start.state_dict())
    if recipe.model.encoder_weights:
        load_encoder(model, recipe.model.encoder_weights)
    return model


def _named(spec: ModelSpec) -> nn.Module:
    if spec.name.startswith(PREFIX):
        return load_transformer(spec.name, **spec.options)
    return models.build(spec.name, **spec.options)


def both_networks(network: nn.Module) -> Recursive:
    """The network of a joint stage; raises UserError for one that does not hold a mono network too."""
    if not isinstance(network, Recursive):
        raise UserError(f"stage joint trains `recursive`, which holds a mono and a stereo network, not {network.name}")
    return network


def started_part(network: nn.Module, kind: str) -> nn.Module:
    """What start weights of this kind belong to: mono weights to the mono network inside, others to the whole."""
    return network.mono if isinstance(network, Recursive) and kind == "mono" else network


def trained_module(recipe: Recipe, network: nn.Module) -> nn.Module:
    """What the loop trains: the network, with adapters where features of other widths are compared."""
    if isinstance(recipe, JointRecipe):
        return with_adapters(network, None, recipe.loss.distillation)
    if isinstance(recipe, MonoRecipe) and recipe.teacher:
        return with_adapters(network, stereo_teacher(recipe), recipe.spaces)
    return network


def stereo_teacher(recipe: MonoRecipe) -> nn.Module:
    """The frozen network of `recipe.teacher`."""
    assert recipe.teacher is not None
    network, header = load_weights(recipe.teacher)
    if header.kind != "stereo":
        raise UserError(f"teacher {recipe.teacher} is a {header.kind} network: give stereo weights")
    return network.requires_grad_(False)


def results(recipe: Recipe, module: nn.Module) -> dict[str, nn.Module]:
    """Folder -> network that a run leaves; of a joint one, `weights` is the mono network alone, to be deployed."""
    network = without_adapters(module)
    if isinstance(recipe, JointRecipe):
        return {"weights": both_networks(network).mono, STEREO_WEIGHTS: network}
    return {"weights": network}


def encoder_of(recipe: Recipe, network: nn.Module) -> Sequence[nn.Parameter]:
    """Parameters that `model.freeze_encoder_epochs` speaks of; none when it is 0.

    Raises:
        UserError: a network whose encoder is not pretrained.
    """
    if not recipe.model.freeze_encoder_epochs:
        return ()
    inner: Any = without_adapters(network)
    if not hasattr(inner, "encoder_parameters"):
        raise UserError(f"model.freeze_encoder_epochs: {inner.name} has no encoder to freeze; vgg_mono has one")
    return tuple(inner.encoder_parameters())


def frozen_steps(recipe: Recipe, num_samples: int) -> int:
    """Optimiser steps in `model.freeze_encoder_epochs`.

    Raises:
        UserError: the samples never end, so there are no epochs.
    """
    epochs = recipe.model.freeze_encoder_epochs
    if epochs and isinstance(recipe.data, SynthSource) and recipe.data.num is None:
        raise UserError("model.freeze_encoder_epochs counts epochs of a finite set: give data.num")
    return math.ceil(epochs * num_samples / recipe.loop.batch_size)
