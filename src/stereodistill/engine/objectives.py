"""The objective of every stage: its loss as a function of (model, batch).

Each function here takes the recipe and the network before the first step; `stages.STAGES` says which belongs to
which stage.  What is computed is in `losses`; here stands who sees which pictures.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from stereodistill import losses
from stereodistill.engine.loop import Objective
from stereodistill.engine.recipe import (
    JointRecipe,
    MonoRecipe,
    Recipe,
    StereoRecipe,
    UnsupervisedMonoRecipe,
    UnsupervisedRecipe,
    ViewSynthesisRecipe,
)
from stereodistill.engine.start import stereo_teacher
from stereodistill.models.layers import channels_last
from stereodistill.models.ye2021.recursive_mono import two_views
from stereodistill.types import Loss, Prediction, StereoPair


def supervised_stereo(recipe: StereoRecipe, network: nn.Module) -> Objective:
    """A stereo network against ground truth."""

    def objective(model: nn.Module, pair: StereoPair) -> Loss:
        return losses.supervised_stereo(model(*_both(pair)), pair, recipe.loss)

    return objective


def unsupervised_stereo(recipe: UnsupervisedRecipe, network: nn.Module) -> Objective:
    """A stereo network against the pair itself, held by a frozen copy of what it was.

    The copy computes in the precision of the live network: rounding is no change that eq. 6 and 7 should hold back.
    """
    frozen = copy.deepcopy(network).eval().requires_grad_(False)

    def objective(model: nn.Module, pair: StereoPair) -> Loss:
        left, right = _both(pair)
        channels_last(frozen.to(left.device))
        with torch.no_grad(), autocast(recipe, left.device):
            before = frozen(left, right)
        return losses.unsupervised_stereo(model(left, right), before, pair, recipe.loss)

    return objective


def view_synthesis_stereo(recipe: ViewSynthesisRecipe, network: nn.Module) -> Objective:
    """Godard et al. 2017's loss."""

    def objective(model: nn.Module, pair: StereoPair) -> Loss:
        return losses.view_synthesis(both_views(model, pair.left.image, pair.right.image), pair, recipe.loss)

    return objective


def both_views(model: nn.Module, left: Tensor, right: Tensor) -> Prediction:
    """Disparities of the left and of the right view, in one pass over the pair and its mirror image.

    Mirrored and exchanged, a pair is a pair again, whose left view is the right one in a mirror.
    """
    batch = left.shape[0]
    images = torch.cat([left, right.flip(-1)]), torch.cat([right, left.flip(-1)])
    disparities = model(*(_laid_out(image) for image in images)).disparities
    return Prediction(
        disparities=tuple(d[:batch] for d in disparities),
        disparities_right=tuple(d[batch:].flip(-1) for d in disparities),
    )


def supervised_mono(recipe: MonoRecipe, network: nn.Module) -> Objective:
    """A mono network against ground truth, or beside a teacher that runs with it."""
    return _beside_teacher(recipe) if recipe.teacher else _mono(recipe, losses.supervised_mono)


def distill(recipe: MonoRecipe, network: nn.Module) -> Objective:
    """A mono network against a teacher's labels, and beside the teacher itself where the recipe names it."""
    return _beside_teacher(recipe) if recipe.teacher else _mono(recipe, losses.distill)


def _mono(recipe: MonoRecipe, loss) -> Objective:
    def objective(model: nn.Module, pair: StereoPair) -> Loss:
        return loss(model(_laid_out(pair.left.image)), pair, recipe.loss)

    return objective


def _beside_teacher(recipe: MonoRecipe) -> Objective:
    """Distillation from labels, and from the spaces of a teacher that runs beside the student."""
    teacher = stereo_teacher(recipe)

    def objective(model: nn.Module, pair: StereoPair) -> Loss:
        left, right = _both(pair)
        channels_last(teacher.to(left.device))
        with torch.no_grad():
            theirs = teacher(left, right)
        ours = model(left)
        spaces = losses.spaces(ours, theirs, pair.size[1], recipe.spaces)
        return Loss(terms={**losses.distill(ours, pair, recipe.loss).terms, **spaces.terms})

    return objective


def unsupervised_mono(recipe: UnsupervisedMonoRecipe, network: nn.Module) -> Objective:
    """A mono network on the left image of a pair, judged by both (Ye et al., TIP 2021)."""
    sees_both_views = getattr(network, "sees_both_views", False)

    def objective(model: nn.Module, pair: StereoPair) -> Loss:
        return losses.view_synthesis(two_views(model, *_both(pair), sees_both_views), pair, recipe.loss)

    return objective


def joint(recipe: JointRecipe, network: nn.Module) -> Objective:
    """A mono and a stereo network on one pair (Ye et al., TIP 2021)."""

    def objective(model: nn.Module, pair: StereoPair) -> Loss:
        return losses.joint(model(*_both(pair)), pair, recipe.loss)

    return objective


def autocast(recipe: Recipe, device: torch.device) -> torch.autocast:
    """The precision of the trained network, for one that is compared with it pixel by pixel."""
    return torch.autocast(device.type, torch.bfloat16, enabled=recipe.loop.precision == "bf16")


def _both(pair: StereoPair) -> tuple[Tensor, Tensor]:
    return _laid_out(pair.left.image), _laid_out(pair.right.image)


def _laid_out(image: Tensor) -> Tensor:
    return image.contiguous(memory_format=torch.channels_last)
