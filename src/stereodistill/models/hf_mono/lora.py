"""Low-rank adapters (Hu et al. 2021) through `peft`: few numbers are trained, and end as part of the weights."""

from __future__ import annotations

from typing import Any

from torch import nn

from stereodistill.errors import UserError
from stereodistill.models.hf_mono.library import library


def add_lora(module: nn.Module, rank: int) -> None:
    """Put adapters of `rank` beside every linear layer of `module`, whose own parameters then hold still; 0 = none.

    Raises:
        UserError: a negative rank, no linear layer, or `peft` is not installed.
    """
    if rank == 0:
        return
    if rank < 0:
        raise UserError(f"lora_rank must not be negative, found {rank}")
    linear = [name for name, layer in module.named_modules() if isinstance(layer, nn.Linear)]
    if not linear:
        raise UserError("lora_rank: the encoder has no linear layers to adapt; train it as a whole (lora_rank 0)")
    peft = library("peft", extra="lora")
    peft.inject_adapter_in_model(peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=linear), module)


def merge_lora(module: nn.Module) -> None:
    """Add every adapter in `module` to its layer and remove it; without adapters nothing happens."""
    layers: list[tuple[str, Any]] = list(module.named_modules())
    for name, layer in layers:
        if hasattr(layer, "lora_A") and hasattr(layer, "get_base_layer"):
            layer.merge()
            parent, _, attribute = name.rpartition(".")
            setattr(module.get_submodule(parent), attribute, layer.get_base_layer())
    module.requires_grad_(True)
