"""How the two views of one pair lie to each other, measured on matched image features."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stereodistill.data.check.order import depth_order

WORKING_WIDTH = 1280
"""Wider images are measured at this width (results are in full-size pixels)."""
MIN_MATCHES = 25
"""With fewer consistent matches nothing is said about a pair."""
NEGATIVE_PX = -1.0
"""Matches further on the wrong side than this (pixels of the working size) are not noise."""
MANY_NEGATIVE = 0.9
"""Share of negative disparities from which the views may be exchanged."""

_NUM_FEATURES = 1500
_RATIO = 0.8  # Lowe 2004: the best match must be clearly better than the second
_INLIER_PX = 3.0  # wide enough for the curvature that lens distortion adds to the straight model
_NUM_DRAWS = 400


@dataclass(frozen=True, kw_only=True)
class ViewGeometry:
    """Matches (x_left, y_left) -> right of one pair in full-size pixels, and what they say.

    Over the whole image the row difference `y_right - y_left` is a smooth function; `rows_px` is that function
    at the matches, so that the noise of single matches is averaged out.
    """

    size: tuple[int, int]
    points: np.ndarray
    """(N, 2) float, (x, y) in the left view."""
    disparity_px: np.ndarray
    """(N,) float, x_left - x_right of the same matches; any sign."""
    rows_px: np.ndarray
    """(N,) float, the smoothed y_right - y_left of the same matches."""
    rotation_deg: float
    """Roll of the right view against the left, from the slope of the row difference along x."""
    depth_order: float = 1.0
    """`order.depth_order`, measured only where nearly all disparities are negative."""

    @property
    def num_matches(self) -> int:
        """Number of consistent matches."""
        return len(self.points)

    @property
    def is_measured(self) -> bool:
        """Whether there are enough matches for a verdict."""
        return self.num_matches >= MIN_MATCHES

    @property
    def unit_px(self) -> float:
        """One pixel of the working size, in full-size pixels: what tolerances are counted in."""
        return max(1.0, self.size[1] / WORKING_WIDTH)

    @property
    def share_negative(self) -> float:
        """Share of matches that lie clearly on the wrong side, 0..1."""
        return float((self.disparity_px < NEGATIVE_PX * self.unit_px).mean())

    @property
    def vertical_offset_px(self) -> float:
        """Median row difference, right minus left."""
        return float(np.median(self.rows_px))

    @property
    def row_error_px(self) -> float:
        """Row difference that one match in ten exceeds: catches offsets, rotation, scale and lens distortion."""
        return float(np.percentile(np.abs(self.rows_px), 90))


def measure_views(left: np.ndarray, right: np.ndarray) -> ViewGeometry:
    """Match two grey images, uint8 (H, W) of one size, and measure the geometry between them."""
    assert left.shape == right.shape and left.dtype == np.uint8, (left.shape, right.shape, left.dtype)
    size = (left.shape[0], left.shape[1])
    factor = max(1.0, size[1] / WORKING_WIDTH)
    if factor > 1:
        target = (WORKING_WIDTH, max(1, round(size[0] / factor)))
        left, right = (cv2.resize(view, target, interpolation=cv2.INTER_AREA) for view in (left, right))
    first, second = _match(left, right)
    rows = second[:, 1] - first[:, 1]
    coordinates = (first - np.array([left.shape[1], left.shape[0]]) / 2) / left.shape[1]
    straight, inlier = _fit_straight(coordinates, rows)
    first, second, rows, coordinates = first[inlier], second[inlier], rows[inlier], coordinates[inlier]
    smooth = _fit_smooth(coordinates, rows) if len(rows) >= MIN_MATCHES else rows
    disparity = first[:, 0] - second[:, 0]
    negative = len(rows) >= MIN_MATCHES and (disparity < NEGATIVE_PX).mean() > MANY_NEGATIVE
    return ViewGeometry(
        size=size,
        points=first * factor,
        disparity_px=disparity * factor,
        rows_px=smooth * factor,
        rotation_deg=float(np.degrees(np.arctan(straight[1] / left.shape[1]))),
        depth_order=depth_order(left, right, first, disparity) if negative else 1.0,
    )


def _match(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mutual nearest SIFT matches that pass the ratio test: two float arrays (N, 2) of (x, y)."""
    sift = cv2.SIFT_create(_NUM_FEATURES)  # type: ignore[attr-defined]
    (keys_l, words_l), (keys_r, words_r) = (sift.detectAndCompute(view, None) for view in (left, right))
    none = np.zeros((0, 2))
    if len(keys_l) < 2 or len(keys_r) < 2:
        return none, none
    # Two words of unit length: the smallest distance is the largest product.
    words_l, words_r = (w / np.maximum(np.linalg.norm(w, axis=1, keepdims=True), 1e-6) for w in (words_l, words_r))
    distance = np.sqrt(np.maximum(2 - 2 * (words_l @ words_r.T), 0))
    best, back = distance.argmin(1), distance.argmin(0)
    nearest = np.partition(distance, 1, axis=1)[:, :2]
    index = np.flatnonzero((back[best] == np.arange(len(best))) & (nearest[:, 0] < _RATIO * nearest[:, 1]))
    points_l, points_r = (np.array([key.pt for key in keys]).reshape(-1, 2) for keys in (keys_l, keys_r))
    return points_l[index], points_r[best[index]]


def _fit_straight(coordinates: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """RANSAC of rows = a + b x + c y: (a, b, c) in pixels per image width, and the (N,) inliers."""
    if len(rows) < 4:
        return np.zeros(3), np.zeros(len(rows), dtype=bool)
    design = np.column_stack([np.ones(len(rows)), coordinates])
    generator = np.random.default_rng(0)
    draws = generator.integers(0, len(rows), (_NUM_DRAWS, 3))  # a point drawn twice is not well posed either
    well_posed = np.abs(np.linalg.det(design[draws])) > 1e-3
    models = np.vstack(
        [np.linalg.solve(design[draws[well_posed]], rows[draws[well_posed]][..., None])[..., 0], np.zeros(3)]
    )
    # A truncated error instead of a count: among models with equal support the tighter one wins (MSAC).
    errors = np.minimum(np.abs(design @ models.T - rows[:, None]), _INLIER_PX).sum(0)
    model = models[errors.argmin()]
    inlier = np.abs(design @ model - rows) < _INLIER_PX
    if inlier.sum() >= 4:
        model = np.linalg.lstsq(design[inlier], rows[inlier], rcond=None)[0]
        inlier = np.abs(design @ model - rows) < _INLIER_PX
    return model, inlier


def _fit_smooth(coordinates: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The (N,) values of a quadratic surface through the row differences, robust by reweighting (Huber)."""
    x, y = coordinates.T
    columns = [np.ones_like(x), x, y]
    if len(rows) >= 3 * MIN_MATCHES:
        columns += [x * x, x * y, y * y]
    design = np.column_stack(columns)
    fitted = np.full(len(rows), np.median(rows))
    for _ in range(8):
        weight = np.sqrt(1 / np.maximum(np.abs(rows - fitted), 0.3))[:, None]
        fitted = design @ np.linalg.lstsq(design * weight, rows[:, None] * weight, rcond=None)[0][:, 0]
    return fitted
