"""What a run decides at its start, kept in `plan.json` so that a resumed run does the same."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path

from stereodistill.config import Config
from stereodistill.data import StereoDataset, split_stretches
from stereodistill.data.dataset import NUM_LOOKED_AT, spread
from stereodistill.engine.recipe import MonoRecipe
from stereodistill.engine.speed import measure_step_s
from stereodistill.engine.stages import load_recipe
from stereodistill.errors import UserError
from stereodistill.io.files import write_bytes
from stereodistill.models import MONO
from stereodistill.ops.resize import size_of_shape
from stereodistill.weights.locate import shipped

PLAN = "plan.json"
INPUT_PIXELS = 192 * 640
"""The student's input has about this many pixels, in the shape of the user's pictures."""
MUON = ("optimizer.name=muon", "optimizer.lr=1e-3")
"""Better than AdamW for `lite_mono`, with which it was measured; networks without norms refuse it."""
MIN_STEPS = 1500
DEFAULT_EPOCHS = 50.0
FINISH_S = 45.0
"""Time set aside for judging, export and the report when a run is bounded by minutes."""


class Asked(Config):
    """What the caller of `fit` asked for; whoever resumes a run must ask for the same."""

    data: str
    teacher: str
    student: str
    seed: int
    layout: str = "auto"
    rig: dict[str, float] | None = None
    finetune: str = "none"
    minutes: float | None = None
    epochs: float | None = None
    val_fraction: float = 0.1

    def refuse_odd(self) -> None:
        """Raises UserError for what no run can do."""
        if self.student not in MONO:
            raise UserError(f"student is one of {', '.join(MONO)}, found {self.student!r}")
        if self.finetune not in ("none", "unsup"):
            raise UserError(f"finetune is none or unsup, found {self.finetune!r}")
        if self.minutes is not None and self.epochs is not None:
            raise UserError("give minutes or epochs, not both")
        for name, value in (("minutes", self.minutes), ("epochs", self.epochs)):
            if value is not None and not 0 < value < math.inf:
                raise UserError(f"{name} must be positive, found {value:g}")
        if not 0 <= self.val_fraction < 1:
            raise UserError(f"val_fraction is a share from 0 to below 1, found {self.val_fraction:g}")


class FitPlan(Config):
    """The choices of one run."""

    asked: Asked
    size: tuple[int, int]
    train_names: tuple[str, ...]
    val_names: tuple[str, ...]
    steps: int = 0
    """0 until the labels are there and the speed of this machine is known."""


def make_plan(out: Path, dataset: StereoDataset, asked: Asked, resume: bool) -> tuple[FitPlan, bool]:
    """A plan for the run and whether it is new; on resume the plan that `out` holds, if the same was asked for."""
    path = out / PLAN
    if not path.exists():
        return _new_plan(dataset, asked), True
    if not resume:
        raise UserError(f"{out} already holds a run: add --resume to go on with it, or choose another --out")
    plan = FitPlan.parse(json.loads(path.read_text(encoding="utf-8")), str(path))
    for key, value in asked:
        held = getattr(plan.asked, key)
        if held != value:
            raise UserError(f"{out} holds a run with {key} {held}, not {value}: choose another --out")
    return plan, False


def keep_plan(out: Path, plan: FitPlan) -> FitPlan:
    """Write the plan: from here on `out` holds a run."""
    write_bytes(out / PLAN, plan.model_dump_json(indent=1).encode())
    return plan


def _new_plan(dataset: StereoDataset, asked: Asked) -> FitPlan:
    train, val = split_stretches(dataset.names, asked.val_fraction, asked.seed)
    if not train:
        raise UserError(f"{asked.data}: no pairs left to train on with a validation share of {asked.val_fraction}")
    return FitPlan(
        asked=asked,
        size=student_size(dataset),
        train_names=tuple(dataset.names[i] for i in train),
        val_names=tuple(dataset.names[i] for i in val),
    )


def training_recipe(out: Path, plan: FitPlan, left_s: float | None, device: str) -> tuple[FitPlan, MonoRecipe]:
    """The student's recipe with its number of steps, and the plan, which learns that number the first time."""
    student = plan.asked.student
    overrides = [f"model.name={student}", f"augment.size=[{plan.size[0]}, {plan.size[1]}]"]
    if student in shipped():
        overrides.append(f"model.weights={student}")
    if student == "lite_mono":
        overrides += MUON
    recipe = load_recipe("fit", [*overrides, f"loop.seed={plan.asked.seed}"])
    assert isinstance(recipe, MonoRecipe)
    if not plan.steps:
        per_epoch = len(plan.train_names) / recipe.loop.batch_size
        if left_s is not None:
            steps = int((left_s - FINISH_S) / measure_step_s(recipe, device))
        elif plan.asked.epochs is not None:
            steps = math.ceil(plan.asked.epochs * per_epoch)
        else:
            steps = max(MIN_STEPS, math.ceil(DEFAULT_EPOCHS * per_epoch))
        if steps < 1:
            raise UserError("no time is left for training: give more --minutes")
        plan = keep_plan(out, plan.model_copy(update={"steps": steps}))
    every = max(50, plan.steps // 20)
    loop = recipe.loop.model_copy(update={"steps": plan.steps, "epochs": None, "validate_every": every})
    return plan, recipe.model_copy(update={"loop": loop})


def student_size(dataset: StereoDataset) -> tuple[int, int]:
    """(height, width) of the student's input: multiples of 32, about `INPUT_PIXELS`, in the pictures' usual shape."""
    sizes = [dataset.size(index) for index in spread(dataset, NUM_LOOKED_AT)]
    aspect = statistics.median(width / height for height, width in sizes)
    largest = max(width for _, width in sizes)
    return size_of_shape(largest / aspect, largest, INPUT_PIXELS)
