"""Does a matcher know where it is wrong?  Its confidence against its error, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np

from stereodistill.evaluation.metrics import D1_ERROR_PX, D1_ERROR_SHARE, usable


def confidence_metrics(
    disparity_px: np.ndarray, confidence: np.ndarray, truth_px: np.ndarray, valid: np.ndarray, threshold: float = 0.5
) -> dict[str, float]:
    """How well `confidence` tells right pixels from wrong ones (error > 3 px and > 5 % of the truth).

    Args:
        disparity_px, confidence: (H, W); an unusable disparity counts as wrong, with confidence 0.
        truth_px, valid: (H, W) disparity and where it is known.
        threshold: pixels of at least this confidence are kept.

    Returns:
        `auc`: probability that a right pixel is trusted more than a wrong one (area under the ROC curve, ties count
        half; 0.5 = knows nothing, NaN without wrong or right pixels).  Of the kept pixels, in percent: `precision`
        (share that is right) and `kept` (share of all); `recall` (percent of the right pixels that is kept);
        `d1` without keeping.
    """
    scored = valid & usable(truth_px)
    known = usable(disparity_px)[scored]
    truth = truth_px[scored].astype(np.float64)
    error = np.abs(np.where(known, disparity_px[scored], 0).astype(np.float64) - truth)
    right = known & ~((error > D1_ERROR_PX) & (error > D1_ERROR_SHARE * truth))
    trust = np.where(known, confidence[scored], 0.0)
    kept = trust >= threshold
    return {
        "auc": _auc(trust[right], trust[~right]),
        "precision": _percent(right[kept]),
        "recall": _percent(kept[right]),
        "kept": _percent(kept),
        "d1": _percent(~right),
    }


def _auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """P(positive > negative) + P(equal) / 2 (Mann and Whitney's U), by ranks."""
    if not positive.size or not negative.size:
        return math.nan
    negative = np.sort(negative)
    below, up_to = (np.searchsorted(negative, positive, side=side) for side in ("left", "right"))
    return float((below + up_to).mean() / (2 * negative.size))


def _percent(hits: np.ndarray) -> float:
    return 100.0 * float(hits.mean()) if hits.size else math.nan
