"""One rigid correction of a nearly rectified rig, from matches of many pairs.

The right camera of a bumped rig is turned against the left one (pitch, yaw, roll), shows a slightly larger or shifted
picture (zoom, y-offset), and stands a little lower or further ahead (the baseline's direction).  One homography per
view can undo all of it.  What rows cannot tell, the shift along them, is left as it is at the picture's centre.

Yaw and the baseline's direction are always estimated, since the other parameters would take their place and be wrong
(pitch and y-offset above all).  They are undone only where rows ask for it: they bend pictures along the rows, where
nothing can be checked, and what looks like them in good rigs is the remainder of a lens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from stereodistill.cameras.matches import WORKING_WIDTH, Matches

PARAMETERS = ("pitch", "y_offset", "roll", "zoom", "yaw", "baseline_roll", "baseline_yaw")
_NUM_SAFE = 4
"""The first so many are always undone."""
_BENT_PX, _WORTHWHILE = 0.35, 0.8
"""The others are, too, where rows would else be off by more than this, and come down to this share by it."""
_PRIOR = np.array([np.radians(0.5), 0.01, np.radians(2), 0.02, np.radians(0.5), np.radians(0.5), np.radians(0.5)])
"""Standard deviations: angles, y-offset in focal lengths, zoom as a share; they decide only what matches cannot."""
_NOISE_PX = 0.3
_NUM_STEPS = 24
_NUM_DRAWS = 200
_FEW_PAIRS = 4


@dataclass(frozen=True, kw_only=True)
class Correction:
    """How the right view lies to the left one; what `homographies` undo.

    `values` are the `PARAMETERS` (radians, focal lengths, share), `focal_px` and `size` (height, width) the camera's.
    `spread` holds one standard deviation of each of the figures that `figures` names.
    """

    values: np.ndarray
    focal_px: float
    size: tuple[int, int]
    shift_px: float = 0.0
    """Columns by which the right view moves left, so that what is far away has no negative disparity."""
    bends: bool = False
    """Whether yaw and the baseline's direction are undone, too."""
    spread: dict[str, float]

    def homographies(self) -> tuple[np.ndarray, np.ndarray]:
        """(left, right), each (3, 3): raw point -> mended point; the centre's column stays in both views."""
        return _homographies(_undone(self.values, self.bends), self.focal_px, self.size, self.shift_px)

    def figures(self) -> dict[str, float]:
        """`y_offset_px` (right lies lower, at the centre), `pitch_deg` (that as an angle), `roll_deg`, `zoom`, ..."""
        return _figures(self.values, self.focal_px) | {"doffs_px": self.shift_px}

    def lines(self) -> list[str]:
        """For people."""
        figures, spread = self.figures(), self.spread
        found = [
            f"right lies {figures['y_offset_px']:+.2f} ± {spread['y_offset_px']:.2f} px lower "
            f"(a pitch of {figures['pitch_deg']:+.3f} degrees)",
            f"turned by {figures['roll_deg']:+.3f} ± {spread['roll_deg']:.3f} degrees",
            f"larger by {100 * figures['zoom']:+.3f} ± {100 * spread['zoom']:.3f} %",
        ]
        if self.bends:
            names = ("yaw_deg", "baseline_roll_deg", "baseline_yaw_deg")
            told = ", ".join(f"{n[:-4].replace('_', ' ')} {figures[n]:+.3f} ± {spread[n]:.3f}" for n in names)
            found.append(f"in degrees: {told}")
        if self.shift_px:
            found.append(
                f"shifted by {self.shift_px:.1f} px: the farthest things had disparity {-self.shift_px:.1f} px"
            )
        return found


