"""Batch norm over all processes: two processes then compute what one does on the whole batch."""

from __future__ import annotations

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


def synchronise_norms(model: nn.Module, accelerator: Accelerator) -> nn.Module:
    """Exchange batch-norm statistics between processes; PyTorch's own layer does this on GPUs only."""
    if accelerator.num_processes == 1:
        return model
    if accelerator.device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    kinds = {nn.BatchNorm2d: GlobalBatchNorm2d, nn.BatchNorm3d: GlobalBatchNorm3d}
    for module in model.modules():
        if type(module) in kinds:
            module.__class__ = kinds[type(module)]
    return model


class _GlobalBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm whose mean and variance are of the global batch, for CPU processes (gloo)."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        # Over everything but the channels, which lie in axis 1.
        axes = (0, *range(2, input.dim()))
        shape = (-1, *[1] * (input.dim() - 2))
        count = input.numel() // input.shape[1] * dist.get_world_size()
        value = input.float()
        mean = all_reduce(value.sum(axes)) / count
        centred = value - mean.view(shape)
        variance = all_reduce((centred**2).sum(axes)) / count
        with torch.no_grad():
            assert self.momentum is not None and self.running_mean is not None and self.running_var is not None
            assert self.num_batches_tracked is not None
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
            self.num_batches_tracked += 1
        scaled = centred * (variance + self.eps).rsqrt().view(shape)
        return (scaled * self.weight.view(shape) + self.bias.view(shape)).to(input.dtype)


class GlobalBatchNorm2d(_GlobalBatchNorm, nn.BatchNorm2d):
    """Of images."""


class GlobalBatchNorm3d(_GlobalBatchNorm, nn.BatchNorm3d):
    """Of volumes."""
