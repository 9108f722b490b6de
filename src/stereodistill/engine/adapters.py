"""Comparing features of different widths: a 1x1 convolution from the student's channels to the teacher's."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from stereodistill.losses.feature_distillation import FeatureDistillation, stride_of
from stereodistill.types import Prediction

PROBE = (64, 128)
"""Size of the blank image that shows which features a network has."""


class WithAdapters(nn.Module):
    """A network as it is trained, with adapters that are not part of its weights.

    `student_is_first`: the network's own first estimate is the student (`joint`), else its answer is.
    """

    def __init__(self, network: nn.Module, adapters: nn.ModuleDict, student_is_first: bool):
        super().__init__()
        self.network, self.adapters, self.student_is_first = network, adapters, student_is_first

    def forward(self, *images: Tensor) -> Prediction:
        """The network's prediction, the student's features turned into the teacher's channels."""
        prediction, width = self.network(*images), images[0].shape[-1]
        if not self.student_is_first:
            return self._adapt(prediction, width)
        first, *others = prediction.earlier
        return replace(prediction, earlier=(self._adapt(first, width), *others))

    def _adapt(self, student: Prediction, width: int) -> Prediction:
        strides = [str(stride_of(feature, width)) for feature in student.features]
        features = (self.adapters[s](f) if s in self.adapters else f for s, f in zip(strides, student.features))
        return replace(student, features=tuple(features))


def with_adapters(network: nn.Module, teacher: nn.Module | None, config: FeatureDistillation) -> nn.Module:
    """The network, wrapped when features of other widths than the teacher's are to be compared.

    Without a `teacher` the network is student (first estimate) and teacher (last) in one.
    """
    if not config.feature_weight:
        return network
    if teacher is None:
        last = _probe(network, num_images=2)
        student, taught = last.earlier[0], last
    else:
        student, taught = _probe(network, num_images=1), _probe(teacher, num_images=2)
    theirs = {stride_of(f, PROBE[1]): f.shape[1] for f in taught.features}
    adapters = nn.ModuleDict()
    for feature in student.features:
        stride, channels = stride_of(feature, PROBE[1]), feature.shape[1]
        if stride in config.feature_strides and theirs.get(stride, channels) != channels:
            adapters[str(stride)] = nn.Conv2d(channels, theirs[stride], 1)
    return WithAdapters(network, adapters, teacher is None) if adapters else network


def without_adapters(module: nn.Module) -> nn.Module:
    """The network that `with_adapters` was given."""
    return module.network if isinstance(module, WithAdapters) else module


@torch.no_grad()
def _probe(network: nn.Module, num_images: int) -> Prediction:
    was_training, device = network.training, next(network.parameters()).device
    prediction = network.eval()(*(torch.zeros(1, 3, *PROBE, device=device) for _ in range(num_images)))
    network.train(was_training)
    return prediction
