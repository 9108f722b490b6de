"""Every shipped recipe is understood and trains two steps, on procedural data and small images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from stereodistill.config import read_recipe, recipe_names
from stereodistill.engine.recipe import load_recipe
from stereodistill.label import label
from stereodistill.weights import load_weights

SHORT = ("loop.steps=2", "loop.epochs=null", "loop.batch_size=2", "loop.accumulate=1", "loop.workers=0",
         "loop.precision=f32", "augment.size=[64,128]")  # fmt: skip


@pytest.fixture(scope="module")
def labels(rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SGBM's labels of the rendered pairs."""
    folder = tmp_path_factory.mktemp("recipes") / "labels"
    label(rendered, "sgbm", folder)
    return folder


def _small(recipe: dict[str, Any], rendered: Path, labels: Path, weights: Path) -> list[str]:
    """Overrides that make any recipe a matter of seconds, without leaving out what it trains on."""
    data = recipe.get("data", {})
    if data.get("source") == "pairs":
        small = [f"data.path={rendered}", *([f"data.labels={labels}"] if "labels" in data else [])]
    else:
        small = ["data.size=[64,128]", f"data.reuse={{{', '.join(f'{world}: 2' for world in data.get('reuse', {}))}}}"]
    return [*SHORT, *small, *([f"model.weights={weights}"] if "weights" in recipe["model"] else [])]


def test_precision_can_be_given_as_the_error_message_says():
    """ "use loop.precision=f32" is what a diverging run is told."""
    assert load_recipe("lite_stereo", ["loop.precision=f32"]).loop.precision == "f32"


def test_there_are_recipes():
    assert {"lite_stereo", "fit"} <= set(recipe_names())


@pytest.mark.parametrize("name", recipe_names())
def test_recipe_is_understood(name):
    assert load_recipe(name).cite


@pytest.mark.parametrize("name", recipe_names())
def test_recipe_trains_two_steps(cli, name, rendered, labels, stereo_weights, tmp_path):
    overrides = _small(read_recipe(name), rendered, labels, stereo_weights)
    done = cli("train", name, *overrides, "--out", tmp_path / "run", "--seed", 1, "--device", "cpu")
    assert done.code == 0, done.err
    model, header = load_weights(tmp_path / "run" / "weights")
    assert header.recipe["loop"]["seed"] == 1
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) >= 2
