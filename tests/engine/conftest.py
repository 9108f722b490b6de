import pytest

from stereodistill.engine.recipe import parse_recipe


@pytest.fixture
def tiny_recipe():
    """A mono recipe that trains in a moment; keyword arguments change its loop."""

    def make(stage="supervised_mono", optimizer=None, data=None, **loop):
        loop = {"steps": 6, "batch_size": 4, "seed": 3, "workers": 0, "log_every": 1, "ema_decay": 0.9} | loop
        return parse_recipe(
            {
                "stage": stage,
                "model": {"name": "lite_mono"},
                "data": data or {"source": "synth", "size": [64, 128], "num": 6},
                "augment": {"size": [64, 128]},
                "loss": {"form": "relative"},
                "optimizer": {"lr": 1e-3} | (optimizer or {}),
                "loop": loop,
            }
        )

    return make
