import pytest
import torch

from stereodistill.engine.stages import parse_recipe


@pytest.fixture
def tiny_recipe():
    """A mono recipe that trains in a moment; keyword arguments change its loop."""

    def make(stage="supervised_mono", optimizer=None, data=None, model=None, **loop):
        loop = {"steps": 6, "batch_size": 4, "seed": 3, "workers": 0, "log_every": 1, "ema_decay": 0.9} | loop
        return parse_recipe(
            {
                "stage": stage,
                "model": model or {"name": "lite_mono"},
                "data": data or {"source": "synth", "size": [64, 128], "num": 6},
                "augment": {"size": [64, 128]},
                "loss": {"form": "relative"},
                "optimizer": {"lr": 1e-3} | (optimizer or {}),
                "loop": loop,
            }
        )

    return make


@pytest.fixture
def some_steps():
    """Optimiser steps on fixed images, one for each of the numbers given."""

    def take(model, optimizer, numbers):
        for number in numbers:
            image = torch.rand(2, 3, 6, 7, generator=torch.Generator().manual_seed(number))
            model(image.contiguous(memory_format=torch.channels_last)).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()

    return take
