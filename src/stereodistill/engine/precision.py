"""In which precision a run computes: `loop.precision: auto` takes the quicker one, measured once."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import broadcast_object_list

from stereodistill.engine.checkpoint import kept_info
from stereodistill.engine.reach import probe_pair
from stereodistill.engine.recipe import Recipe
from stereodistill.engine.stages import objective_of
from stereodistill.engine.start import build_model, trained_module
from stereodistill.models.layers import channels_last

NUM_TIMED = 3
ENOUGH_S = 10.0
"""A large network on a slow machine is measured on fewer steps than `NUM_TIMED`."""
USUAL_SIZE = (256, 512)
"""Of the pictures of a recipe that takes them as they come."""


def settle_precision(recipe: Recipe, out: Path, resume: bool, device: str) -> tuple[Recipe, dict[str, float]]:
    """The recipe with `loop.precision` f32 or bf16, and what was measured for it, if it was (see `step_seconds`).

    A resumed run goes on as its checkpoint was made, whatever a new measurement would say.
    """
    if recipe.loop.precision != "auto":
        return recipe, {}
    kept = kept_info(out / "checkpoints") if resume else None
    if kept is not None:
        # Runs of before the measurement took bf16 wherever there was one.
        return in_precision(recipe, kept.get("precision", possible(device)[-1])), {}
    seconds = step_seconds(recipe, device)
    agreed = [min(seconds, key=seconds.__getitem__)]
    if PartialState().num_processes > 1:
        broadcast_object_list(agreed)
    return in_precision(recipe, agreed[0]), seconds


def step_seconds(recipe: Recipe, device: str = "auto") -> dict[str, float]:
    """Precision -> seconds of forward and backward of one micro-batch, on a throw-away copy of the network.

    Only precisions that the device computes natively, and that it has the memory for.
    """
    state = torch.get_rng_state()
    seconds = {}
    for precision in possible(device):
        try:
            seconds[precision] = _measure(in_precision(recipe, precision), device)
        except torch.cuda.OutOfMemoryError:
            continue
    torch.set_rng_state(state)
    return seconds or {possible(device)[-1]: float("inf")}


def possible(device: str) -> tuple[str, ...]:
    """What the device computes natively; emulated bf16 is never quicker."""
    if _on_cpu(device):
        native = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    else:
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    return ("f32", "bf16") if native else ("f32",)


def in_precision(recipe: Recipe, precision: str) -> Recipe:
    """The same recipe with this `loop.precision`."""
    return recipe.model_copy(update={"loop": recipe.loop.model_copy(update={"precision": precision})})


def make_accelerator(recipe: Recipe, device: str) -> Accelerator:
    """Where and in which precision this stage computes; earlier stages of the same process do not matter."""
    assert recipe.loop.precision != "auto", "settle_precision comes first"
    AcceleratorState._reset_state()
    return Accelerator(mixed_precision="bf16" if recipe.loop.precision == "bf16" else "no", cpu=_on_cpu(device))


def _on_cpu(device: str) -> bool:
    return device == "cpu" or not torch.cuda.is_available()


def _measure(recipe: Recipe, device: str) -> float:
    accelerator = make_accelerator(recipe, device)
    network = channels_last(trained_module(recipe, build_model(recipe)).to(accelerator.device)).train()
    objective = objective_of(recipe, network)
    model = accelerator.prepare_model(network, evaluation_mode=True)  # autocast, but no gradients of other processes
    number = max(1, recipe.loop.batch_size // recipe.loop.accumulate // accelerator.num_processes)
    batch = probe_pair(number, *(recipe.augment.size or USUAL_SIZE)).to(accelerator.device)
    taken: list[float] = []
    while len(taken) < 1 + NUM_TIMED and sum(taken) < ENOUGH_S:
        began = time.perf_counter()
        objective(model, batch).total.backward()
        if accelerator.device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return min(taken)  # the first, which warms up, counts only where it is the only one
