"""The optimiser of a recipe: AdamW or Muon, and the learning rate of every step."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from stereodistill.engine.rates import rate_ratios, with_ratios
from stereodistill.engine.recipe import OptimizerSpec
from stereodistill.errors import UserError

IS_HIDDEN = "hidden"
"""Key of a parameter group: convolutions that a norm follows."""
MOMENTUM = 0.95
UPDATE_RMS = 0.2
"""Root mean square of an update at a learning rate of 1: that of AdamW, so that rates carry over (Liu et al. 2025)."""
SMALLEST = 8
"""Convolutions with fewer channels than this on either side stay with AdamW: the image's first layer."""


def make_optimizer(spec: OptimizerSpec, network: nn.Module) -> torch.optim.Optimizer:
    """The optimiser that the recipe names, over all parameters of `network`, grouped by their share of the rate."""
    # One kernel for all parameters: three times as fast on a CPU, where a small network's step notices.
    options = {"betas": spec.betas, "eps": spec.eps, "weight_decay": spec.weight_decay, "fused": True}
    ratios = rate_ratios(spec, network)
    if spec.name == "muon":
        return Muon(network, ratios, lr=spec.lr, **options)
    return torch.optim.AdamW(with_ratios([{"params": list(network.parameters())}], ratios), lr=spec.lr, **options)


def learning_rate(spec: OptimizerSpec, step: int, num_steps: int) -> float:
    """Rate of optimiser step `step` (0-based) out of `num_steps`: of the step alone, so resuming needs no state."""
    if step < spec.warmup_steps:
        return spec.lr * (step + 1) / spec.warmup_steps
    progress = min(step / max(num_steps, 1), 1.0)
    if spec.schedule == "cosine":
        fallen = max(progress - spec.hold, 0.0) / (1 - spec.hold)
        floor = spec.final_ratio
        return spec.lr * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * fallen)))
    if spec.schedule == "halving":
        return spec.lr * 0.5 ** sum(progress >= share for share in spec.halve_at)
    return spec.lr


class Muon(torch.optim.AdamW):
    """Muon for convolutions that a norm follows, AdamW for all else: norms, biases, layers that output maps.

    The update of a weight matrix is its momentum made orthogonal (Jordan et al. 2024): directions that a gradient
    seldom has, as those of rare scenes, are learned as fast as the common ones.  PyTorch's own `Muon` takes matrices
    only.

    A convolution without bias counts as followed by a norm.  Options are those of `torch.optim.AdamW`; learning rate
    and weight decay hold for both kinds of parameters; `ratios` as `rate_ratios` gives them.

    Raises:
        UserError: `network` has no such convolution.
    """

    def __init__(self, network: nn.Module, ratios: Mapping[int, float] | None = None, **options: Any):
        hidden = {id(layer.weight) for layer in network.modules() if _is_hidden(layer)}
        groups: list[list[nn.Parameter]] = [[], []]
        for parameter in network.parameters():
            groups[id(parameter) in hidden].append(parameter)
        if not groups[1]:
            raise UserError("optimizer.name=muon needs convolutions with norms, this network has none: use adamw")
        kinds = [{"params": parameters, IS_HIDDEN: bool(kind)} for kind, parameters in enumerate(groups)]
        super().__init__(with_ratios(kinds, ratios or {}), **options)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """One update of all parameters that have a gradient; the matrices' gradients are used up."""
        for group in self.param_groups:
            if group[IS_HIDDEN]:
                self._step_matrices(group)
        super().step(closure)

    def _step_matrices(self, group: dict[str, Any]) -> None:
        by_shape: dict[torch.Size, list[tuple[nn.Parameter, Tensor]]] = defaultdict(list)
        for parameter in group["params"]:
            if parameter.grad is not None:
                matrix = self._nesterov(parameter, parameter.grad).flatten(1)
                by_shape[matrix.shape].append((parameter, matrix))
                parameter.grad = None
        for shape, pairs in by_shape.items():
            updates = orthogonal(torch.stack([matrix for _, matrix in pairs])) * (UPDATE_RMS * max(shape) ** 0.5)
            for (parameter, _), update in zip(pairs, updates, strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.sub_(update.view(parameter.shape), alpha=group["lr"])

    def __setstate__(self, state: dict[str, Any]) -> None:
        # AdamW's own would look for its step counter in the matrices' state.
        torch.optim.Optimizer.__setstate__(self, state)

    def _nesterov(self, parameter: nn.Parameter, gradient: Tensor) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        return gradient.lerp(momentum, MOMENTUM)


def _is_hidden(layer: nn.Module) -> bool:
    if not isinstance(layer, nn.Conv2d | nn.Conv3d) or layer.bias is not None or layer.groups > 1:
        return False
    return min(layer.weight.shape[:2]) >= SMALLEST


def orthogonal(matrices: Tensor) -> Tensor:
    """Matrices (B, m, n) with all their singular values brought near 1 (0.7 to 1.2), their directions kept.

    Five Newton-Schulz steps of the quintic polynomial of Jordan et al. 2024, in bf16; a matrix of zeros stays one.
    """
    wide = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.mT
    wide = (wide / wide.norm(dim=(1, 2), keepdim=True).clamp(min=1e-12)).bfloat16()
    for _ in range(5):
        square = wide @ wide.mT
        wide = 3.4445 * wide + (2.0315 * square @ square - 4.7750 * square) @ wide
    return (wide if wide.shape == matrices.shape else wide.mT).to(matrices.dtype)
