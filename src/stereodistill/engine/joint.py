"""The stages of Ye et al. (TIP 2021): what they train, on what, from which weights, and what they leave behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from stereodistill import losses, models
from stereodistill.engine.adapters import with_adapters, without_adapters
from stereodistill.engine.loop import Objective
from stereodistill.engine.recipe import (
    JointRecipe,
    ModelSpec,
    MonoRecipe,
    Recipe,
    UnsupervisedMonoRecipe,
    load_recipe,
    parse_recipe,
)
from stereodistill.errors import UserError
from stereodistill.models.layers import channels_last
from stereodistill.models.ye2021.recursive import Recursive
from stereodistill.models.ye2021.recursive_mono import two_views
from stereodistill.types import Loss, StereoPair
from stereodistill.weights import TENSORS, load_weights, read_header

BEFORE = "before"
"""In a run's folder: the run of the stage before."""
STEREO_WEIGHTS = "stereo_weights"


def joint_objective(recipe: JointRecipe) -> Objective:
    """Both networks on one pair."""

    def joint(model: nn.Module, pair: StereoPair) -> Loss:
        left, right = (_channels_last(view.image) for view in (pair.left, pair.right))
        return losses.joint(model(left, right), pair, recipe.loss)

    return joint


def unsupervised_mono_objective(recipe: UnsupervisedMonoRecipe, network: nn.Module) -> Objective:
    """The mono network on the left image of a pair, judged by both."""
    sees_both_views = getattr(network, "sees_both_views", False)

    def unsupervised_mono(model: nn.Module, pair: StereoPair) -> Loss:
        left, right = (_channels_last(view.image) for view in (pair.left, pair.right))
        return losses.view_synthesis(two_views(model, left, right, sees_both_views), pair, recipe.loss)

    return unsupervised_mono


def taught_objective(recipe: MonoRecipe) -> Objective:
    """Distillation from labels, and from the spaces of a teacher that runs beside the student."""
    teacher = stereo_teacher(recipe)

    def taught(model: nn.Module, pair: StereoPair) -> Loss:
        left, right = (_channels_last(view.image) for view in (pair.left, pair.right))
        channels_last(teacher.to(left.device))
        with torch.no_grad():
            theirs = teacher(left, right)
        ours = model(left)
        spaces = losses.spaces(ours, theirs, pair.size[1], recipe.spaces)
        return Loss(terms={**losses.distill(ours, pair, recipe.loss).terms, **spaces.terms})

    return taught


def stereo_teacher(recipe: MonoRecipe) -> nn.Module:
    """The frozen network of `recipe.teacher`."""
    assert recipe.teacher is not None
    network, header = load_weights(recipe.teacher)
    if header.kind != "stereo":
        raise UserError(f"teacher {recipe.teacher} is a {header.kind} network: give stereo weights")
    return network.requires_grad_(False)


def trained_module(recipe: Recipe, network: nn.Module) -> nn.Module:
    """What the loop trains: the network, with adapters where features of other widths are compared."""
    if isinstance(recipe, JointRecipe):
        return with_adapters(network, None, recipe.loss.distillation)
    if isinstance(recipe, MonoRecipe) and recipe.teacher:
        return with_adapters(network, stereo_teacher(recipe), recipe.spaces)
    return network


def results(recipe: Recipe, module: nn.Module) -> dict[str, nn.Module]:
    """Folder -> network that a run leaves; of a joint one, `weights` is the mono network alone, to be deployed."""
    network = without_adapters(module)
    if isinstance(recipe, JointRecipe):
        return {"weights": both_networks(network).mono, STEREO_WEIGHTS: network}
    return {"weights": network}


def both_networks(network: nn.Module) -> Recursive:
    """The network of a joint stage; raises UserError for one that does not hold a mono network too."""
    if not isinstance(network, Recursive):
        raise UserError(f"stage joint trains `recursive`, which holds a mono and a stereo network, not {network.name}")
    return network


def started_part(network: nn.Module, kind: str) -> nn.Module:
    """What start weights of this kind belong to: mono weights to the mono network inside, others to the whole."""
    return network.mono if isinstance(network, Recursive) and kind == "mono" else network


def started(recipe: Recipe, out: Path, resume: bool, run: Callable[[Recipe, Path], object]) -> Recipe:
    """The recipe with its start weights: those of the stage that it comes `after`, which `run` trains if need be."""
    if not isinstance(recipe, JointRecipe) or recipe.after is None or recipe.model.weights:
        return recipe
    before, folder = stage_before(recipe), out / BEFORE
    if resume and (folder / "weights" / TENSORS).is_file():
        if parse_recipe(read_header(folder / "weights").recipe, str(folder)).hash != before.hash:
            raise UserError(
                f"{folder} holds a run of another recipe: resume with the same one, or choose another --out"
            )
    else:
        run(before, folder)
    weights = str(folder / (STEREO_WEIGHTS if isinstance(before, JointRecipe) else "weights"))
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"weights": weights})})


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


def _channels_last(image: torch.Tensor) -> torch.Tensor:
    return image.contiguous(memory_format=torch.channels_last)
