"""Training from a recipe to weights on disk."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import nn

from stereodistill.data import StereoDataset
from stereodistill.data.augment.pair import AugmentMono, augment_mono, load_stereo
from stereodistill.engine.batch_norm import synchronise_norms
from stereodistill.engine.batches import Batches
from stereodistill.engine.calibrate import calibrate
from stereodistill.engine.chain import Link, chain
from stereodistill.engine.log import LOG
from stereodistill.engine.loop import Loop, Objective, Validate
from stereodistill.engine.precision import make_accelerator, settle_precision
from stereodistill.engine.preflight import refuse_placeholders, require_ground_truth, rig_field
from stereodistill.engine.recipe import Recipe
from stereodistill.engine.samples import Shrunk, open_samples, skip_unreadable
from stereodistill.engine.stages import load_recipe, objective_of
from stereodistill.engine.start import build_model, encoder_of, frozen_steps, results, trained_module
from stereodistill.errors import UserError
from stereodistill.io.files import make_folder
from stereodistill.io.lock import one_per_out
from stereodistill.io.memory import refuse_larger_than_memory
from stereodistill.weights import WeightsHeader, save_weights

BYTES_PER_PIXEL = 2 * (3 * 4 + 4 + 1)
"""Of a pair: both pictures, disparities and masks.  A network needs far more; this much is sure."""


@one_per_out
def train(
    recipe: str | Recipe,
    out: str | Path,
    *,
    overrides: Sequence[str] = (),
    resume: bool = False,
    device: str = "auto",
    samples: StereoDataset | None = None,
    validate: Validate | None = None,
    on_step: Callable[[int, int, float], None] | None = None,
    header: dict | None = None,
    start: Callable[[nn.Module], None] | None = None,
) -> Path:
    """Run a recipe, the stages that it comes `after` first; returns `out/weights`.

    `recipe` is a shipped name, a YAML file or a parsed recipe.  `resume` goes on from the newest intact
    checkpoint in `out`; without it a folder that already holds a run is refused.  `header` adds fields
    (rig, metrics, ...) to the weights' header; the rig is by default that of the pairs.  `start` may change the
    network of the last stage before its first step.
    """
    recipe = load_recipe(recipe, overrides) if isinstance(recipe, str) else recipe
    out = Path(out)
    refuse_placeholders(recipe, has_samples=samples is not None)
    links = chain(recipe, out, resume)
    for link in reversed(links):
        _prepare_folder(link.out, resume)
    for link in links:
        judge = validate if link.out == out else None
        _run(link, resume, device, samples, judge, on_step, header or {}, start if link.out == out else None)
    return out / "weights"


def _run(
    link: Link,
    resume: bool,
    device: str,
    samples: StereoDataset | None,
    validate: Validate | None,
    on_step: Callable[[int, int, float], None] | None,
    header: dict,
    start: Callable[[nn.Module], None] | None,
) -> None:
    """One stage, from its start weights to weights on disk."""
    recipe, out = link.recipe, link.out
    settled, seconds = settle_precision(link.with_start_weights, out, resume, device)
    accelerator = make_accelerator(settled, device)
    set_seed(recipe.loop.seed)
    network = build_model(link.with_start_weights)
    if start:
        start(network)
    model = trained_module(recipe, network)
    samples = open_samples(recipe.data, recipe.loop.seed) if samples is None else samples
    samples = skip_unreadable(samples, recipe.data, out)
    require_ground_truth(recipe, samples)
    header = rig_field(recipe, samples) | header
    batches = make_batches(recipe, samples, accelerator)
    if not recipe.model.weights:
        calibrate(model, batches, accelerator.device)
    objective = objective_of(settled, model)
    loop = _loop(recipe, model, objective, batches, accelerator, out, validate, on_step)
    if seconds and accelerator.is_main_process:
        loop.log.write({"step": 0, "precision": settled.loop.precision, "measured_s": seconds})
    loop.run(resume)
    finished: dict[str, Any] = results(recipe, loop.finished())
    if accelerator.is_main_process:
        for folder, network in finished.items():
            network = network.without_lora() if hasattr(network, "without_lora") else network
            save_weights(out / folder, network, header_of(recipe, network, header))
    accelerator.wait_for_everyone()


def _loop(
    recipe: Recipe,
    model: nn.Module,
    objective: Objective,
    batches: Batches,
    accelerator: Accelerator,
    out: Path,
    validate: Validate | None,
    on_step: Callable[[int, int, float], None] | None,
) -> Loop:
    return Loop(
        recipe=recipe,
        model=synchronise_norms(model, accelerator) if recipe.loop.sync_norms else model,
        batches=batches,
        objective=objective,
        num_steps=num_steps(recipe, len(batches.samples)),
        out=out,
        accelerator=accelerator,
        frozen=encoder_of(recipe, model),
        frozen_steps=frozen_steps(recipe, len(batches.samples)),
        validate=validate and (lambda module: validate(results(recipe, module)["weights"])),
        **({"on_step": on_step} if on_step else {}),
    )


def make_batches(recipe: Recipe, samples: StereoDataset, accelerator: Accelerator) -> Batches:
    """Augmented micro-batches of this process."""
    if len(samples) == 0:
        raise UserError("no samples to train on")
    micro = recipe.loop.batch_size // recipe.loop.accumulate
    if micro % accelerator.num_processes:
        raise UserError(
            f"loop.batch_size / loop.accumulate = {micro} must divide by the {accelerator.num_processes} processes"
        )
    size = recipe.augment.size or getattr(recipe.data, "size", (1, 1))
    refuse_larger_than_memory(
        micro / accelerator.num_processes * size[0] * size[1] * BYTES_PER_PIXEL,
        f"a batch of {micro} pairs of {size[1]} x {size[0]} pixels",
        "lower loop.batch_size or augment.size, or raise loop.accumulate",
    )
    if isinstance(recipe.augment, AugmentMono):
        prepare = [partial(_prepare_mono, config=config) for config in recipe.augment.at_each_size()]
        if recipe.augment.sees_whole_pictures:
            assert recipe.augment.size is not None
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
        accumulate=recipe.loop.accumulate,
    )


def num_steps(recipe: Recipe, num_samples: int) -> int:
    """Optimiser steps of the whole run."""
    if recipe.loop.steps is not None:
        return recipe.loop.steps
    assert recipe.loop.epochs is not None
    return max(1, math.ceil(recipe.loop.epochs * num_samples / recipe.loop.batch_size))


def header_of(recipe: Recipe, model: nn.Module, extra: dict) -> WeightsHeader:
    """The header that goes with trained weights: what they are, how they were made."""
    size = recipe.augment.size if isinstance(recipe.augment, AugmentMono) else None
    fixed = isinstance(recipe.augment, AugmentMono) and recipe.augment.sees_whole_pictures
    base = {
        "architecture": model.name,
        "kind": model.kind,
        "options": model.options,
        "input_size": size if fixed else None,
        "input_pixels": None if fixed or size is None else size[0] * size[1],
        "recipe": recipe.model_dump(mode="json"),
        **({"licence": model.licence} if hasattr(model, "licence") else {}),
    }
    return WeightsHeader.parse(base | extra, "weights header")


def _prepare_folder(out: Path, resume: bool) -> None:
    make_folder(out)
    if not resume and ((out / "checkpoints").exists() or (out / LOG).exists()):
        raise UserError(f"{out} already holds a run: add --resume to go on with it, or choose another --out")


def _prepare_stereo(samples, index, rng, config):
    return load_stereo(samples, index, config, rng)


def _prepare_mono(samples, index, rng, config):
    return augment_mono(samples.load(index), config, rng)
