"""Scoring predictions against ground truth under a named protocol."""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stereodistill.data.folder import open_dataset
from stereodistill.data.rigs import rig_at
from stereodistill.data.tolerant import OnError, Tolerant
from stereodistill.errors import UserError
from stereodistill.evaluation.metrics import mean_metrics
from stereodistill.evaluation.options import find_protocol
from stereodistill.evaluation.predictions import open_predictions
from stereodistill.evaluation.protocols import Protocol
from stereodistill.evaluation.score import score_image
from stereodistill.evaluation.sources import Source, ask, flipping, load_source
from stereodistill.evaluation.truth import Truth, check_data, ground_truth
from stereodistill.io.images import LUMA
from stereodistill.progress import Report
from stereodistill.progress import progress as show_progress
from stereodistill.types import Rig, StereoPair

logger = logging.getLogger(__name__)


def evaluate(
    *,
    data: Any,
    protocol: str,
    weights: Any = None,
    predictions: str | Path | None = None,
    source: Source | None = None,
    unit: str | None = None,
    scale: float | None = None,
    device: str = "auto",
    size: tuple[int, int] | None = None,
    crop: str | None = None,
    max_depth_m: float | None = None,
    rig: Rig | None = None,
    grey: bool = False,
    limit: int | None = None,
    on_error: OnError = "stop",
    progress: bool = False,
) -> dict[str, Any]:
    """Score one source of predictions on a data set.

    Args:
        data: a path or `NAME:SPLIT=ROOT` that `open_dataset` understands, or an opened dataset.  Pairs without ground
            truth are passed over (a log message says how many).
        protocol: a name of `PROTOCOLS`, with options or without (`eigen:crop=eigen,scaling=median`).
        weights: mono or stereo weights (name, file, folder, hub id), a teacher such as `sgbm`, or either one loaded;
        predictions: or finished maps of any method: a folder, or one file for all (see `evaluation.predictions`);
        source: or any callable of that kind, such as `constant_baseline(...)`.  Exactly one of the three.
        unit, scale: what the numbers of `predictions` mean, and the factor from relative ones to metres.
        size: (height, width) at which the network sees the pictures, instead of that in its header.
        crop, max_depth_m: options of a depth protocol, on top of those in its name.
        rig: replaces the cameras of the data (as in `open_dataset`).
        grey: show grey images to the networks.
        limit: look at the first so many pairs only.
        on_error: a pair whose files are corrupt or missing stops the evaluation, or is left out and reported.
        progress: show on stderr how far it is.

    Returns:
        What docs/formats.md describes, ready for JSON.  A metric is the mean over the scored images; `d1_pooled` and
        `epe_pooled` weigh pixels the same instead.  What nothing could be computed from is None.

    Raises:
        UserError: unusable protocol, data without the ground truth it needs, a missing prediction, metres without a
            rig, an unreadable pair.
    """
    chosen = find_protocol(protocol, crop=crop, max_depth_m=max_depth_m, grey=grey, limit=limit)
    if sum(given is not None for given in (weights, predictions, source)) != 1:
        raise UserError("give exactly one thing to evaluate: weights (--weights) or predictions (--predictions)")
    if predictions is None and (unit is not None or scale is not None):
        raise UserError("unit and scale (--unit, --scale) say what finished predictions mean: give --predictions")
    dataset = data if hasattr(data, "load") else open_dataset(data, rig=rig, limit=chosen.limit)
    check_data(dataset, chosen)
    if predictions is not None:
        limited = chosen.limit is not None
        scored: Source = open_predictions(predictions, dataset.names, unit=unit, scale=scale, limited=limited)
    else:
        scored = source if source is not None else load_source(weights, device, size)
    scored = flipping(scored, chosen.flip) if chosen.flip else scored
    tolerant = Tolerant(dataset, on_error)
    with show_progress("evaluating", progress) as report:
        per_image = _score_all(tolerant, chosen, scored, rig, report)
    return _result(per_image, chosen, scored.name, tolerant)


