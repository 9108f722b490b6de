"""One stage of training from a recipe to weights on disk."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import set_seed
from torch import nn

from stereodistill import losses, models
from stereodistill.data.augment.pair import AugmentMono, augment_mono, load_stereo
from stereodistill.engine.batches import Batches, Samples
from stereodistill.engine.ground_truth import require_ground_truth
from stereodistill.engine.joint import (
    both_networks,
    joint_objective,
    results,
    started,
    started_part,
    taught_objective,
    trained_module,
    unsupervised_mono_objective,
)
from stereodistill.engine.loop import Loop, Objective, Validate
from stereodistill.engine.objectives import view_synthesis_objective
from stereodistill.engine.preflight import refuse_blanks
from stereodistill.engine.recipe import (
    JointRecipe,
    Recipe,
    StereoRecipe,
    UnsupervisedMonoRecipe,
    UnsupervisedRecipe,
    ViewSynthesisRecipe,
    load_recipe,
)
from stereodistill.engine.rig_field import rig_field
from stereodistill.engine.samples import Shrunk, open_samples, tolerant
from stereodistill.engine.start import encoder_of, frozen_steps
from stereodistill.engine.sync_norm import synchronise_norms
from stereodistill.errors import UserError
from stereodistill.models.layers import channels_last
from stereodistill.types import Loss, StereoPair
from stereodistill.weights import WeightsHeader, load_encoder, load_weights, save_weights


def train(
    recipe: str | Recipe,
    out: str | Path,
    *,
    overrides: Sequence[str] = (),
    resume: bool = False,
    device: str = "auto",
    samples: Samples | None = None,
    validate: Validate | None = None,
    on_step: Callable[[int, int, float], None] | None = None,
    header: dict | None = None,
) -> Path:
    """Run one stage; returns `out/weights`.

    `recipe` is a shipped name, a YAML file or a parsed recipe.  `resume` goes on from the newest intact
    checkpoint in `out`; without it a folder that already holds a run is refused.  `header` adds fields
    (rig, metrics, ...) to the weights' header; the rig is by default that of the pairs.
    """
    recipe = load_recipe(recipe, overrides) if isinstance(recipe, str) else recipe
    out = Path(out)
    refuse_blanks(recipe, has_samples=samples is not None)
    _prepare_folder(out, resume)
    stage = partial(train, resume=resume, device=device, samples=samples, on_step=on_step, header=header)
    start = started(recipe, out, resume, stage)
    accelerator = make_accelerator(recipe, device)
    set_seed(recipe.loop.seed)
    model = trained_module(recipe, build_model(start))
    samples = open_samples(recipe.data, recipe.loop.seed) if samples is None else samples
    samples = tolerant(samples, recipe.data, out)
    require_ground_truth(recipe, samples)
    header = rig_field(recipe, samples) | (header or {})
    loop = _loop(recipe, model, samples, accelerator, out, validate, on_step)
    loop.run(resume)
    finished = results(recipe, loop.finished())
    if accelerator.is_main_process:
        for folder, network in finished.items():
            save_weights(out / folder, network, header_of(recipe, network, header))
    accelerator.wait_for_everyone()
    return out / "weights"


def _loop(
    recipe: Recipe,
    model: nn.Module,
    samples: Samples,
    accelerator: Accelerator,
    out: Path,
    validate: Validate | None,
    on_step: Callable[[int, int, float], None] | None,
) -> Loop:
    return Loop(
        recipe=recipe,
        model=synchronise_norms(model, accelerator) if recipe.loop.sync_norms else model,
        batches=make_batches(recipe, samples, accelerator),
        objective=objective_of(recipe, model),
        num_steps=num_steps(recipe, len(samples)),
        out=out,
        accelerator=accelerator,
        frozen=encoder_of(recipe, model),
        frozen_steps=frozen_steps(recipe, len(samples)),
        validate=validate and (lambda module: validate(results(recipe, module)["weights"])),
        **({"on_step": on_step} if on_step else {}),
    )


def make_accelerator(recipe: Recipe, device: str) -> Accelerator:
    """Where and in which precision this stage computes; earlier stages of the same process do not matter."""
    on_cpu = device == "cpu" or not torch.cuda.is_available()
    precision = recipe.loop.precision
    if precision == "auto":
        native = torch.ops.mkldnn._is_mkldnn_bf16_supported() if on_cpu else torch.cuda.is_bf16_supported()
        precision = "bf16" if native else "f32"
    AcceleratorState._reset_state()
    return Accelerator(mixed_precision="bf16" if precision == "bf16" else "no", cpu=on_cpu)


def build_model(recipe: Recipe) -> nn.Module:
    """The network of a recipe, randomly initialised or from the weights it names."""
    model = models.build(recipe.model.name, **recipe.model.options)
    if model.kind != recipe.trains:
        raise UserError(
            f"stage {recipe.stage} trains a {recipe.trains} network, {recipe.model.name} is a {model.kind} one"
        )
    if isinstance(recipe, JointRecipe):
        model = both_networks(model)
    if recipe.model.weights:
        start, header = load_weights(recipe.model.weights)
        part = started_part(model, header.kind)
        if header.architecture != part.name or start.options != part.options:
            raise UserError(
                f"model.weights {recipe.model.weights} hold {header.architecture} {start.options}, "
                f"the recipe builds {part.name} {part.options}"
            )
        part.load_state_dict(start.state_dict())
    if recipe.model.encoder_weights:
        load_encoder(model, recipe.model.encoder_weights)
    return model


def make_batches(recipe: Recipe, samples: Samples, accelerator: Accelerator) -> Batches:
    """Augmented micro-batches of this process."""
    if len(samples) == 0:
        raise UserError("no samples to train on")
    micro = recipe.loop.batch_size // recipe.loop.accumulate
    if micro % accelerator.num_processes:
        raise UserError(
            f"loop.batch_size / loop.accumulate = {micro} must divide by the {accelerator.num_processes} processes"
        )
    if isinstance(recipe.augment, AugmentMono):
        prepare = partial(_prepare_mono, config=recipe.augment)
        if recipe.augment.size is not None:
            samples = Shrunk(samples, recipe.augment.size, recipe.loop.workers)
    else:
        prepare = partial(_prepare_stereo, config=recipe.augment)
    return Batches(
        samples,
        prepare,
        seed=recipe.loop.seed,
        batch_size=micro,
        rank=accelerator.process_index,
        num_ranks=accelerator.num_processes,
    )


def objective_of(recipe: Recipe, model: nn.Module) -> Objective:
    """The stage's loss as a function of (model, batch); `model` is the network before the first step."""
    if isinstance(recipe, UnsupervisedRecipe):
        return _unsupervised(recipe, model)
    if isinstance(recipe, ViewSynthesisRecipe):
        return view_synthesis_objective(recipe)
    if isinstance(recipe, StereoRecipe):

        def stereo(model: nn.Module, pair: StereoPair) -> Loss:
            left, right = (_channels_last(view.image) for view in (pair.left, pair.right))
            return losses.supervised_stereo(model(left, right), pair, recipe.loss)

        return stereo
    if isinstance(recipe, JointRecipe):
        return joint_objective(recipe)
    if isinstance(recipe, UnsupervisedMonoRecipe):
        return unsupervised_mono_objective(recipe, model)
    if recipe.teacher:
        return taught_objective(recipe)
    function = losses.distill if recipe.stage == "distill" else losses.supervised_mono

    def mono(model: nn.Module, pair: StereoPair) -> Loss:
        return function(model(_channels_last(pair.left.image)), pair, recipe.loss)

    return mono


