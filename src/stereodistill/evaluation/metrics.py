"""The numbers: depth errors (Eigen et al. 2014, Make3D) and stereo errors (KITTI 2015, Middlebury) of one image.

A prediction is invalid where it is NaN, infinite, zero or negative.  Truth is treated the same way, so a
broken ground-truth pixel is never scored.  A metric without a single pixel to be computed from is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

DEPTH_METRICS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "a1", "a2", "a3")
LOG10_METRICS = ("log10", "rmse_log10")
STEREO_METRICS = ("epe", "d1", "bad1", "bad2", "bad3", "density")

D1_ERROR_PX = 3.0
D1_ERROR_SHARE = 0.05


def depth_metrics(pred_m: np.ndarray, truth_m: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """The seven depth metrics of Eigen et al. (2014) over the pixels of `mask`.

    Args:
        pred_m, truth_m: (H, W) depth in metres, already clamped by the protocol.
        mask: (H, W) bool, the pixels to score; pixels without usable truth are dropped from it.

    Returns:
        `abs_rel`, `rmse_log` (ratios), `sq_rel`, `rmse` (metres), `a1 a2 a3` (fractions 0..1).  The errors are
        means over the pixels with a valid prediction; in a1..a3 an invalid prediction counts as a miss.
    """
    _check_shapes(pred_m, truth_m, mask)
    scored = mask & usable(truth_m)
    num_scored = int(scored.sum())
    scored &= usable(pred_m)
    pred, truth = pred_m[scored].astype(np.float64), truth_m[scored].astype(np.float64)
    difference = pred - truth
    ratio = np.maximum(pred / truth, truth / pred)
    return {
        "abs_rel": _mean(np.abs(difference) / truth),
        "sq_rel": _mean(difference**2 / truth),
        "rmse": math.sqrt(_mean(difference**2)),
        "rmse_log": math.sqrt(_mean((np.log(pred) - np.log(truth)) ** 2)),
        **{f"a{n}": _share(ratio < 1.25**n, num_scored) for n in (1, 2, 3)},
    }


def log10_metrics(pred_m: np.ndarray, truth_m: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """The logarithmic errors of the Make3D tables, over the pixels of `mask` where both maps are usable.

    Arguments as `depth_metrics`.  Two different numbers are printed as "log10" in the literature: `log10`, the
    mean of |log10 pred - log10 truth| (Karsch et al. 2014), and `rmse_log10`, the root of the mean square
    (Godard et al. 2019).
    """
    _check_shapes(pred_m, truth_m, mask)
    scored = mask & usable(truth_m) & usable(pred_m)
    difference = np.log10(pred_m[scored].astype(np.float64)) - np.log10(truth_m[scored].astype(np.float64))
    return {"log10": _mean(np.abs(difference)), "rmse_log10": math.sqrt(_mean(difference**2))}


def stereo_metrics(
    pred_px: np.ndarray,
    truth_px: np.ndarray,
    valid: np.ndarray,
    pred_valid: np.ndarray | None = None,
    thresholds_px: Sequence[int] = (1, 2, 3),
) -> dict[str, float]:
    """End-point error, D1 and bad-n of one disparity map.

    Args:
        pred_px, truth_px: (H, W) disparity in pixels of this width.
        valid: (H, W) bool, where the truth is known.
        pred_valid: (H, W) bool, where the prediction claims to know; None = wherever it is finite and positive.
        thresholds_px: the n of bad-n.

    Returns:
        `epe` (px, over pixels where both are valid); `d1` (error > 3 px AND > 5 % of the truth, both strict, as in
        the KITTI 2015 benchmark), `bad1 bad2 bad3` (error > n px, strict) and `density`, in percent of all pixels with
        truth.  An invalid prediction counts as wrong in d1 and bad-n.
    """
    _check_shapes(pred_px, truth_px, valid)
    scored = valid & usable(truth_px)
    num_scored = int(scored.sum())
    scored &= usable(pred_px)
    if pred_valid is not None:
        _check_shapes(pred_px, pred_valid)
        scored &= pred_valid
    truth = truth_px[scored].astype(np.float64)
    error = np.abs(pred_px[scored].astype(np.float64) - truth)
    num_missing = num_scored - error.size

    def percent(wrong: np.ndarray) -> float:
        return 100.0 * _share(wrong, num_scored, num_missing)

    return {
        "epe": _mean(error),
        "d1": percent((error > D1_ERROR_PX) & (error > D1_ERROR_SHARE * truth)),
        **{f"bad{n}": percent(error > n) for n in thresholds_px},
        "density": 100.0 * _share(np.ones(error.size, dtype=bool), num_scored),
    }


def mean_metrics(per_image: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean over images, each image counting the same, of every metric.

    NaN (nothing to compute it from in that image) is left out of that metric's mean; a metric that is NaN in
    every image stays NaN.
    """
    rows = list(per_image)
    keys = dict.fromkeys(key for row in rows for key in row)
    values = {key: np.array([row[key] for row in rows if key in row], dtype=np.float64) for key in keys}
    return {key: _mean(column[~np.isnan(column)]) for key, column in values.items()}


def usable(values: np.ndarray) -> np.ndarray:
    """Bool map of the values that can be a disparity or a depth: finite and greater than zero."""
    return np.isfinite(values) & (values > 0)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else math.nan


def _share(hits: np.ndarray, num_total: int, num_extra: int = 0) -> float:
    return (int(hits.sum()) + num_extra) / num_total if num_total else math.nan


def _check_shapes(first: np.ndarray, *others: np.ndarray) -> None:
    for other in others:
        assert other.shape == first.shape, f"maps of one image differ in shape: {first.shape} and {other.shape}"
