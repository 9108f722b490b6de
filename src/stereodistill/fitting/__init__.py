"""Own footage to a monocular network in one call: check, label, distil, evaluate, export, report."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stereodistill.cameras.output import is_rectified
from stereodistill.cameras.rectify import RectifyOptions, SourceOptions, rectify
from stereodistill.data import StereoDataset, check_dataset, open_dataset
from stereodistill.data.layouts import pair_name
from stereodistill.errors import UserError
from stereodistill.fitting.course import FIRST, Course, second_teacher
from stereodistill.fitting.finetune import finetune_teacher, require_network
from stereodistill.fitting.judge import judge
from stereodistill.fitting.page import fit_page
from stereodistill.fitting.plan import Asked, FitPlan, keep_plan, make_plan
from stereodistill.fitting.show import say
from stereodistill.io.files import write_bytes
from stereodistill.io.lock import one_per_out
from stereodistill.labels.dataset import LabelledDataset
from stereodistill.labels.make import label
from stereodistill.predict import load_teacher
from stereodistill.progress import progress as show_progress
from stereodistill.types import OwnWidthRig, Rig

__all__ = ["fit"]


@one_per_out
def fit(
    data: str | Path,
    out: str | Path,
    *,
    teacher: str = "lite_stereo",
    student: str = "lite0_mono",
    layout: str = "auto",
    rig: Rig | OwnWidthRig | None = None,
    finetune: str = "none",
    minutes: float | None = None,
    epochs: float | None = None,
    val_fraction: float = 0.1,
    then: str | None = None,
    resume: bool = False,
    calibration: str | Path | None = None,
    device: str = "auto",
    seed: int = 0,
    progress: bool = False,
) -> dict[str, Any]:
    """Turn stereo pairs into a monocular depth network; returns what `out/metrics.json` holds.

    Writes `out/labels`, `out/weights`, `out/model.onnx`, `out/report.html` and `out/metrics.json`.

    Args:
        data: pairs that `open_dataset` understands, with `layout` and `rig` as there.
        teacher, student: see `load_teacher` and `models.build`; a student may also be `hf:ORG/NAME` or `hf:FOLDER`.
        finetune: `none`; `unsup` first adapts the teacher to the pairs, without labels (Guo et al. 2018, step 2).
        minutes, epochs: `minutes` bounds the whole run, `epochs` the student's training; without either, 50
            epochs and at least 1500 steps.
        val_fraction: share of the pairs that is held out, in whole stretches of the sequence.
        then: a second, smaller student, which is the one that is written: it learns from the teacher where that can be
            trusted, and from `student` everywhere else.
        resume: go on with the run that `out` holds, from its last checkpoint; all else must be as at its start.
        calibration: of raw cameras (see `cameras.read_calibration`); `data` is then raw footage, which is rectified to
            `out/pairs` first.

    Raises:
        UserError: data that `check` finds unfit, a folder that holds another run, anything unusable.
    """
    start_s, out = time.monotonic(), Path(out)
    if calibration is not None:
        data, layout = _rectified(data, calibration, out, layout, rig, progress), "auto"
    asked = Asked.parse(
        {"data": pair_name(Path(data)), "teacher": teacher, "student": student, "seed": seed, "layout": layout,
         "rig": _plain(rig), "finetune": finetune, "minutes": minutes, "epochs": epochs,
         "val_fraction": val_fraction, "then": then},
        "fit",
    )  # fmt: skip
    asked.refuse_odd()
    dataset = open_dataset(data, layout=layout, rig=rig)
    plan, is_new = make_plan(out, dataset, asked, resume)
    matcher = load_teacher(teacher, device)
    network = require_network(matcher) if finetune == "unsup" else None
    if is_new:
        # Only now, so that a mistake leaves no run behind that would have to be resumed or deleted.
        _refuse_unfit(dataset, progress)
        keep_plan(out, plan)
    if network is not None:
        matcher = finetune_teacher(out / "teacher", network, dataset, plan, resume, device, progress)
    say(f"labelling {len(dataset)} pairs with the teacher {matcher.name}", progress)
    label(dataset, matcher, out / "labels", device=device, progress=progress)
    course = Course(dataset, out / "labels", matcher.hash, resume, device, progress, start_s, is_rectified(Path(data)))
    fill = second_teacher(out, plan, course) if then else None
    plan = course.train("training the student", out, plan, fill)
    return _finish(out, dataset, plan, matcher, start_s, device, progress)


def _rectified(
    source: str | Path, calibration: str | Path, out: Path, layout: str, rig: Rig | OwnWidthRig | None, progress: bool
) -> Path:
    """Pairs made of raw footage, or what is missing of them."""
    if rig is not None:
        raise UserError("the rig was given twice: a calibration of the raw cameras says what that of the pairs is")
    options = RectifyOptions(source=SourceOptions(layout=layout))
    with show_progress("rectifying", progress) as report:
        done = rectify(source, calibration, out / "pairs", options, report=report)
    for line in done.lines():
        say(line, progress)
    return done.out


def _plain(rig: Rig | OwnWidthRig | None) -> dict[str, float] | None:
    return None if rig is None else {name: float(value) for name, value in asdict(rig).items()}


def _refuse_unfit(dataset: StereoDataset, progress: bool) -> None:
    with show_progress("checking", progress) as report:
        findings = check_dataset(dataset, progress=report).findings
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        first = errors[0]
        raise UserError(f"{first.message} ({first.where}): {first.remedy}; see `stereodistill check`")


def _finish(
    out: Path, dataset: StereoDataset, plan: FitPlan, matcher, start_s: float, device: str, progress: bool
) -> dict[str, Any]:
    """Judge on the held-out stretches, export, write metrics and the report."""
    say("judging on the held-out pairs", progress)
    val_labels, train_labels = (
        LabelledDataset(out / "labels", dataset, names=names) for names in (plan.val_names, plan.train_names)
    )
    students = {"student": out / "weights"} | ({"first student": out / FIRST / "weights"} if plan.asked.then else {})
    results = judge(dataset, val_labels, train_labels, students, matcher, device, progress)
    onnx = _try_export(out)
    summary = {
        "teacher": matcher.name,
        "student": plan.asked.deployed,
        **({"first_student": plan.asked.student} if plan.asked.then else {}),
        "num_train": len(plan.train_names),
        "num_val": len(plan.val_names),
        "input_size": list(plan.size),
        "steps": plan.steps,
        "minutes": (time.monotonic() - start_s) / 60,
        "onnx": onnx,
        "held_out": results,
    }
    write_bytes(out / "metrics.json", json.dumps(summary, indent=1).encode())
    fit_page(out, dataset, val_labels, summary, device)
    return summary


def _try_export(out: Path) -> str:
    """Write `model.onnx`; without the export extra, or where a foreign network has no graph, say so and go on."""
    from stereodistill.onnx_export import export

    try:
        export(out / "weights", out / "model.onnx")
    except UserError as error:
        if not any(expected in str(error) for expected in ("[export]", "cannot be converted")):
            raise
        return f"not written: {error}"
    return "model.onnx"
