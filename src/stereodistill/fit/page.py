"""The report of a run: table, learning curves, and pictures of held-out pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stereodistill.data import StereoDataset
from stereodistill.data.labelled import LabelledDataset
from stereodistill.evaluation.estimate import at_size
from stereodistill.evaluation.sources import load_source
from stereodistill.fit.judge import Named
from stereodistill.report import Chart, GalleryRow, Table, gallery_row, read_log, write_report

NUM_PICTURES = 6


def fit_page(out: Path, dataset: StereoDataset, val: LabelledDataset, summary: dict[str, Any], device: str) -> Path:
    """Write `out/report.html`."""
    tables = []
    if summary["held_out"]:
        tables = [Table.from_results("Held-out pairs", summary["held_out"], references=["teacher"])]
    height, width = summary["input_size"]
    facts = [
        ("pairs", str(len(dataset))),
        ("held out", str(summary["num_val"])),
        ("teacher", summary["teacher"]),
        ("student", f"{summary['student']}, {width} x {height}"),
        ("training", f"{summary['steps']} steps"),
        ("time", f"{summary['minutes']:.1f} min"),
    ]
    intro = (
        "A monocular depth network, learned from a stereo teacher's labels of these pairs. The numbers and pictures "
        "are of stretches of the sequence that were held out of its training."
    )
    return write_report(
        out / "report.html",
        title="From stereo pairs to monocular depth",
        intro=intro,
        facts=facts,
        tables=tables,
        curves=learning_curves(out / "log.jsonl"),
        gallery=pictures(Named(dataset, val.names), val, out / "weights", device),
    )


def learning_curves(log: Path) -> list[Chart]:
    """The training loss and the validation score of a `log.jsonl`."""
    curves = read_log(log)
    charts = [Chart("Training loss", (curves["loss"],), y_label="loss")]
    scores = [curve for name, curve in curves.items() if name.startswith("validation.")]
    if scores:
        charts.append(Chart("Held-out pairs, relative difference to the teacher", tuple(scores), y_label="difference"))
    return charts


def pictures(pairs: Named, labels: LabelledDataset, weights: Path, device: str) -> list[GalleryRow]:
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
        rows.append(picture_row(pairs.names[index], image, teacher, disparity, truth))
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
