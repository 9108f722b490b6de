"""What a run decides at its start, kept in `plan.json` so that a resumed run does the same."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path

from stereodistill.config import Config
from stereodistill.data import StereoDataset, split_stretches
from stereodistill.engine.recipe import MonoRecipe, load_recipe
from stereodistill.engine.speed import measure_step_s
from stereodistill.errors import UserError
from stereodistill.io.files import write_bytes

INPUT_PIXELS = 192 * 640
"""The student's input has about this many pixels, in the shape of the user's pictures."""
MIN_STEPS = 1500
DEFAULT_EPOCHS = 50.0
FINISH_S = 45.0
"""Time set aside for judging, export and the report when a run is bounded by minutes."""


class FitPlan(Config):
    """The choices of one run."""

    data: str
    teacher: str
    student: str
    seed: int
    size: tuple[int, int]
    train_names: tuple[str, ...]
    val_names: tuple[str, ...]
    steps: int = 0
    """0 until the labels are there and the speed of this machine is known."""


def make_plan(
    out: Path, dataset: StereoDataset, val_fraction: float, resume: bool, *, data: str, teacher: str, student: str,
    seed: int,
) -> FitPlan:  # fmt: skip
    """A new plan, or on resume the one in `out`, refused when it is for other data or networks."""
    path = out / "plan.json"
    if path.exists() and not resume:
        raise UserError(f"{out} already holds a run: add --resume to go on with it, or choose another --out")
    if path.exists():
        plan = FitPlan.parse(json.loads(path.read_text(encoding="utf-8")), str(path))
        asked = {"data": data, "teacher": teacher, "student": student, "seed": seed}
        for key, value in asked.items():
            if getattr(plan, key) != value:
                raise UserError(f"{out} holds a run with {key} {getattr(plan, key)}, not {value}: choose another --out")
        return plan
    train, val = split_stretches(dataset.names, val_fraction, seed)
    if not train:
        raise UserError(f"{data}: no pairs left to train on with a validation share of {val_fraction}")
    plan = FitPlan(
        data=data,
        teacher=teacher,
        student=student,
        seed=seed,
        size=student_size(dataset),
        train_names=tuple(dataset.names[i] for i in train),
        val_names=tuple(dataset.names[i] for i in val),
    )
    return _write(out, plan)


def training_recipe(
    out: Path, plan: FitPlan, epochs: float | None, left_s: float | None, device: str
) -> tuple[FitPlan, MonoRecipe]:
    """The student's recipe with its number of steps, and the plan, which learns that number the first time."""
    overrides = [f"model.name={plan.student}", f"augment.size=[{plan.size[0]}, {plan.size[1]}]"]
    recipe = load_recipe("fit", [*overrides, f"loop.seed={plan.seed}"])
    assert isinstance(recipe, MonoRecipe)
    if not plan.steps:
        per_epoch = len(plan.train_names) / recipe.loop.batch_size
        if left_s is not None:
            steps = int((left_s - FINISH_S) / measure_step_s(recipe, device))
        elif epochs is not None:
            steps = math.ceil(epochs * per_epoch)
        else:
            steps = max(MIN_STEPS, math.ceil(DEFAULT_EPOCHS * per_epoch))
        if steps < 1:
            raise UserError("no time is left for training: give more --minutes")
        plan = _write(out, plan.model_copy(update={"steps": steps}))
    every = max(50, plan.steps // 20)
    loop = recipe.loop.model_copy(update={"steps": plan.steps, "epochs": None, "validate_every": every})
    return plan, recipe.model_copy(update={"loop": loop})


def student_size(dataset: StereoDataset) -> tuple[int, int]:
    """(height, width) of the student's input: multiples of 32, about `INPUT_PIXELS`, in the pictures' usual shape."""
    sample = range(0, len(dataset), max(1, len(dataset) // 20))
    sizes = [dataset.load(index).size for index in sample]
    aspect = statistics.median(width / height for height, width in sizes)
    largest = max(width for _, width in sizes)
    width = min(math.sqrt(INPUT_PIXELS * aspect), math.ceil(largest / 32) * 32)
    return max(64, round(width / aspect / 32) * 32), max(64, round(width / 32) * 32)


def _write(out: Path, plan: FitPlan) -> FitPlan:
    write_bytes(out / "plan.json", plan.model_dump_json(indent=1).encode())
    return plan
