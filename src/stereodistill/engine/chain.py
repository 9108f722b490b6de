"""Stages in sequence: a joint stage (Ye et al., TIP 2021) starts from the weights of the stage that it comes after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from stereodistill import models
from stereodistill.engine.recipe import JointRecipe, ModelSpec, Recipe, UnsupervisedMonoRecipe
from stereodistill.engine.stages import load_recipe, parse_recipe
from stereodistill.engine.start import STEREO_WEIGHTS, both_networks
from stereodistill.errors import UserError
from stereodistill.weights import TENSORS, read_header

BEFORE = "before"
"""In a run's folder: the run of the stage before."""


@dataclass(frozen=True)
class Link:
    """One stage to run: its recipe, its folder, and the weights that it starts from."""

    recipe: Recipe
    out: Path
    weights: str | None

    @property
    def started(self) -> Recipe:
        """The recipe with its start weights in `model.weights`."""
        if self.weights is None:
            return self.recipe
        return self.recipe.model_copy(update={"model": self.recipe.model.model_copy(update={"weights": self.weights})})


def chain(recipe: Recipe, out: Path, resume: bool = False) -> list[Link]:
    """What is to be run for `recipe`, in order, itself at the end: the stages that it comes `after` go first.

    With `resume`, stages that have left their weights are not run again.

    Raises:
        UserError: a finished stage before was trained by another recipe.
    """
    if not isinstance(recipe, JointRecipe) or recipe.after is None or recipe.model.weights:
        return [Link(recipe, out, None)]
    before, folder = stage_before(recipe), out / BEFORE
    weights = str(folder / (STEREO_WEIGHTS if isinstance(before, JointRecipe) else "weights"))
    link = Link(recipe, out, weights)
    if not resume or not (folder / "weights" / TENSORS).is_file():
        return [*chain(before, folder, resume), link]
    if parse_recipe(read_header(folder / "weights").recipe, str(folder)).hash != before.hash:
        raise UserError(f"{folder} holds a run of another recipe: resume with the same one, or choose another --out")
    return [link]


def stage_before(recipe: JointRecipe) -> Recipe:
    """The recipe called `recipe.after`: its own stage and loss; networks, data, sizes and length as in `recipe`."""
    assert recipe.after is not None
    before = load_recipe(recipe.after)
    with torch.device("meta"):
        network = both_networks(models.build(recipe.model.name, **recipe.model.options))
    if isinstance(before, JointRecipe):
        model = ModelSpec(name=recipe.model.name, options=recipe.model.options)
    elif isinstance(before, UnsupervisedMonoRecipe):
        model = ModelSpec(**network.options["mono"])
    else:
        raise UserError(f"after: {recipe.after} is a stage {before.stage}: expected unsupervised_mono or joint")
    shared = {name: getattr(recipe, name) for name in ("data", "augment", "optimizer", "loop")}
    return before.model_copy(update={**shared, "model": model})