def _unsupervised(recipe: UnsupervisedRecipe, model: nn.Module) -> Objective:
    frozen = copy.deepcopy(model).eval().requires_grad_(False)

    def objective(model: nn.Module, pair: StereoPair) -> Loss:
        left, right = (_channels_last(view.image) for view in (pair.left, pair.right))
        channels_last(frozen.to(left.device))
        with torch.no_grad():
            before = frozen(left, right)
        return losses.unsupervised_stereo(model(left, right), before, pair, recipe.loss)

    return objective


def num_steps(recipe: Recipe, num_samples: int) -> int:
    """Optimiser steps of the whole run."""
    if recipe.loop.steps is not None:
        return recipe.loop.steps
    assert recipe.loop.epochs is not None
    return max(1, math.ceil(recipe.loop.epochs * num_samples / recipe.loop.batch_size))


def header_of(recipe: Recipe, model: nn.Module, extra: dict) -> WeightsHeader:
    """The header that goes with trained weights: what they are, how they were made."""
    base = {
        "architecture": model.name,
        "kind": model.kind,
        "options": model.options,
        "input_size": recipe.augment.size if isinstance(recipe.augment, AugmentMono) else None,
        "recipe": recipe.model_dump(mode="json"),
    }
    return WeightsHeader.parse(base | extra, "weights header")


def _prepare_folder(out: Path, resume: bool) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror}; choose another --out") from None
    if (out / "checkpoints").exists() and not resume:
        raise UserError(f"{out} already holds a run: add --resume to go on with it, or choose another --out")


def _prepare_stereo(samples, index, rng, config):
    return load_stereo(samples, index, config, rng)


def _prepare_mono(samples, index, rng, config):
    return augment_mono(samples.load(index), config, rng)


def _channels_last(image: torch.Tensor) -> torch.Tensor:
    return image.contiguous(memory_format=torch.channels_last)
