"""Scoring predictions against ground truth under a named protocol."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stereodistill.data.folder import open_dataset
from stereodistill.data.rigs import rig_at
from stereodistill.errors import UserError
from stereodistill.evaluation.holes import fill_holes
from stereodistill.evaluation.metrics import depth_metrics, mean_metrics, stereo_metrics
from stereodistill.evaluation.protocols import Protocol, find_protocol
from stereodistill.evaluation.sources import PredictionFolder, Source, at_size, load_source
from stereodistill.ops.geometry import disparity_to_depth
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
    device: str = "auto",
    crop: str | None = None,
    max_depth_m: float | None = None,
    rig: Rig | None = None,
    grey: bool = False,
    limit: int | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Score one source of predictions on a data set.

    Args:
        data: a path that `open_dataset` understands, or an opened dataset.  Pairs without ground truth are
            passed over (a log message says how many).
        protocol: a name of `PROTOCOLS`, with options or without (`depth:crop=garg,cap=50`).
        weights: mono or stereo weights (name, file, folder, hub id), a teacher such as `sgbm`, or either one loaded;
        predictions: or a folder of finished disparity maps, one file for each pair's name;
        source: or any callable of that kind, such as `constant_baseline(...)`.  Exactly one of the three.
        crop, max_depth_m: options of the depth protocol, on top of those in its name.
        rig: replaces the cameras of the data (as in `open_dataset`).
        grey: show grey images to the networks.
        limit: look at the first so many pairs only.
        progress: show on stderr how far it is.

    Returns:
        `{"protocol", "num_images", "metrics", "weights", "per_image"}`, ready for JSON.  A metric is the mean over
        the scored images; `d1_pooled` and `epe_pooled` weigh pixels the same instead.  What nothing could be
        computed from is None.

    Raises:
        UserError: unusable protocol, data without ground truth, a missing prediction, metres without a rig.
    """
    chosen = find_protocol(protocol, crop=crop, max_depth_m=max_depth_m, grey=grey, limit=limit)
    if sum(given is not None for given in (weights, predictions, source)) != 1:
        raise UserError("give exactly one thing to evaluate: weights (--weights) or predictions (--predictions)")
    dataset = _open(data, rig, chosen.limit)
    if predictions is not None:
        scored: Source = PredictionFolder(Path(predictions))
    else:
        scored = source if source is not None else load_source(weights, device)
    with show_progress("evaluating", progress) as report:
        per_image = _score_all(dataset, chosen, scored, rig, report)
    return _result(per_image, chosen, scored.name)


def score_image(protocol: Protocol, pair: StereoPair, disparity_px: np.ndarray, valid: np.ndarray) -> dict[str, float]:
    """The protocol's metrics of one prediction for the left view of `pair`, and `num_pixels`, the pixels scored.

    The prediction may have another size: it is resized to the truth's.  In a depth protocol, in this order:
    invalid disparity is filled (`fill_holes`; a map without any valid pixel is taken as `max_depth_m` away),
    turned into metres with the pair's rig, clamped to [min_depth_m, max_depth_m]; `density` tells the share
    that was valid before.  So a sparse method cannot gain by leaving out what is hard.
    """
    disparity, known = at_size(disparity_px, valid, pair.size)
    truth_px, truth_known = pair.left.disparity, pair.left.valid
    if protocol.kind == "stereo":
        truth = truth_px[0].numpy()
        scored = truth_known[0].numpy()
        values = stereo_metrics(disparity, truth, scored, known)
        return {"num_pixels": int((scored & (truth > 0) & np.isfinite(truth)).sum()), **values}
    truth_m, measurable = disparity_to_depth(truth_px, pair.rig)
    scored = protocol.scored_pixels(truth_m[0].numpy()) & (truth_known & measurable)[0].numpy()
    pred_m, known = _filled_depth(protocol, pair.rig, disparity, known)
    density = 100.0 * float(known[scored].mean()) if scored.any() else math.nan
    return {
        "num_pixels": int(scored.sum()),
        **depth_metrics(pred_m, truth_m[0].numpy(), scored),
        "density": density,
    }


def _filled_depth(
    protocol: Protocol, rig: Rig, disparity: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    _, measurable = disparity_to_depth(torch.from_numpy(disparity)[None], rig)
    known = known & measurable[0].numpy()
    filled = torch.from_numpy(fill_holes(disparity, known))[None]
    depth_m, found = disparity_to_depth(filled, rig)
    depth_m = torch.where(found, depth_m, protocol.max_depth_m).clamp(protocol.min_depth_m, protocol.max_depth_m)
    return depth_m[0].numpy(), known


def _score_all(
    dataset: Any, protocol: Protocol, source: Source, rig: Rig | None, report: Report
) -> list[dict[str, Any]]:
    num_pairs = len(dataset) if protocol.limit is None else min(len(dataset), protocol.limit)
    per_image = []
    for index in range(num_pairs):
        pair = dataset.load(index)
        pair = pair if rig is None else replace(pair, rig=rig_at(rig, pair.size))
        if bool(pair.left.valid.any()):
            scores = score_image(protocol, pair, *source(_as_seen(pair, protocol.grey)))
            if scores["num_pixels"]:
                per_image.append({"name": str(pair.name), **scores})
        report(index + 1, num_pairs)
    if not per_image:
        raise UserError(f"none of the {num_pairs} pairs has ground truth that protocol {protocol.full_name} can score")
    if len(per_image) < num_pairs:
        num_left = num_pairs - len(per_image)
        logger.warning("%d of %d pairs have no ground truth to score and were passed over", num_left, num_pairs)
    return per_image


def _result(per_image: list[dict[str, Any]], protocol: Protocol, name: str) -> dict[str, Any]:
    metrics = mean_metrics([{key: row[key] for key in protocol.metrics} for row in per_image])
    if protocol.kind == "stereo":
        metrics |= _pooled(per_image)
    return {
        "protocol": protocol.full_name,
        "num_images": len(per_image),
        "metrics": _for_json(metrics),
        "weights": name,
        "per_image": [_for_json(row) for row in per_image],
    }


def _pooled(per_image: list[dict[str, Any]]) -> dict[str, float]:
    """EPE and D1 with every pixel of the data set counting the same."""
    num_pixels = np.array([row["num_pixels"] for row in per_image], dtype=np.float64)
    num_predicted = num_pixels * np.array([row["density"] for row in per_image]) / 100
    epe = np.array([row["epe"] for row in per_image])
    d1 = np.array([row["d1"] for row in per_image])
    total = num_predicted.sum()
    return {
        "epe_pooled": float(np.nansum(epe * num_predicted) / total) if total else math.nan,
        "d1_pooled": float((d1 * num_pixels).sum() / num_pixels.sum()),
    }


def _for_json(values: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def _as_seen(pair: StereoPair, grey: bool) -> StereoPair:
    if not grey:
        return pair
    weights = torch.tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)  # ITU-R BT.601, as cameras and OpenCV do

    def to_grey(view):
        return replace(view, image=(view.image * weights).sum(0, keepdim=True).expand(3, -1, -1))

    return replace(pair, left=to_grey(pair.left), right=to_grey(pair.right))


def _open(data: Any, rig: Rig | None, limit: int | None) -> Any:
    return data if hasattr(data, "load") else open_dataset(data, rig=rig, limit=limit)
