"""The protocol's numbers of one image."""

from __future__ import annotations

import math

import numpy as np

from stereodistill.evaluation.estimate import Estimate
from stereodistill.evaluation.metrics import LOG10_METRICS, depth_metrics, log10_metrics, stereo_metrics, usable
from stereodistill.evaluation.protocols import Protocol
from stereodistill.evaluation.truth import Truth, truth_in_metres, truth_of_pair
from stereodistill.types import Rig, StereoPair

Scores = dict[str, float]


def score_image(
    protocol: Protocol,
    pair: StereoPair,
    estimate: Estimate,
    *,
    truth: Truth | None = None,
) -> Scores:
    """The protocol's metrics of one prediction for the left view of `pair`, and `num_pixels`, the pixels scored.

    Args:
        estimate: the prediction, in whatever unit.
        truth: default: the pair's left disparity.

    The prediction may have another size: it is resized to the truth's.  In a depth protocol, in this order:
    invalid pixels are filled (`fill_holes`; a map without any valid pixel is taken as `max_depth_m` away), turned
    into metres with the pair's rig, scaled if the protocol says so, clamped to [min_depth_m, max_depth_m];
    `density` tells the share that was valid before.  So a sparse method cannot gain by leaving out what is hard.
    """
    truth = truth_of_pair(pair) if truth is None else truth
    if protocol.kind == "stereo":
        return _score_disparity(protocol, truth, estimate.at_size(truth.size), pair.rig)
    return _score_depth(protocol, truth_in_metres(truth, pair), estimate.at_size(truth.size), pair.rig)


def _score_disparity(protocol: Protocol, truth: Truth, estimate: Estimate, rig: Rig) -> Scores:
    disparity, known = estimate.disparity_px(rig)
    scored = truth.valid & usable(truth.values)
    if protocol.max_disparity_px is not None:
        scored &= truth.values < protocol.max_disparity_px
    found = stereo_metrics(disparity, truth.values, scored, known, protocol.thresholds_px)
    return {"num_pixels": int(scored.sum()), **found}


def _score_depth(protocol: Protocol, truth: Truth, estimate: Estimate, rig: Rig) -> Scores:
    scored = protocol.scored_pixels(truth.values) & truth.valid
    pred_m, known = estimate.depth_m(rig, fill=protocol.holes == "fill", scaled=protocol.scaling is not None)
    # Without a single valid pixel nothing could be filled: as far as can be, or, by the older rule, as near.
    missing = protocol.max_depth_m if protocol.holes == "fill" else 0.0
    pred_m = np.where(np.isfinite(pred_m), pred_m, np.float32(missing))
    scores: Scores = {"num_pixels": int(scored.sum())}
    if protocol.scaling == "median":
        scores["scale"] = _median_ratio(pred_m[scored], truth.values[scored]) if known.any() else math.nan
        pred_m = pred_m * np.float32(scores["scale"] if math.isfinite(scores["scale"]) else 1.0)
    pred_m = np.clip(pred_m, protocol.min_depth_m, protocol.max_depth_m)
    scores |= depth_metrics(pred_m, truth.values, scored)
    if set(LOG10_METRICS) & set(protocol.metrics):
        scores |= log10_metrics(pred_m, truth.values, scored)
    scores["density"] = 100.0 * float(known[scored].mean()) if scored.any() else math.nan
    return scores


def _median_ratio(pred: np.ndarray, truth: np.ndarray) -> float:
    """NaN where there is nothing to compare, or most of the prediction is 0."""
    if not pred.size or not (middle := float(np.median(pred.astype(np.float64)))) > 0:
        return math.nan
    return float(np.median(truth.astype(np.float64))) / middle
