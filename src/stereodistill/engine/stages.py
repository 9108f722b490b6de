"""The stages by name: what a recipe of each may say, what is checked, and what is learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from stereodistill.config import read_recipe
from stereodistill.engine import objectives
from stereodistill.engine.loop import Objective
from stereodistill.engine.recipe import (
    JointRecipe,
    MonoRecipe,
    PairsSource,
    Recipe,
    StereoRecipe,
    UnsupervisedMonoRecipe,
    UnsupervisedRecipe,
    ViewSynthesisRecipe,
)
from stereodistill.errors import UserError

Check = Callable[[Any], str | None]
"""From a recipe to what is wrong with it, None when nothing is."""


@dataclass(frozen=True)
class Stage:
    """One kind of training."""

    recipe: type[Recipe]
    objective: Callable[[Any, nn.Module], Objective]
    """(recipe, network before the first step) -> loss as a function of (model, batch)."""
    checks: tuple[Check, ...] = ()
    learns_from_truth: bool = False
    """Pairs without ground truth teach nothing."""


def _is_sound(recipe: Recipe) -> str | None:
    loop = recipe.loop
    if (loop.steps is None) == (loop.epochs is None):
        return "loop: give exactly one of steps and epochs"
    if loop.batch_size % loop.accumulate:
        return f"loop.batch_size {loop.batch_size} must divide by loop.accumulate {loop.accumulate}"
    if recipe.model.weights and recipe.model.encoder_weights:
        return "model.weights start the encoder too: leave out model.encoder_weights"
    return None


def _starts_from_a_trained_network(recipe: UnsupervisedRecipe) -> str | None:
    return None if recipe.model.weights else f"{recipe.stage} starts from a trained network: model.weights=lite_stereo"


def _has_labels(recipe: MonoRecipe) -> str | None:
    if isinstance(recipe.data, PairsSource) and recipe.data.labels:
        return None
    return "distill needs a teacher's labels: data.source=pairs data.labels=DIR (see `label`)"


def _fills_labels(recipe: MonoRecipe) -> str | None:
    if not isinstance(recipe.data, PairsSource) or recipe.data.labels or not recipe.data.fill:
        return None
    return "data.fill completes a teacher's labels: give data.labels=DIR too (see `label`)"


def _has_teacher_for_its_spaces(recipe: MonoRecipe) -> str | None:
    if recipe.spaces.is_on == bool(recipe.teacher):
        return None
    return "spaces and teacher go together: give teacher=WEIGHTS and a weight in spaces"


STAGES: dict[str, Stage] = {
    "unsupervised_mono": Stage(UnsupervisedMonoRecipe, objectives.unsupervised_mono),
    "joint": Stage(JointRecipe, objectives.joint),
    "unsupervised_stereo": Stage(UnsupervisedRecipe, objectives.unsupervised_stereo, (_starts_from_a_trained_network,)),
    "view_synthesis_stereo": Stage(ViewSynthesisRecipe, objectives.view_synthesis_stereo),
    "supervised_stereo": Stage(StereoRecipe, objectives.supervised_stereo, learns_from_truth=True),
    "supervised_mono": Stage(
        MonoRecipe, objectives.supervised_mono, (_fills_labels, _has_teacher_for_its_spaces), learns_from_truth=True
    ),
    "distill": Stage(MonoRecipe, objectives.distill, (_has_labels, _has_teacher_for_its_spaces)),
}


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """A shipped recipe by name or a YAML file, with `key.below=value` overrides, checked."""
    return parse_recipe(read_recipe(name_or_path, overrides), source=name_or_path)


def parse_recipe(values: dict[str, Any], source: str = "recipe") -> Recipe:
    """Check plain values; the error names the wrong key and the known ones."""
    name = values.get("stage")
    if name not in STAGES:
        raise UserError(f"{source}: stage: expected one of {', '.join(STAGES)}, found {name!r}")
    stage = STAGES[name]
    recipe = stage.recipe.parse(values, source)
    for check in (_is_sound, *stage.checks):
        wrong = check(recipe)
        if wrong is not None:
            raise UserError(f"{source}: {wrong}")
    return recipe


def objective_of(recipe: Recipe, network: nn.Module) -> Objective:
    """The stage's loss as a function of (model, batch); `network` is the one before the first step."""
    return STAGES[recipe.stage].objective(recipe, network)
