"""How good a student is on pairs it has not seen: against the teacher's labels, and against ground truth if any."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from stereodistill.data import StereoDataset, Subset
from stereodistill.data.dataset import metric_rigs, middle_rig
from stereodistill.evaluation import constant_baseline, evaluate
from stereodistill.labels.dataset import LabelledDataset
from stereodistill.ops.geometry import resize_pair

Results = dict[str, dict[str, dict[str, Any]]]
"""Row -> data set -> what `evaluate` returns."""
MAX_QUICK = 24
LABELS, TRUTH = "teacher's labels", "ground truth"


def judge(
    dataset: StereoDataset,
    val: LabelledDataset,
    train: LabelledDataset,
    students: Mapping[str, Path],
    teacher: Any,
    device: str,
    progress: bool = False,
) -> Results:
    """Score students (name -> weights) and a constant on held-out labels, and with the teacher on held-out truth."""
    if not len(val):
        return {}
    constant = constant_baseline(train)
    score = partial(evaluate, protocol="depth" if typical_rig(dataset) else "stereo", device=device, progress=progress)
    rows: Results = {row: {} for row in (*students, constant.name)}
    truth = with_truth(Subset(dataset, val.names))
    for name, data in ((LABELS, val), (TRUTH, truth)):
        if len(data):
            for row, weights in students.items():
                rows[row][name] = score(data=data, weights=weights)
            rows[constant.name][name] = score(data=data, source=constant)
    if len(truth):
        rows["teacher"] = {TRUTH: score(data=truth, weights=teacher)}
    return rows


def validation(val: StereoDataset, size: tuple[int, int]) -> Callable[[nn.Module], dict[str, float]] | None:
    """A quick score during training: mean `|d - d_teacher| / (d + d_teacher)` on a few held-out pairs.

    Bounded by 1 a pixel, so that the sky, where both are almost 0, does not drown the rest; needs no rig.
    """
    if not len(val):
        return None
    picked = range(0, len(val), -(-len(val) // MAX_QUICK))
    pairs = [resize_pair(val.load(index), size) for index in picked]

    def score(network: nn.Module) -> dict[str, float]:
        device = next(network.parameters()).device
        errors = []
        for pair in pairs:
            image = pair.left.image[None].to(device, memory_format=torch.channels_last)
            disparity = network(image).disparities[0][0].float().cpu()
            ours, theirs = disparity[pair.left.valid], pair.left.disparity[pair.left.valid]
            errors.append(float(((ours - theirs).abs() / (ours + theirs)).mean()))
        return {"difference_to_teacher": statistics.fmean(errors)}

    return score


def typical_rig(dataset: StereoDataset) -> dict[str, float] | None:
    """The rig that most pairs have, as a weights header keeps it; None when any looked-at pair has none."""
    rigs = metric_rigs(dataset)
    return {name: float(value) for name, value in asdict(middle_rig(rigs)).items()} if rigs else None


def with_truth(dataset: StereoDataset) -> Subset:
    """The pairs that have ground truth of their left view."""
    known = [name for index, name in enumerate(dataset.names) if bool(dataset.load(index).left.valid.any())]
    return Subset(dataset, known)
