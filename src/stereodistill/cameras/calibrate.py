"""Stereo calibration from views of a board: both lenses and how the cameras stand (Zhang 2000), and how good it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from stereodistill.cameras.board_views import BoardView, BoardViews
from stereodistill.cameras.boards import MIN_POINTS, Board, Points
from stereodistill.cameras.bundle import Adjusted, Observation, Observed, RigState, adjust
from stereodistill.cameras.first_guess import first_lens, joined, right_errors_px
from stereodistill.cameras.model import Camera, Model, StereoCalibration, Unusable
from stereodistill.cameras.rectification import Rectification, rectified_points, stereo_rectify
from stereodistill.errors import UserError

MIN_PAIRS = 3
"""Zhang's method needs three poses of the board."""
_PAIRS_FOR_K3 = 10
_OUTLIER, _OUTLIER_PX = 3.0, 0.5
_LARGEST_SHARE_OUT = 1 / 3
_NUM_FOLDS = 4
_STRANGER, _STRANGER_PX = 5.0, 5.0
SMALLEST_TILT_DEG = 5.0
LARGEST_ERROR_PX = 1.0
"""Of reprojection, and of rows after rectification; for pictures up to `_ERROR_WIDTH` wide, in proportion above."""
_ERROR_WIDTH = 1280


