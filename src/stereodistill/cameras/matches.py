"""Points of one pair that show the same thing, to a fraction of a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stereodistill.errors import UserError

WORKING_WIDTH = 1280
"""Wider pictures are matched at this width; results are in full-size pixels."""
MIN_MATCHES = 25
"""With fewer matches nothing is said about a pair."""

_NUM_FEATURES = 1500
_RATIO = 0.8  # Lowe 2004: the best match must be clearly better than the second
_WINDOW_PX = 15
_ROUND_TRIP_PX = 0.15
_DRIFT_PX = 1.5
"""Tracking that leads further from where the features matched has slipped to something else."""


@dataclass(frozen=True)
class Matches:
    """`left[i]` and `right[i]`, both (N, 2) float64 (x, y) in full-size pixels; `size` (height, width)."""

    left: np.ndarray
    right: np.ndarray
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.left)

    def select(self, mask: np.ndarray) -> Matches:
        """Those where `mask` (N,) is True."""
        return Matches(self.left[mask], self.right[mask], self.size)

    @property
    def rows_px(self) -> np.ndarray:
        """(N,) `y_right - y_left`: 0 for a rectified pair."""
        return self.right[:, 1] - self.left[:, 1]

    @property
    def disparity_px(self) -> np.ndarray:
        """(N,) `x_left - x_right`: positive for a rectified pair."""
        return self.left[:, 0] - self.right[:, 0]


def match_views(left: np.ndarray, right: np.ndarray) -> Matches:
    """SIFT finds the matches, Lucas-Kanade places them: a feature's own position is only good to half a pixel.

    Args:
        left, right: uint8 or uint16, (H, W) or (H, W, 3), of one size.
    """
    if left.shape[:2] != right.shape[:2]:
        sizes = " and ".join(f"{view.shape[1]}x{view.shape[0]}" for view in (left, right))
        raise UserError(f"the two views must have one size, found {sizes}")
    height, width = left.shape[:2]
    factor = max(1.0, width / WORKING_WIDTH)
    left, right = (_working_view(view, factor) for view in (left, right))
    first, second = _place(left, right, *_features(left, right))
    # The centre of pixel 0 lies at 0 in both sizes, its edge at -0.5.
    first, second = ((points + 0.5) * factor - 0.5 for points in (first, second))
    return Matches(first, second, (height, width))


def _working_view(image: np.ndarray, factor: float) -> np.ndarray:
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if factor > 1:
        size = (WORKING_WIDTH, max(1, round(image.shape[0] / factor)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if image.dtype == np.uint16:  # as bright as a screen would show it; a sensor rarely fills its range
        high = max(1.0, float(np.percentile(image, 99.5)))
        image = np.clip(image.astype(np.float32) * (255 / high), 0, 255).astype(np.uint8)
    return image


def _features(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mutual nearest SIFT matches that pass the ratio test: two float arrays (N, 2) of (x, y)."""
    sift = cv2.SIFT_create(_NUM_FEATURES)  # type: ignore[attr-defined]
    (keys_l, words_l), (keys_r, words_r) = (sift.detectAndCompute(view, None) for view in (left, right))
    if len(keys_l) < 2 or len(keys_r) < 2:
        return np.zeros((0, 2)), np.zeros((0, 2))
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    there = [m for m, n in matcher.knnMatch(words_l, words_r, k=2) if m.distance < _RATIO * n.distance]
    back = {m.queryIdx: m.trainIdx for m in matcher.match(words_r, words_l)}
    mutual = [m for m in there if back.get(m.trainIdx) == m.queryIdx]
    points_l = np.array([keys_l[m.queryIdx].pt for m in mutual]).reshape(-1, 2)
    points_r = np.array([keys_r[m.trainIdx].pt for m in mutual]).reshape(-1, 2)
    return points_l, points_r


def _place(left: np.ndarray, right: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Matches whose right point was found again by tracking, there and back, at a place finer than a pixel."""
    if not len(first):
        return first, second
    options = {
        "winSize": (_WINDOW_PX, _WINDOW_PX), "maxLevel": 0, "flags": cv2.OPTFLOW_USE_INITIAL_FLOW,
        "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-3),
    }  # fmt: skip
    begin = first.astype(np.float32).reshape(-1, 1, 2)
    guess = second.astype(np.float32).reshape(-1, 1, 2)
    placed, found, _ = cv2.calcOpticalFlowPyrLK(left, right, begin, guess.copy(), **options)
    back, again, _ = cv2.calcOpticalFlowPyrLK(right, left, placed, begin.copy(), **options)
    round_trip = np.linalg.norm(back - begin, axis=2)[:, 0]
    drift = np.linalg.norm(placed - guess, axis=2)[:, 0]
    good = (found[:, 0] == 1) & (again[:, 0] == 1) & (round_trip < _ROUND_TRIP_PX) & (drift < _DRIFT_PX)
    return first[good], placed[good, 0].astype(np.float64)
