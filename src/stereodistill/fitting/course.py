"""The training of one student within a run, and from large to small: the first student as the second one's teacher."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stereodistill.data import StereoDataset
from stereodistill.engine.common_baseline import CommonBaseline
from stereodistill.fitting.judge import typical_rig, validation
from stereodistill.fitting.plan import FitPlan, find_plan, keep_plan, new_plan, training_recipe
from stereodistill.fitting.scale import match_scale
from stereodistill.fitting.show import say, train_shown
from stereodistill.labels.dataset import LabelledDataset
from stereodistill.labels.filled import Filled, disagreement
from stereodistill.labels.make import label
from stereodistill.weights import read_header
from stereodistill.weights.model_card import UNKNOWN, forbids_commercial_use

FIRST, FILL = "first", "fill"
"""Folders of a run: the first student's own run, and its maps of all pairs."""
TRUSTED = 0.5
"""Confidence of the stereo teacher below which the first student's word counts instead."""
AGREES = 0.05
"""Largest disagreement of the first student with trusted labels: where the teacher doubts, a network that sees one
picture errs two to three times as much as elsewhere, and must still be better than the teacher's guess."""
NUM_COMPARED = 24


@dataclass(frozen=True)
class Course:
    """What all students of a run have in common."""

    dataset: StereoDataset
    labels: Path
    teacher_hash: str
    resume: bool
    device: str
    progress: bool
    start_s: float
    """When the run began, on the monotonic clock."""
    rectified: bool = False
    """The pairs were made by `rectify`."""

    def train(self, doing: str, out: Path, plan: FitPlan, fill: Path | None = None, share: float = 1.0) -> FitPlan:
        """Train the student of `plan` in `out`; returns the plan, which knows the number of steps now.

        fill: a second teacher's labels for what the first one is not sure of; `share` of the time that is left.
        """
        minutes = plan.asked.minutes
        left_s = None if minutes is None else share * (minutes * 60 - (time.monotonic() - self.start_s))
        plan, recipe = training_recipe(out, plan, left_s, self.device)
        rig = typical_rig(self.dataset)
        baseline_m = rig["baseline_m"] if rig else None
        train, val = (
            CommonBaseline(LabelledDataset(self.labels, self.dataset, names=names, min_confidence=least), baseline_m)
            for names, least in ((plan.train_names, TRUSTED if fill else 0.0), (plan.val_names, 0.0))
        )
        samples: StereoDataset = Filled(train, fill) if fill else train
        train_shown(
            doing,
            recipe,
            out,
            shown=self.progress,
            resume=self.resume,
            device=self.device,
            samples=samples,
            validate=validation(val, plan.size),
            header={
                "rig": rig,
                "teacher_hash": self.teacher_hash,
                "rectified": self.rectified,
                **(inherited(fill) if fill else {}),
            },
            start=match_scale(samples, plan.size) if recipe.model.weights else None,
        )
        return plan


def second_teacher(out: Path, plan: FitPlan, course: Course) -> Path | None:
    """Train the first student in half of the time that is left; it labels all pairs, once.  Returns their folder.

    None when its labels are too far from the teacher's trusted ones to be of use where that one is not sure.
    """
    folder = out / FIRST
    asked = plan.asked.model_copy(update={"then": None})
    first = find_plan(folder) or keep_plan(folder, new_plan(course.dataset, asked))
    course.train("training the first student", folder, first, share=0.5)
    say(f"labelling {len(course.dataset)} pairs with the first student {asked.student}", course.progress)
    label(course.dataset, folder / "weights", out / FILL, device=course.device, progress=course.progress)
    differs = _disagreement(out, plan, course)
    if differs <= AGREES:
        return out / FILL
    say(
        f"it differs from trusted labels by {differs:.0%}, so that the teacher's doubtful ones are better",
        course.progress,
    )
    return None


def _disagreement(out: Path, plan: FitPlan, course: Course) -> float:
    """Of the first student with trusted labels, on pairs that it has not seen where there are some."""
    names = plan.val_names or plan.train_names
    names = names[:: -(-len(names) // NUM_COMPARED)]
    first = LabelledDataset(course.labels, course.dataset, names=names, min_confidence=TRUSTED)
    second = LabelledDataset(out / FILL, course.dataset, names=names)
    found = [disagreement(second.load(i).left.disparity, first.load(i).left) for i in range(len(names))]
    return statistics.median([value for value in found if math.isfinite(value)] or [math.inf])


def inherited(fill: Path) -> dict[str, Any]:
    """Header fields of what learned from the first student's labels: a licence that binds goes with them."""
    header = read_header(fill.parent / FIRST / "weights")
    source = header.options.get("source") or {"id": header.architecture}
    fields = {"notes": f"labels that the stereo teacher was not sure of are those of {source['id']} ({header.licence})"}
    binds = header.licence == UNKNOWN or forbids_commercial_use(header.licence)
    return fields | ({"licence": header.licence} if binds else {})