@dataclass(frozen=True)
class ViewError:
    """One view: root mean squared reprojection error of each camera (None = not used), and its rows apart."""

    name: str
    left_px: float | None
    right_px: float | None
    rows_px: float | None
    """Median distance of the rows of one point in both rectified pictures."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Calibrated:
    """A calibration and what it was made of."""

    calibration: StereoCalibration
    rectification: Rectification
    board: Board
    views: tuple[BoardView, ...]
    errors: tuple[ViewError, ...]
    left_out: tuple[tuple[str, str], ...]
    rms_px: float
    """Over all points of both cameras."""
    alone_px: tuple[float, float]
    """The same of each camera by itself: what its own lens explains."""
    rows_px: np.ndarray
    """(N,) distance of the rows of every point in both rectified pictures."""
    held_out_rows_px: np.ndarray
    """The same for views that were left out of the fit in turn."""
    focal_deviation: float
    """Standard deviation of the focal length, as a share of it; the larger one of both cameras."""
    baseline_deviation_m: float
    tilts_deg: np.ndarray
    """(views,) angle between the board and the mean board."""

    @property
    def num_pairs(self) -> int:
        """Views in which both cameras see the board."""
        return sum(len(view.common()) >= MIN_POINTS for view in self.views)


def calibrate(found: BoardViews, model: Model = "pinhole", source: str = "calibration") -> Calibrated:
    """Fit both lenses and the pose between the cameras to every view at once; views far off are left out.

    Raises:
        Unusable: too few pairs, views that fix no lens, cameras that do not agree at all.
        UserError: exchanged or mirrored cameras, cameras above each other.
    """
    views, left_out = list(found.views), list(found.left_out)
    _require_pairs(views, left_out)
    _leave_out_strangers(found, views, left_out, model)
    fit = _fit(found, views, model)
    for _ in range(int(len(views) * _LARGEST_SHARE_OUT)):
        worst = _outlier(fit)
        if worst is None or _num_pairs([*views[:worst], *views[worst + 1 :]]) < MIN_PAIRS:
            break
        error = _view_rms(fit)[worst]
        left_out.append((views[worst].name, f"{error:.1f} px off the rig that all others agree on"))
        del views[worst]
        fit = _fit(found, views, model)
    _refuse_mirrored(found, views, model, fit)
    tilts_deg = _tilts(fit.joint.state.poses)
    _require_tilt(tilts_deg)
    calibration = _calibration(fit.joint.state, found.size, source)
    _refuse_exchanged(calibration)
    try:
        rectification = stereo_rectify(calibration)
    except UserError:
        if (reason := too_far_off(fit.joint.rms_px, fit.alone_px, found.size[1])) is not None:
            raise Unusable(reason) from None
        raise
    rows = [_row_distances(calibration, rectification, view) for view in views]
    return Calibrated(
        calibration=calibration,
        rectification=rectification,
        board=found.board,
        views=tuple(views),
        errors=tuple(_view_errors(views, fit.joint, rows)),
        left_out=tuple(left_out),
        rms_px=fit.joint.rms_px,
        alone_px=fit.alone_px,
        rows_px=np.concatenate(rows),
        held_out_rows_px=_held_out(found, views, fit.joint.state),
        focal_deviation=_focal_deviation(fit.joint),
        baseline_deviation_m=float(np.linalg.norm(fit.joint.deviations[-3:])),
        tilts_deg=tilts_deg,
    )


def largest_error_px(width: int) -> float:
    """The error above which a calibration is refused, for pictures of this width."""
    return LARGEST_ERROR_PX * max(1.0, width / _ERROR_WIDTH)


def too_far_off(rms_px: float, alone_px: tuple[float, float], width: int) -> str | None:
    """Why the reprojection error forbids the use of a calibration; None when it does not."""
    bound_px = largest_error_px(width)
    if rms_px <= bound_px:
        return None
    why = "the board is not flat, or the pictures are blurred; or the lens is a fisheye (--model fisheye)"
    if 2 * max(alone_px) < rms_px:
        why = (
            f"each camera by itself comes to {max(alone_px):.2f} px, so the two did not take their pictures at the "
            "same moment, or were moved against each other"
        )
    return f"the reprojection error is {rms_px:.2f} px, at most {bound_px:.2g} px are accepted: {why}"


@dataclass(frozen=True, eq=False)
class _Fit:
    joint: Adjusted
    alone_px: tuple[float, float]


def _start(
    found: BoardViews, views: Sequence[BoardView], model: Model
) -> tuple[RigState, Observed, tuple[float, float]]:
    num_coefficients = 5 if model == "pinhole" and len(views) >= _PAIRS_FOR_K3 else 4
    observed = _observed(found.board, views)
    left, right = (
        first_lens([view[camera] for view in observed], found.size, model, num_coefficients) for camera in (0, 1)
    )
    return joined(left, right, model, observed), observed, (left.rms_px, right.rms_px)


def _fit(found: BoardViews, views: Sequence[BoardView], model: Model) -> _Fit:
    start, observed, alone_px = _start(found, views, model)
    return _Fit(adjust(start, observed), alone_px)


def _leave_out_strangers(
    found: BoardViews, views: list[BoardView], left_out: list[tuple[str, str]], model: Model
) -> None:
    """Take away pairs that say something else about the rig than most do, before they bend the fit."""
    start, observed, _ = _start(found, views, model)
    errors = right_errors_px(start, observed)
    bound_px = max(_STRANGER_PX, _STRANGER * float(np.nanmedian(errors)))
    for index in np.flatnonzero(errors > bound_px)[::-1].tolist():
        if _num_pairs(views) > MIN_PAIRS:
            left_out.append((views[index].name, f"{errors[index]:.1f} px off the rig that all others agree on"))
            del views[index]


def _observed(board: Board, views: Sequence[BoardView]) -> Observed:
    def seen(points: Points | None) -> Observation | None:
        return None if points is None else Observation(board.points_m[points.ids], points.pixels)

    return [[seen(points) for points in view.points] for view in views]


def _num_pairs(views: Sequence[BoardView]) -> int:
    return sum(len(view.common()) >= MIN_POINTS for view in views)


def _require_pairs(views: Sequence[BoardView], left_out: Sequence[tuple[str, str]]) -> None:
    num_pairs = _num_pairs(views)
    if num_pairs < MIN_PAIRS:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out[:3])
        shown = "1 pair shows" if num_pairs == 1 else f"{num_pairs} pairs show"
        raise Unusable(
            f"{shown} the board to both cameras; at least {MIN_PAIRS} in different poses are needed, 15 to 20 are good"
            f"{f' ({reasons})' if reasons else ''}"
        )


def _view_rms(fit: _Fit) -> np.ndarray:
    """(views,) the larger error of both cameras."""
    return np.array([max(_rms(error) for error in view if error is not None) for view in fit.joint.errors])


def _rms(error: np.ndarray) -> float:
    return float(np.sqrt((error**2).sum(axis=1).mean()))


def _outlier(fit: _Fit) -> int | None:
    errors = _view_rms(fit)
    worst = int(errors.argmax())
    return worst if errors[worst] > max(_OUTLIER_PX, _OUTLIER * float(np.median(errors))) else None


def _calibration(state: RigState, size: tuple[int, int], source: str) -> StereoCalibration:
    cameras = [Camera(matrix=state.matrix(c), distortion=state.lenses[c][4:].copy(), model=state.model, size=size)
               for c in (0, 1)]  # fmt: skip
    rotation, _ = cv2.Rodrigues(state.relative[:3])
    return StereoCalibration(left=cameras[0], right=cameras[1], rotation=rotation, translation_m=state.relative[3:],
                             source=source)  # fmt: skip


def _row_distances(calibration: StereoCalibration, rectification: Rectification, view: BoardView) -> np.ndarray:
    """(N,) pixels; empty for a view that one camera sees alone."""
    common = view.common()
    if view.left is None or view.right is None or not common.size:
        return np.zeros(0)
    views = rectification.views
    left = rectified_points(calibration.left, views.rotation_left, views.projection_left, view.left.only(common).pixels)
    right = rectified_points(calibration.right, views.rotation_right, views.projection_right,
                             view.right.only(common).pixels)  # fmt: skip
    return np.abs(left[:, 1] - right[:, 1])


def _held_out(found: BoardViews, views: Sequence[BoardView], state: RigState) -> np.ndarray:
    """Rows of views that the fit has not seen; empty when too few would be left to fit."""
    pairs = [index for index, view in enumerate(views) if len(view.common()) >= MIN_POINTS]
    num_folds = min(_NUM_FOLDS, len(pairs))
    if len(pairs) - -(-len(pairs) // max(1, num_folds)) < MIN_PAIRS:
        return np.zeros(0)
    rows = []
    for fold in range(num_folds):
        held = set(pairs[fold::num_folds])
        kept = [index for index in range(len(views)) if index not in held]
        start = replace(state, poses=state.poses[kept])
        refit = adjust(start, _observed(found.board, [views[index] for index in kept]))
        calibration = _calibration(refit.state, found.size, "")
        rectification = stereo_rectify(calibration)
        rows += [_row_distances(calibration, rectification, views[index]) for index in held]
    return np.concatenate(rows)


def _view_errors(views: Sequence[BoardView], joint: Adjusted, rows: Sequence[np.ndarray]) -> list[ViewError]:
    found = []
    for view, (left, right), distances in zip(views, joint.errors, rows, strict=True):
        left_px, right_px = (None if error is None else _rms(error) for error in (left, right))
        found.append(ViewError(view.name, left_px, right_px, float(np.median(distances)) if distances.size else None))
    return found


def _focal_deviation(joint: Adjusted) -> float:
    shares, start = [], 0
    for lens in joint.state.lenses:
        shares += [joint.deviations[start] / lens[0], joint.deviations[start + 1] / lens[1]]
        start += lens.size
    return float(max(shares))


def _tilts(poses: np.ndarray) -> np.ndarray:
    normals = np.array([cv2.Rodrigues(pose[:3])[0][:, 2] for pose in poses])
    mean = normals.sum(axis=0)
    mean /= max(1e-12, float(np.linalg.norm(mean)))
    return np.degrees(np.arccos(np.clip(normals @ mean, -1, 1)))


def _require_tilt(tilts_deg: np.ndarray) -> None:
    if tilts_deg.max() < SMALLEST_TILT_DEG:
        raise Unusable(
            f"the board has nearly one direction in all views (they differ by {tilts_deg.max():.1f} degrees): focal "
            "length and distance cannot be told apart; tilt it by 20 to 45 degrees, to all sides"
        )


def _refuse_exchanged(calibration: StereoCalibration) -> None:
    x, y, _ = calibration.translation_m
    if x > 0 and x > abs(y):
        raise UserError(
            "the pictures given as left come from the camera that stands on the right: exchange the two (--layout rl "
            "or bt for pictures with both views in one); or all pictures are mirrored"
        )


def _refuse_mirrored(found: BoardViews, views: Sequence[BoardView], model: Model, fit: _Fit) -> None:
    """One mirrored camera: each calibrates well by itself, and both together only when one is turned back."""
    if found.board.pattern != "chessboard" or fit.joint.rms_px < max(1.0, 3 * max(fit.alone_px)):
        return
    width = found.size[1]

    def turned(view: BoardView) -> BoardView:
        if view.left is None or view.right is None:
            return view
        pixels = view.right.pixels * (-1, 1) + (width - 1, 0)
        grid = pixels.reshape(found.board.rows, found.board.columns, 2)[:, ::-1].reshape(-1, 2)
        return replace(view, right=found.board.same_way(view.left, Points(view.right.ids, grid)))

    try:
        again = _fit(found, [turned(view) for view in views], model)
    except UserError:
        return
    if again.joint.rms_px < 0.5 * fit.joint.rms_px:
        raise UserError(
            "the pictures of one camera are mirrored and those of the other are not: record both without a flip, or "
            "flip the mirrored ones back"
        )
