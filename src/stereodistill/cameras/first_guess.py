"""A first guess of a rig from each camera by itself, near enough for the fit of everything at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from stereodistill.cameras.bundle import Adjusted, Observation, Observed, RigState, adjust, project
from stereodistill.cameras.model import Model, Unusable

_FISHEYE_FOCALS = (0.34, 0.45, 0.27, 0.65, 0.2, 1.0)
"""As shares of the width, the usual ones first: from 290 to 60 degrees across."""
_GOOD_START_PX = 1.0
_WIDEST_TANGENT = 4.0


@dataclass(frozen=True, eq=False)
class OneCamera:
    """One lens by itself; `poses[view]` (6,) from the board to this camera, None where it does not see the board."""

    lens: np.ndarray
    poses: list[np.ndarray | None]
    rms_px: float


def first_lens(
    seen: Sequence[Observation | None], size: tuple[int, int], model: Model, num_coefficients: int
) -> OneCamera:
    """A lens that fits what one camera sees; `Unusable` when the views fix none."""
    views = [view for view in seen if view is not None]
    try:
        fitted = (_fisheye if model == "fisheye" else _pinhole)(views, size, num_coefficients)
    except cv2.error:
        fitted = None
    if fitted is None or not np.isfinite(fitted.rms_px):
        raise Unusable(
            "the views of the board fix no lens: hold it at different angles (tilted by 20 to 45 degrees), near and far"
        )
    poses = iter(fitted.state.poses)
    return OneCamera(fitted.state.lenses[0], [None if view is None else next(poses) for view in seen], fitted.rms_px)


def joined(left: OneCamera, right: OneCamera, model: Model, observed: Observed) -> RigState:
    """Both cameras in one state: of what each pair says about the pose between them, that which most pairs agree with.

    A pair that was not taken at one moment, or in which a detector erred, says something else than all others.
    """
    pairs = [(a, b) for a, b in zip(left.poses, right.poses, strict=True) if a is not None and b is not None]

    def state(relative: np.ndarray) -> RigState:
        return _both(left, right, relative, model)

    candidates = [state(_chain(_inverse(a), b)) for a, b in pairs]
    return min(candidates, key=lambda candidate: float(np.nanmedian(right_errors_px(candidate, observed))))


def right_errors_px(state: RigState, observed: Observed) -> np.ndarray:
    """(views,) root mean squared error of the right camera, NaN where not both see the board."""
    errors = np.full(len(observed), np.nan)
    for number, (pose, (left, right)) in enumerate(zip(state.poses, observed, strict=True)):
        if left is not None and right is not None:
            apart = project(state, pose, 1, right.board_m) - right.pixels
            errors[number] = np.sqrt((apart**2).sum(axis=1).mean())
    return errors


def _both(left: OneCamera, right: OneCamera, relative: np.ndarray, model: Model) -> RigState:
    back = _inverse(relative)
    poses = []
    for a, b in zip(left.poses, right.poses, strict=True):
        if a is None:
            assert b is not None, "a view that no camera sees"
            a = _chain(b, back)
        poses.append(a)
    return RigState(model=model, lenses=(left.lens, right.lens), relative=relative, poses=np.array(poses))


def _pinhole(views: Sequence[Observation], size: tuple[int, int], num_coefficients: int) -> Adjusted:
    boards = [view.board_m.astype(np.float32) for view in views]
    pixels = [view.pixels.astype(np.float32) for view in views]
    flags = 0 if num_coefficients > 4 else cv2.CALIB_FIX_K3
    _, matrix, distortion, turns, shifts = cv2.calibrateCamera(boards, pixels, size[::-1], None, None, flags=flags)
    lens = np.array([matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2], *distortion.ravel()[:num_coefficients]])
    poses = np.array([np.concatenate([turn.ravel(), shift.ravel()]) for turn, shift in zip(turns, shifts, strict=True)])
    return adjust(_alone("pinhole", lens, poses), [[view] for view in views])


def _fisheye(views: Sequence[Observation], size: tuple[int, int], num_coefficients: int) -> Adjusted | None:
    """From several focal lengths: OpenCV's own start is one guess, and fails on lenses far from it."""
    height, width = size
    found = []
    for share in _FISHEYE_FOCALS:
        lens = np.array([share * width, share * width, (width - 1) / 2, (height - 1) / 2, *np.zeros(num_coefficients)])
        poses = [_fisheye_pose(view, lens) for view in views]
        if any(pose is None for pose in poses):
            continue
        fit = adjust(_alone("fisheye", lens, np.array(poses)), [[view] for view in views])
        if (fit.state.lenses[0][:2] > 0).all() and (fit.state.poses[:, 5] > 0).all():  # else its mirror image behind
            found.append(fit)
            if fit.rms_px < _GOOD_START_PX:
                break
    return min(found, key=lambda fit: fit.rms_px, default=None)


def _fisheye_pose(view: Observation, lens: np.ndarray) -> np.ndarray | None:
    matrix = np.array([[lens[0], 0, lens[2]], [0, lens[1], lens[3]], [0, 0, 1]])
    rays = cv2.fisheye.undistortPoints(view.pixels.reshape(-1, 1, 2), matrix, lens[4:8]).reshape(-1, 2)
    ahead = np.isfinite(rays).all(axis=1) & (np.abs(rays).max(axis=1) < _WIDEST_TANGENT)
    if ahead.sum() < 6:
        return None
    solved, turn, shift = cv2.solvePnP(view.board_m[ahead], rays[ahead], np.eye(3), np.zeros(4))
    return np.concatenate([turn.ravel(), shift.ravel()]) if solved and shift[2] > 0 else None


def _alone(model: Model, lens: np.ndarray, poses: np.ndarray) -> RigState:
    return RigState(model=model, lenses=(lens,), relative=np.zeros(6), poses=poses)


def _chain(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(6,): first one, then the other."""
    turn, shift = cv2.composeRT(first[:3], first[3:], second[:3], second[3:])[:2]
    return np.concatenate([turn.ravel(), shift.ravel()])


def _inverse(pose: np.ndarray) -> np.ndarray:
    rotation, _ = cv2.Rodrigues(pose[:3])
    return np.concatenate([-pose[:3], -rotation.T @ pose[3:]])
