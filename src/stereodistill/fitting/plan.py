"""What a run decides at its start, kept in `plan.json` so that a resumed run does the same."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

from stereodistill.config import Config
from stereodistill.data import StereoDataset, split_stretches
from stereodistill.data.dataset import NUM_LOOKED_AT, spread
from stereodistill.engine.precision import in_precision, step_seconds
from stereodistill.engine.recipe import MonoRecipe
from stereodistill.engine.stages import load_recipe
from stereodistill.errors import UserError
from stereodistill.fitting.students import describe, refuse_larger
from stereodistill.io.files import write_bytes
from stereodistill.models import MONO
from stereodistill.ops.resize import size_of_shape
from stereodistill.weights.locate import shipped
from stereodistill.weights.transformer import PREFIX

PLAN = "plan.json"
INPUT_PIXELS = 192 * 640
"""The student's input has about this many pixels, in the shape of the user's pictures."""
MUON = ("optimizer.name=muon", "optimizer.lr=1e-3")
"""Better than AdamW for `lite_mono`, with which it was measured; networks without norms refuse it."""
MIN_STEPS = 1500
MOST = 1e6
"""Minutes or epochs; more is a mistake."""
DEFAULT_EPOCHS = 50.0
FINISH_S = 45.0
"""Time set aside for judging, export and the report when a run is bounded by minutes."""


OVERHEAD = 1.2
"""The optimiser, the average and the log add a tenth to a step, with Muon a fifth."""


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
    then: str | None = None

    @property
    def deployed(self) -> str:
        """The student that is taken home."""
        return self.then or self.student

    def refuse_odd(self) -> None:
        """Raises UserError for what no run can do."""
        for role, name in (("student", self.student), ("then", self.then)):
            if name is not None and name not in MONO and not name.startswith(PREFIX):
                raise UserError(f"{role} is one of {', '.join(MONO)} or hf:MODEL, found {name!r}")
        if self.finetune not in ("none", "unsup"):
            raise UserError(f"finetune is none or unsup, found {self.finetune!r}")
        if self.minutes is not None and self.epochs is not None:
            raise UserError("give minutes or epochs, not both")
        for name, value in (("minutes", self.minutes), ("epochs", self.epochs)):
            if value is not None and not 0 < value <= MOST:
                raise UserError(f"{name} must be positive and at most {MOST:g}, found {value:g}")
        if not 0 <= self.val_fraction < 1:
            raise UserError(f"val_fraction is a share from 0 to below 1, found {self.val_fraction:g}")


class FitPlan(Config):
    """The choices of one run."""

    asked: Asked
    recipe: str = "fit"
    size: tuple[int, int]
    train_names: tuple[str, ...]
    val_names: tuple[str, ...]
    steps: int = 0
    """0 until the labels are there and the speed of this machine is known."""
    step_s: dict[str, float] = {}
    """Precision -> seconds of a training step on this machine; the student is trained in the quickest."""


def make_plan(out: Path, dataset: StereoDataset, asked: Asked, resume: bool) -> tuple[FitPlan, bool]:
    """A plan for the run and whether it is new; on resume the plan that `out` holds, if the same was asked for."""
    plan = find_plan(out)
    if plan is None:
        return new_plan(dataset, asked), True
    if not resume:
        raise UserError(f"{out} already holds a run: add --resume to go on with it, or choose another --out")
    for key, value in asked:
        held = getattr(plan.asked, key)
        if held != value:
            raise UserError(f"{out} holds a run with {key} {held}, not {value}: choose another --out")
    return plan, False


def find_plan(out: Path) -> FitPlan | None:
    """The plan of the run that `out` holds; None when it holds none."""
    path = out / PLAN
    return FitPlan.parse(read_json(path, "choose another --out"), str(path)) if path.exists() else None


def keep_plan(out: Path, plan: FitPlan) -> FitPlan:
    """Write the plan: from here on `out` holds a run."""
    write_bytes(out / PLAN, plan.model_dump_json(indent=1).encode())
    return plan


def new_plan(dataset: StereoDataset, asked: Asked) -> FitPlan:
    """A plan for the student that is deployed, which is looked at before anything is spent on it."""
    train, val = split_stretches(dataset.names, asked.val_fraction, asked.seed)
    if not train:
        raise UserError(f"{asked.data}: no pairs left to train on with a validation share of {asked.val_fraction}")
    student = describe(asked.deployed)
    if asked.then:
        refuse_larger(asked.then, student, asked.student)
    return FitPlan(
        asked=asked,
        recipe=student.recipe,
        size=student_size(dataset, student.multiple),
        train_names=tuple(dataset.names[i] for i in train),
        val_names=tuple(dataset.names[i] for i in val),
    )


def training_recipe(out: Path, plan: FitPlan, left_s: float | None, device: str) -> tuple[FitPlan, MonoRecipe]:
    """The student's recipe with its number of steps, and the plan, which learns that number the first time."""
    student = plan.asked.deployed
    overrides = [f"model.name={student}", f"augment.size=[{plan.size[0]}, {plan.size[1]}]"]
    if student in shipped():
        overrides.append(f"model.weights={student}")
    if student == "lite_mono":
        overrides += MUON
    recipe = load_recipe(plan.recipe, [*overrides, f"loop.seed={plan.asked.seed}"])
    assert isinstance(recipe, MonoRecipe)
    if not plan.steps:
        plan = plan.model_copy(update={"step_s": step_seconds(recipe, device)})
        per_epoch = len(plan.train_names) / recipe.loop.batch_size
        if left_s is not None:
            steps = int((left_s - FINISH_S) / (OVERHEAD * min(plan.step_s.values())))
        elif plan.asked.epochs is not None:
            steps = math.ceil(plan.asked.epochs * per_epoch)
        else:
            steps = max(MIN_STEPS, math.ceil(DEFAULT_EPOCHS * per_epoch))
        if steps < 1:
            raise UserError("no time is left for training: give more --minutes")
        plan = keep_plan(out, plan.model_copy(update={"steps": steps}))
    if plan.step_s:
        recipe = in_precision(recipe, min(plan.step_s, key=plan.step_s.__getitem__))
        assert isinstance(recipe, MonoRecipe)
    every = max(50, plan.steps // 20)
    loop = recipe.loop.model_copy(update={"steps": plan.steps, "epochs": None, "validate_every": every})
    return plan, recipe.model_copy(update={"loop": loop})


def student_size(dataset: StereoDataset, multiple: int = 32) -> tuple[int, int]:
    """(height, width) of the student's input: multiples of one number, about `INPUT_PIXELS`, in the pictures' shape."""
    sizes = [dataset.size(index) for index in spread(dataset, NUM_LOOKED_AT)]
    aspect = statistics.median(width / height for height, width in sizes)
    largest = max(width for _, width in sizes)
    return size_of_shape(largest / aspect, largest, INPUT_PIXELS, multiple)