def _score_all(
    tolerant: Tolerant, protocol: Protocol, source: Source, rig: Rig | None, report: Report
) -> list[dict[str, Any]]:
    dataset: Any = tolerant.samples
    num_pairs = len(dataset) if protocol.limit is None else min(len(dataset), protocol.limit)
    per_image = []

    def read(index: int) -> tuple[StereoPair, Truth]:
        pair = dataset.load(index)
        pair = pair if rig is None else replace(pair, rig=rig_at(rig, pair.size))
        return pair, ground_truth(dataset, index, pair, protocol)

    for index in range(num_pairs):
        found = tolerant.get(index, read)
        if found is not None and bool(found[1].valid.any()):
            pair, truth = found
            scores = score_image(protocol, pair, ask(source, _as_seen(pair, protocol.grey)), truth=truth)
            if scores["num_pixels"]:
                per_image.append({"name": str(pair.name), **scores})
        report(index + 1, num_pairs)
    _tell_what_is_absent(len(per_image), num_pairs, tolerant, protocol)
    return per_image


def _tell_what_is_absent(num_scored: int, num_pairs: int, tolerant: Tolerant, protocol: Protocol) -> None:
    skipped = tolerant.skipped
    if not num_scored:
        unreadable = f"; {len(skipped)} cannot be read, the first: {skipped[0].reason}" if skipped else ""
        raise UserError(
            f"none of the {num_pairs} pairs has ground truth that protocol {protocol.full_name} can score{unreadable}"
        )
    num_left = num_pairs - num_scored - len(skipped)
    if num_left:
        logger.warning("%d of %d pairs have no ground truth to score and were passed over", num_left, num_pairs)


def _result(per_image: list[dict[str, Any]], protocol: Protocol, name: str, tolerant: Tolerant) -> dict[str, Any]:
    metrics = mean_metrics([{key: row[key] for key in protocol.metrics} for row in per_image])
    if protocol.kind == "stereo":
        metrics |= {f"{key}_pooled": value for key, value in _pooled(per_image).items() if key in protocol.metrics}
    return {
        "protocol": protocol.full_name,
        "options": protocol.settings,
        "data": getattr(tolerant.samples, "title", None),
        "num_images": len(per_image),
        "num_expected": protocol.num_expected or getattr(tolerant.samples, "total", None),
        "skipped": [asdict(row) for row in tolerant.skipped],
        "metrics": _for_json(metrics),
        "weights": name,
        "per_image": [_for_json(row) for row in per_image],
    }


def shortfall(result: dict[str, Any]) -> str:
    """How the number of scored images differs from the test set's, in words; empty when it does not."""
    num, expected = result["num_images"], result.get("num_expected")
    if expected is None or num == expected:
        return ""
    return f"{num} of {expected} images" if num < expected else f"{num} images, not the {expected} of the test set"


def _pooled(per_image: list[dict[str, Any]]) -> dict[str, float]:
    """EPE and D1 with every pixel of the data set counting the same."""
    num_pixels = np.array([row["num_pixels"] for row in per_image], dtype=np.float64)
    num_predicted = num_pixels * np.array([row["density"] for row in per_image]) / 100
    epe = np.array([row["epe"] for row in per_image])
    d1 = np.array([row["d1"] for row in per_image])
    total = num_predicted.sum()
    return {
        "epe": float(np.nansum(epe * num_predicted) / total) if total else math.nan,
        "d1": float((d1 * num_pixels).sum() / num_pixels.sum()),
    }


def _for_json(values: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def _as_seen(pair: StereoPair, grey: bool) -> StereoPair:
    if not grey:
        return pair
    weights = torch.tensor(LUMA).reshape(3, 1, 1)

    def to_grey(view):
        return replace(view, image=(view.image * weights).sum(0, keepdim=True).expand(3, -1, -1))

    return replace(pair, left=to_grey(pair.left), right=to_grey(pair.right))
