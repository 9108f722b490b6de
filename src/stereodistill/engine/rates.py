"""Learning rates apart: a pretrained encoder moves more slowly than what is new, its first layers slowest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from stereodistill.engine.adapters import without_adapters
from stereodistill.engine.recipe import OptimizerSpec
from stereodistill.errors import UserError

RATIO = "ratio"
"""Key of a parameter group: its learning rate as a share of the recipe's."""


def rate_ratios(spec: OptimizerSpec, network: nn.Module) -> dict[int, float]:
    """`id(parameter)` -> its learning rate as a share of `optimizer.lr`, for those whose share is not 1.

    `encoder_lr_ratio` holds for `network.encoder_parameters()`; with `layer_decay` it holds for the last of
    `network.encoder_layers()`, and each layer towards the input has that share of the next one's (Clark et al. 2020).

    Raises:
        UserError: a network without an encoder, or without layers in it.
    """
    inner: Any = without_adapters(network)
    ratio, decay = spec.encoder_lr_ratio, spec.layer_decay
    if decay != 1:
        if not hasattr(inner, "encoder_layers"):
            raise UserError(
                f"optimizer.layer_decay: {inner.name} does not name the layers of an encoder; leave it at 1"
            )
        layers = inner.encoder_layers()
        return {id(p): ratio * decay ** (len(layers) - 1 - i) for i, layer in enumerate(layers) for p in layer}
    if ratio == 1:
        return {}
    if not hasattr(inner, "encoder_parameters"):
        raise UserError(f"optimizer.encoder_lr_ratio: {inner.name} has no pretrained encoder; leave it at 1")
    return {id(p): ratio for p in inner.encoder_parameters()}


def with_ratios(groups: list[dict[str, Any]], ratios: Mapping[int, float]) -> list[dict[str, Any]]:
    """Parameter groups, each split by the shares of its parameters; one group alone stays as it is."""
    split: list[dict[str, Any]] = []
    for group in groups:
        by_ratio: dict[float, list[nn.Parameter]] = {}
        for parameter in group["params"]:
            by_ratio.setdefault(ratios.get(id(parameter), 1.0), []).append(parameter)
        split += [{**group, "params": parameters, RATIO: ratio} for ratio, parameters in by_ratio.items()]
    return split
