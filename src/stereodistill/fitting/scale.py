"""A student that starts from a general network: its disparities first brought to the scale of the user's rig."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from stereodistill.data import StereoDataset
from stereodistill.data.dataset import spread
from stereodistill.ops.geometry import resize_pair


@runtime_checkable
class Scalable(Protocol):
    """A network whose disparities can be multiplied by a number."""

    def scale_output(self, factor: float) -> None: ...


NUM_LOOKED_AT = 12
"""Training pairs that are compared, spread over the set."""


def match_scale(samples: StereoDataset, size: tuple[int, int]) -> Callable[[nn.Module], None]:
    """What to do with a network before its first step: multiply its disparities by the labels' median ratio to them.

    The general networks learned one baseline, the user's rig has another (or an unknown one, when nobody gave it):
    a constant factor that training should not have to find first.  A network that cannot be scaled stays as it is.
    """

    def scale(network: nn.Module) -> None:
        if not isinstance(network, Scalable):
            return
        network.eval()
        ratios = [_log_ratio(network, samples, index, size) for index in spread(samples, NUM_LOOKED_AT)]
        network.train()
        if ratios := [ratio for ratio in ratios if ratio is not None]:
            network.scale_output(math.exp(statistics.median(ratios)))

    return scale


def _log_ratio(network: nn.Module, samples: StereoDataset, index: int, size: tuple[int, int]) -> float | None:
    """Median over the known pixels of log(label / prediction); None where nothing is known."""
    view = resize_pair(samples.load(index), size).left
    if not view.valid.any():
        return None
    with torch.inference_mode():
        found = network(view.image[None]).disparities[0][0]
    return float((view.disparity[view.valid] / found[view.valid]).log().median())
