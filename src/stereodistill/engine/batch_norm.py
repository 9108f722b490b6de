"""Statistics of batch norms: shared between processes in training, measured anew after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from accelerate import Accelerator
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from stereodistill.types import StereoPair


def synchronise_norms(model: nn.Module, accelerator: Accelerator) -> nn.Module:
    """Batch norms over the shares of all GPU processes; CPU processes normalise by their own share."""
    if accelerator.num_processes == 1 or accelerator.device.type != "cuda":
        return model
    return nn.SyncBatchNorm.convert_sync_batchnorm(model)


def measure_norms(network: nn.Module, batches: Iterable[StereoPair], look_at: Callable[[StereoPair], object]) -> None:
    """Set the running mean and variance of every batch norm to their plain average over `batches`.

    What training leaves behind is the statistics of the last few steps' weights.  Averaged weights (an EMA, or a mean
    of several runs) are another network, whose activations are distributed otherwise (Izmailov et al., UAI 2018).
    `look_at` runs the network on a batch; nothing is learned.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    usual = [norm.momentum for norm in norms]
    network.train()
    with torch.no_grad():
        for number, batch in enumerate(batches, start=1):
            for norm in norms:
                norm.momentum = 1 / number
            look_at(batch)
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum
