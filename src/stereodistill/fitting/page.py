"""The report of a run: table, learning curves, and pictures of held-out pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stereodistill.data import StereoDataset, Subset
from stereodistill.evaluation.estimate import at_size
from stereodistill.evaluation.sources import load_source
from stereodistill.fitting.judge import LABELS, TRUTH, Results
from stereodistill.labels.dataset import LabelledDataset
from stereodistill.report import Chart, GalleryRow, Table, gallery_row, read_log, write_report

NUM_PICTURES = 6


def fit_page(out: Path, dataset: StereoDataset, val: LabelledDataset, summary: dict[str, Any], device: str) -> Path:
    """Write `out/report.html`."""
    height, width = summary["input_size"]
    facts = [
        ("pairs", str(len(dataset))),
        ("held out", str(summary["num_val"])),
        ("teacher", summary["teacher"]),
        ("student", summary["student"]),
        ("its input", f"{width} x {height}"),
        ("training", f"{summary['steps']} steps"),
        ("time", f"{summary['minutes']:.1f} min"),
    ]
    shown = (
        "The numbers and pictures are of stretches of the sequence that were held out of its training."
        if len(val)
        else "Nothing was held out of its training, so there are no numbers and pictures to judge it by."
    )
    return write_report(
        out / "report.html",
        title="From stereo pairs to monocular depth",
        intro=f"A monocular depth network, learned from a stereo teacher's labels of these pairs. {shown}",
        facts=facts,
        tables=score_tables(summary["held_out"]),
        curves=learning_curves(out / "log.jsonl"),
        gallery=pictures(Subset(dataset, val.names), val, out / "weights", device),
    )


def score_tables(held_out: Results) -> list[Table]:
    """A table against ground truth, where there is some, and one against the teacher's labels."""
    tables = []
    for truth in (TRUTH, LABELS):
        rows = {row: {truth: results[truth]} for row, results in held_out.items() if truth in results}
        if rows:
            tables.append(Table.from_results(f"Held-out pairs: {truth}", rows, references=["teacher"]))
    return tables


def learning_curves(log: Path) -> list[Chart]:
    """The training loss and the validation score of a `log.jsonl`."""
    curves = read_log(log)
    charts = [Chart("Training loss", (curves["loss"],), y_label="loss")]
    score = curves.get("validation.difference_to_teacher")
    if score is not None:
        score = replace(score, name="difference")
        charts.append(Chart("Held-out pairs, relative difference to the teacher", (score,), y_label="difference"))
    return charts


def pictures(pairs: StereoDataset, labels: LabelledDataset, weights: Path, device: str) -> list[GalleryRow]:
    """Input, teacher, student, their errors and the truth where it is known, for a few pairs spread over the set."""
    if not len(pairs):
        return []
    student = load_source(weights, device)
    rows = []
    for index in np.linspace(0, len(pairs) - 1, min(NUM_PICTURES, len(pairs))).round().astype(int).tolist():
        pair, label = pairs.load(index), labels.load(index)
        disparity, _ = at_size(*student(pair), pair.size)
        teacher = label.left.disparity[0].numpy()
        truth = pair.left.disparity[0].numpy() if bool(pair.left.valid.any()) else None
        image = pair.left.image.permute(1, 2, 0).numpy()
        rows.append(picture_row(str(pair.name), image, teacher, disparity, truth))
    return rows


def picture_row(
    name: str, image: np.ndarray, teacher: np.ndarray, student: np.ndarray, truth: np.ndarray | None
) -> GalleryRow:
    """One row; without ground truth the student's difference to the teacher is its error."""
    if truth is None:
        caption = "no ground truth: the error is the difference to the teacher"
        return gallery_row(
            name, image, maps={"student": student}, truth_px=teacher, truth_title="teacher", caption=caption
        )
    return gallery_row(name, image, maps={"teacher": teacher, "student": student}, truth_px=truth)
