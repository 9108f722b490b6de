"""Whether a camera has moved on since the picture that was kept last."""

from __future__ import annotations

import cv2
import numpy as np

_WIDTH = 320
_NUM_POINTS = 200
_LEAST_POINTS = 12


class MotionGate:
    """Lets a picture pass when its points have moved by `least_px` (median, full-size pixels) since the last one kept.

    A picture that has too little in common with the last one has moved, too.
    """

    def __init__(self, least_px: float):
        self._least_px = least_px
        self._kept: np.ndarray | None = None
        self._points: np.ndarray | None = None

    def passes(self, picture: np.ndarray) -> bool:
        """Ask in recording order; uint8 or uint16, (H, W) or (H, W, 3)."""
        small, factor = _small(picture)
        if self._kept is not None and not self._has_moved(small, factor):
            return False
        self._kept = small
        self._points = cv2.goodFeaturesToTrack(small, _NUM_POINTS, 0.01, 5)
        return True

    def _has_moved(self, small: np.ndarray, factor: float) -> bool:
        assert self._kept is not None
        if self._points is None or len(self._points) < _LEAST_POINTS or small.shape != self._kept.shape:
            return not np.array_equal(small, self._kept)
        moved, found, _ = cv2.calcOpticalFlowPyrLK(self._kept, small, self._points, None)  # type: ignore[call-overload]
        found = found[:, 0] == 1
        if found.sum() < max(_LEAST_POINTS, 0.3 * len(found)):
            return True
        return float(np.median(np.linalg.norm((moved - self._points)[found], axis=-1))) * factor >= self._least_px


def _small(picture: np.ndarray) -> tuple[np.ndarray, float]:
    """(grey uint8 of `_WIDTH` columns, full-size pixels in one of its pixels)."""
    height, width = picture.shape[:2]
    factor = max(1.0, width / _WIDTH)
    small = cv2.resize(picture, (round(width / factor), max(8, round(height / factor))), interpolation=cv2.INTER_AREA)
    if small.ndim == 3:
        small = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    if small.dtype == np.uint16:
        high = max(1.0, float(np.percentile(small, 99.5)))
        small = np.clip(small * (255 / high), 0, 255).astype(np.uint8)
    return small, factor
