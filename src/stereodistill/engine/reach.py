"""Parameters that a stage's loss does not reach: heads that other stages train and this one has no use for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from stereodistill.types import Loss, Rig, StereoPair, View

PROBE = (2, 64, 128)
"""Number, height and width of the pictures that show what a loss reaches: size and content do not matter to that."""


def freeze_unreached(network: nn.Module, objective: Callable[[nn.Module, StereoPair], Loss]) -> list[str]:
    """Take the parameters from training that `objective` does not reach; returns their names.

    They would stay as they are in any case, as nothing gives them a gradient.  Several processes must know it before
    the first step, as each waits for all gradients of the others.  The network is in training mode and keeps its
    statistics; every process must call this, as synchronised norms talk to each other.
    """
    named = {name: p for name, p in network.named_parameters() if p.requires_grad}
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    pair = probe_pair(*PROBE).to(next(network.parameters()).device)
    with torch.enable_grad():
        gradients = torch.autograd.grad(objective(network, pair).total, list(named.values()), allow_unused=True)
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            buffer.copy_(buffers[name])
    unreached = [name for name, gradient in zip(named, gradients) if gradient is None]
    for name in unreached:
        named[name].requires_grad_(False)
    return unreached


def probe_pair(number: int, height: int, width: int) -> StereoPair:
    """Noise with disparities that are known everywhere: a batch for measurements that learn nothing."""
    image = torch.rand(number, 3, height, width, generator=torch.Generator().manual_seed(0))
    disparity = torch.full((number, 1, height, width), 10.0)
    view = View(image=image, disparity=disparity, valid=disparity > 0)
    return StereoPair(left=view, right=view, rig=Rig.unknown(width), name=("probe",) * number)