def estimate(found: list[Matches], focal_px: float) -> Correction:
    """The correction that makes the rows of all pairs agree; robust against wrong matches and single odd pairs."""
    size = found[0].size
    pairs = [_thinned(matches) for matches in found]
    left, right = (np.concatenate([getattr(pair, side) for pair in pairs]) for side in ("left", "right"))
    values = _fit(left, right, focal_px, size)
    straight, bent = (
        float(np.median(np.abs(_rows(_undone(values, bends), left, right, focal_px, size)))) for bends in (False, True)
    )
    limit = _BENT_PX * max(1.0, size[1] / WORKING_WIDTH)
    return Correction(
        values=values,
        focal_px=focal_px,
        size=size,
        spread=_spread(pairs, values, focal_px, size),
        bends=straight > limit and bent < _WORTHWHILE * straight,
    )


def mended(matches: Matches, correction: Correction) -> Matches:
    """The same matches after the correction."""
    left, right = (
        _apply(h, points) for h, points in zip(correction.homographies(), (matches.left, matches.right), strict=True)
    )
    return replace(matches, left=left, right=right)


def _thinned(matches: Matches) -> Matches:
    """Without what is no match at all: rows further off than any rig that is nearly rectified."""
    rows = matches.rows_px
    limit = max(1.0, matches.size[1] / WORKING_WIDTH) * 6
    x = (matches.left[:, 0] / matches.size[1]) - 0.5
    slope, offset = _line(x, rows)
    return matches.select(np.abs(rows - offset - slope * x) < limit)


