"""Verbs that train: the demo, own footage in one command, one stage."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from stereodistill.cli.options import (
    MAX_SEED,
    BaselineM,
    Data,
    Device,
    FocalPx,
    Layout,
    Seed,
    Teacher,
    Width,
    check_device,
    echo,
    if_stopped,
    rig_of,
)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")] = Path("demo"),
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """The whole pipeline on procedural worlds, in minutes."""
    from stereodistill.demo import run_demo

    check_device(device, seed)
    with if_stopped(lambda: f"finished parts are in {out}; run `stereodistill demo --out {out}` again"):
        run_demo(out, device=device, seed=seed)
    echo(f"Report: {out}/report.html   table: {out}/table.json   weights: {out}/mono",
         f"Next: stereodistill predict PHOTO --weights {out}/mono --out predictions")  # fmt: skip


def fit(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Folder for weights, model.onnx, report, metrics and labels.")],
    focal_px: FocalPx = None,
    baseline_m: BaselineM = None,
    width: Width = None,
    teacher: Teacher = "lite_stereo",
    student: Annotated[
        str,
        typer.Option("--student", help="lite0_mono, lite_mono, vgg_mono, recursive_mono, or hf:ID of transformers."),
    ] = "lite0_mono",
    then: Annotated[
        str | None, typer.Option("--then", help="A second, smaller student, which learns from the first one too.")
    ] = None,
    finetune: Annotated[
        str, typer.Option("--finetune", metavar="none|unsup", help="Adapt the teacher to the footage first.")
    ] = "none",
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="Time for the whole run, labels and report included ...")
    ] = None,
    epochs: Annotated[
        float | None,
        typer.Option(
            "--epochs", help="... or how often training goes over all pairs.  Default: 50, and 1500 steps at least."
        ),
    ] = None,
    val_fraction: Annotated[
        float, typer.Option("--val-fraction", help="Share of the footage, in whole stretches, held out to evaluate.")
    ] = 0.1,
    layout: Layout = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a stopped run in --out.")] = False,
    calibration: Annotated[
        str | None,
        typer.Option("--calibration", help="DATA is raw footage of these cameras: rectify it first (see rectify)."),
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """Own footage -> monocular depth network, in one command.

    Checks the rig, labels the pairs with the teacher, distils the student, evaluates it on held-out stretches,
    exports it to ONNX and writes a report.
    """
    rig = rig_of(focal_px, baseline_m, width)
    check_device(device, seed)
    from stereodistill.fitting import fit as fit_student

    with if_stopped(lambda: f"labels and checkpoints so far are in {out}; the same command with --resume goes on"):
        summary = fit_student(
            data, out, teacher=teacher, student=student, rig=rig, finetune=finetune, minutes=minutes, epochs=epochs,
            val_fraction=val_fraction, then=then, layout=layout, resume=resume, calibration=calibration, device=device,
            seed=seed, progress=True,
        )  # fmt: skip
    echo(
        *_scores(summary["held_out"]),
        f"ONNX: {out / summary['onnx'] if summary['onnx'].endswith('.onnx') else summary['onnx']}",
    )
    echo(f"Report: {out}/report.html   metrics: {out}/metrics.json   weights: {out}/weights",
         f"Next: stereodistill predict PHOTO --weights {out}/weights"
         f"{f' --calibration {shlex.quote(calibration)}' if calibration else ''} --out predictions")  # fmt: skip


def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Name of a shipped recipe, or a YAML file.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for checkpoints, weights and log.jsonl.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes: loop.steps=100 optimizer.lr=1e-4 ...")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint in --out.")] = False,
    device: Device = "auto",
    seed: Annotated[int | None, typer.Option("--seed", min=0, max=MAX_SEED, help="Short for loop.seed=N.")] = None,
) -> None:
    """One stage of training, from a recipe to weights.

    On several GPUs or machines: accelerate launch -m stereodistill train RECIPE --out DIR
    """
    check_device(device, seed or 0)
    from stereodistill.data.unreadable import read_journal, skip_report
    from stereodistill.engine.samples import SKIPPED
    from stereodistill.engine.train import train as train_stage

    changes = [*(overrides or ()), *([] if seed is None else [f"loop.seed={seed}"])]
    with if_stopped(lambda: _saved_steps(out)), _steps_shown() as on_step:
        weights = train_stage(recipe, out, overrides=changes, resume=resume, device=device, on_step=on_step)
    echo(*skip_report(read_journal(out / SKIPPED)))
    echo(f"Weights: {weights}   log: {out}/log.jsonl", f"Next: stereodistill weights show {weights}")


def _scores(held_out: dict[str, dict[str, dict]]) -> list[str]:
    """One line for each row and what it is compared with."""
    lines = ["On the held-out stretches:"] if held_out else ["Nothing was held out: there is no score."]
    for row, results in held_out.items():
        for truth, result in results.items():
            name = "abs_rel" if "abs_rel" in result["metrics"] else "epe"
            value = result["metrics"][name]
            lines.append(f"  {row:<24} {name} {'-' if value is None else format(value, '.3f')} against {truth}")
    return lines


@contextmanager
def _steps_shown() -> Iterator[Callable[[int, int, float], None] | None]:
    """A training callback that shows steps and loss, in the first process only."""
    if os.environ.get("RANK", "0") != "0":
        yield None
        return
    from stereodistill.progress import progress

    with progress("training") as report:
        yield lambda step, total, loss: report(step, total, f"loss {loss:.4g}")


def _saved_steps(out: Path) -> str:
    from stereodistill.engine.checkpoint import newest

    checkpoint = newest(out / "checkpoints")
    if checkpoint is None:
        return "no step was finished, nothing is saved"
    step, path = checkpoint
    return f"step {step} is saved in {path}; the same command with --resume goes on from there"
