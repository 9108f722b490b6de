"""How long one step of a recipe takes on this machine, to turn minutes into steps."""

from __future__ import annotations

import time

import torch

from stereodistill.engine.recipe import MonoRecipe
from stereodistill.engine.stages import objective_of
from stereodistill.engine.start import build_model
from stereodistill.engine.train import make_accelerator
from stereodistill.models.layers import channels_last
from stereodistill.types import Rig, StereoPair, View

WARM_UP, TIMED = 2, 5


def measure_step_s(recipe: MonoRecipe, device: str = "auto") -> float:
    """Seconds of forward and backward of one batch, on a throw-away copy of the network."""
    accelerator = make_accelerator(recipe, device)
    state = torch.get_rng_state()
    network = channels_last(build_model(recipe))
    model, objective = accelerator.prepare(network), objective_of(recipe, network)
    batch = _blank(recipe).to(accelerator.device)
    began = 0.0
    for step in range(WARM_UP + TIMED):
        if step == WARM_UP:
            began = time.perf_counter()
        accelerator.backward(objective(model, batch).total)
    if accelerator.device.type == "cuda":
        torch.cuda.synchronize()
    torch.set_rng_state(state)
    # The optimiser, the average and the log add a tenth, with Muon a fifth.
    return 1.2 * (time.perf_counter() - began) / TIMED


def _blank(recipe: MonoRecipe) -> StereoPair:
    assert recipe.augment.size is not None
    height, width = recipe.augment.size
    number = recipe.loop.batch_size // recipe.loop.accumulate
    image = torch.rand(number, 3, height, width)
    disparity = torch.full((number, 1, height, width), 10.0)
    view = View(image=image, disparity=disparity, valid=disparity > 0)
    return StereoPair(left=view, right=view, rig=Rig.unknown(width), name=("blank",) * number)