def _line(x: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    """A line through the rows that half of them may miss (least absolute residuals, reweighted)."""
    design = np.column_stack([x, np.ones_like(x)])
    fitted = np.full(len(rows), np.median(rows)) if len(rows) else rows
    answer = np.zeros(2)
    for _ in range(20):
        weight = np.sqrt(1 / np.maximum(np.abs(rows - fitted), 0.3))
        answer = np.linalg.lstsq(design * weight[:, None], rows * weight, rcond=None)[0]
        fitted = design @ answer
    return float(answer[0]), float(answer[1])


def _undone(values: np.ndarray, bends: bool) -> np.ndarray:
    return values if bends else np.where(np.arange(len(values)) < _NUM_SAFE, values, 0.0)


def _fit(left: np.ndarray, right: np.ndarray, focal_px: float, size: tuple[int, int]) -> np.ndarray:
    """All parameters, by Gauss and Newton with weights that fall with the row error (Cauchy)."""
    values = np.zeros(len(PARAMETERS))
    rows = _rows(values, left, right, focal_px, size)
    for step in range(_NUM_STEPS):
        # From all matches to those that agree: the width of the robust function shrinks to the noise.
        width = max(_NOISE_PX, 3.0 * 0.6**step)
        weight = 1 / (1 + (rows / width) ** 2)
        jacobian = _jacobian(values, left, right, focal_px, size)
        normal = (jacobian * weight[:, None]).T @ jacobian / _NOISE_PX**2 + np.diag(1 / _PRIOR**2)
        gradient = (jacobian * weight[:, None]).T @ rows / _NOISE_PX**2 + values / _PRIOR**2
        change = np.linalg.solve(normal, gradient)
        values = values - change
        rows = _rows(values, left, right, focal_px, size)
        if width == _NOISE_PX and np.abs(change).max() < 1e-7:
            break
    return values


def _spread(pairs: list[Matches], values: np.ndarray, focal_px: float, size: tuple[int, int]) -> dict[str, float]:
    """One standard deviation of each figure over draws of the pairs with replacement (of parts of few pairs)."""
    if len(pairs) < _FEW_PAIRS:
        generator = np.random.default_rng(0)
        pairs = [pair.select(np.isin(part, k)) for pair in pairs
                 for part in [generator.integers(0, 10, len(pair))] for k in range(10)]  # fmt: skip
    parts = []
    for pair in pairs:
        rows = _rows(values, pair.left, pair.right, focal_px, size)
        jacobian = _jacobian(values, pair.left, pair.right, focal_px, size)
        weighted = jacobian / (1 + (rows / _NOISE_PX) ** 2)[:, None] / _NOISE_PX**2
        parts.append((weighted.T @ jacobian, weighted.T @ rows))
    generator = np.random.default_rng(1)
    drawn = []
    for _ in range(_NUM_DRAWS):
        chosen = generator.integers(0, len(parts), len(parts))
        normal = np.sum([parts[i][0] for i in chosen], axis=0) + np.diag(1 / _PRIOR**2)
        gradient = np.sum([parts[i][1] for i in chosen], axis=0) + values / _PRIOR**2
        drawn.append(_figures(values - np.linalg.solve(normal, gradient), focal_px))
    return {name: float(np.std([figures[name] for figures in drawn])) for name in drawn[0]}


def _figures(values: np.ndarray, focal_px: float) -> dict[str, float]:
    pitch, y_offset, roll, zoom, yaw, baseline_roll, baseline_yaw = values
    offset = np.tan(pitch) + y_offset
    degrees = np.degrees([np.arctan(offset), roll, yaw, baseline_roll, baseline_yaw])
    names = ("pitch_deg", "roll_deg", "yaw_deg", "baseline_roll_deg", "baseline_yaw_deg")
    angles = {name: float(value) for name, value in zip(names, degrees, strict=True)}
    return {"y_offset_px": float(offset * focal_px), "zoom": float(zoom), **angles}


def _jacobian(
    values: np.ndarray, left: np.ndarray, right: np.ndarray, focal_px: float, size: tuple[int, int]
) -> np.ndarray:
    """(N, parameters): how the rows change with each of them."""
    columns = []
    for index in range(len(values)):
        step = np.zeros(len(values))
        step[index] = 1e-5
        ahead, behind = (_rows(values + sign * step, left, right, focal_px, size) for sign in (1, -1))
        columns.append((ahead - behind) / 2e-5)
    return np.column_stack(columns)


def _rows(
    values: np.ndarray, left: np.ndarray, right: np.ndarray, focal_px: float, size: tuple[int, int]
) -> np.ndarray:
    first, second = _homographies(values, focal_px, size)
    return _apply(second, right)[:, 1] - _apply(first, left)[:, 1]


def _homographies(
    values: np.ndarray, focal_px: float, size: tuple[int, int], shift_px: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    pitch, y_offset, roll, zoom, yaw, baseline_roll, baseline_yaw = values
    cx, cy = (size[1] - 1) / 2, (size[0] - 1) / 2
    matrix = np.array([[focal_px, 0, cx], [0, focal_px, cy], [0, 0, 1.0]])
    larger = focal_px * (1 + zoom)
    matrix_right = np.array([[larger, 0, cx], [0, larger, cy + y_offset * focal_px], [0, 0, 1.0]])
    # A camera that is turned upwards (positive about x, which points right) shows everything lower: y grows downwards.
    turned = _rotation(pitch, yaw, roll)
    common = _rotation(0.0, baseline_yaw, baseline_roll)
    left = matrix @ common @ np.linalg.inv(matrix)
    right = matrix @ common @ turned.T @ np.linalg.inv(matrix_right)
    middle = np.array([[cx, cy]])
    kept = [_moved(cx - _apply(h, middle)[0, 0]) @ h for h in (left, right)]
    return kept[0], _moved(-shift_px) @ kept[1]


def _rotation(pitch: float, yaw: float, roll: float) -> np.ndarray:
    # About x by -pitch: (0, 0, 1) -> (0, sin pitch, cos pitch), which is lower in the picture.
    return cv2.Rodrigues(np.array([-pitch, yaw, roll]))[0]


def _moved(columns: float) -> np.ndarray:
    return np.array([[1, 0, columns], [0, 1, 0], [0, 0, 1.0]])


def _apply(homography: np.ndarray, points: np.ndarray) -> np.ndarray:
    mapped = points @ homography[:, :2].T + homography[:, 2]
    return mapped[:, :2] / mapped[:, 2:]
