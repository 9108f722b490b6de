"""The verb for tables: a study from its data to its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stereodistill.cli.options import Device, Seed, check_device, echo, if_stopped
from stereodistill.errors import UserError


def study(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A shipped study, or a YAML file.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for stages, results and report; default: studies/NAME.")
    ] = None,
    rows: Annotated[str | None, typer.Option("--rows", metavar="A,B", help="Only these rows of the table.")] = None,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", metavar="NAME=ROOT", help="Where a data set of the study lies; may be repeated."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change the training stages (loop.steps=2), or some: mono_*:loop.steps=2.",
        ),
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """A table of results, each row a chain of stages.

    Finished stages are found again; `--seed N` adds N to the seeds that the study names.
    """
    check_device(device, seed)
    from stereodistill.study import load_study, row_names, run_study

    plan = load_study(name)
    plan = plan.model_copy(update={"seeds": tuple(number + seed for number in plan.seeds)})
    folder = out or Path("studies") / Path(name).stem
    with if_stopped(lambda: f"finished stages are in {folder}; the same command goes on from there"):
        table = run_study(
            plan, folder, rows=row_names(rows or ""), roots=_roots(data or []), changes=changes or (), device=device
        )
    echo(table.to_markdown(), f"Report: {folder}/report.html   table: {folder}/table.json")


def _roots(pairs: list[str]) -> dict[str, str]:
    roots = {}
    for pair in pairs:
        name, separator, root = pair.partition("=")
        if not (name and separator and root):
            raise UserError(f"--data {pair!r}: expected NAME=ROOT, for example kitti_raw=/discs/kitti")
        roots[name] = root
    return roots
