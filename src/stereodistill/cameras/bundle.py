"""Least squares over a whole rig: both lenses, how the cameras stand, and where the board was in every view.

OpenCV's own `stereoCalibrate` wants the same points in both cameras, and its fisheye twin the same number in every
view; a ChArUco board at the edge of a picture gives neither.  The projections and their derivatives are OpenCV's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from stereodistill.cameras.model import Model

_ITERATIONS = 60
_CONVERGED = 1e-9


@dataclass(frozen=True, eq=False)
class Observation:
    """What one camera sees of the board in one view: (N, 3) on the board in metres, (N, 2) in the picture."""

    board_m: np.ndarray
    pixels: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class RigState:
    """All unknowns.  `lenses[c]` is (4 + n,): fx, fy, cx, cy, distortion; `relative` (6,) takes a point from the
    first camera to the second (rotation vector, translation); `poses` (views, 6) from the board to the first camera.
    """

    model: Model
    lenses: tuple[np.ndarray, ...]
    relative: np.ndarray
    poses: np.ndarray

    def matrix(self, camera: int) -> np.ndarray:
        """(3, 3) of one camera."""
        return _matrix(self.lenses[camera])


@dataclass(frozen=True, eq=False)
class Adjusted:
    """The best state; `errors[view][camera]` (N, 2) in pixels (None = not seen); standard deviations of the unknowns
    in front of the poses, in the order lenses, relative."""

    state: RigState
    errors: list[list[np.ndarray | None]]
    deviations: np.ndarray

    @property
    def rms_px(self) -> float:
        """Root of the mean squared distance between a seen point and its projection, over all of them."""
        distances = [(e**2).sum(axis=1) for view in self.errors for e in view if e is not None]
        return float(np.sqrt(np.concatenate(distances).mean()))


Observed = list[list["Observation | None"]]
"""`[view][camera]`."""


def adjust(start: RigState, observed: Observed) -> Adjusted:
    """Levenberg and Marquardt from `start`; every view must be seen by at least one camera."""
    state, damping = start, 1e-3
    errors, matrix, vector = _linearised(state, observed)
    cost = _cost(errors)
    for _ in range(_ITERATIONS):
        scaled = matrix + damping * np.diag(np.diag(matrix) + 1e-12)
        trial = _moved(state, np.linalg.lstsq(scaled, -vector, rcond=None)[0])
        trial_errors = _errors(trial, observed)
        trial_cost = _cost(trial_errors)
        if not trial_cost < cost:
            damping *= 10
            if damping > 1e9:
                break
            continue
        gained = cost - trial_cost
        state, damping = trial, max(damping / 10, 1e-12)
        errors, matrix, vector = _linearised(state, observed)
        cost = trial_cost
        if gained < _CONVERGED * cost:
            break
    return Adjusted(state, errors, _deviations(matrix, errors, _num_shared(state)))


def project(state: RigState, pose: np.ndarray, camera: int, board_m: np.ndarray) -> np.ndarray:
    """(N, 2): where a camera sees points of the board."""
    return _project(state, pose, camera, board_m)[0]


def _deviations(matrix: np.ndarray, errors: list[list[np.ndarray | None]], num: int) -> np.ndarray:
    num_numbers = sum(e.size for view in errors for e in view if e is not None)
    variance = 2 * _cost(errors) / max(1, num_numbers - len(matrix))
    return np.sqrt(variance * np.clip(np.diag(np.linalg.pinv(matrix, hermitian=True))[:num], 0, None))


def _cost(errors: list[list[np.ndarray | None]]) -> float:
    return 0.5 * sum(float((e**2).sum()) for view in errors for e in view if e is not None)


def _errors(state: RigState, observed: Observed) -> list[list[np.ndarray | None]]:
    return [
        [None if seen is None else project(state, pose, camera, seen.board_m) - seen.pixels
         for camera, seen in enumerate(view)]
        for pose, view in zip(state.poses, observed, strict=True)
    ]  # fmt: skip


def _linearised(state: RigState, observed: Observed) -> tuple[list[list[np.ndarray | None]], np.ndarray, np.ndarray]:
    """Errors, and the normal equations `matrix @ step = -vector`."""
    num_shared = _num_shared(state)
    size = num_shared + 6 * len(observed)
    matrix, vector = np.zeros((size, size)), np.zeros(size)
    errors: list[list[np.ndarray | None]] = []
    starts = np.cumsum([0, *(lens.size for lens in state.lenses)])
    for number, (pose, view) in enumerate(zip(state.poses, observed, strict=True)):
        row: list[np.ndarray | None] = []
        for camera, seen in enumerate(view):
            if seen is None:
                row.append(None)
                continue
            pixels, of_lens, of_relative, of_pose = _project(state, pose, camera, seen.board_m)
            error = pixels - seen.pixels
            columns = [*range(starts[camera], starts[camera + 1])]
            blocks = [of_lens]
            if camera:
                columns += range(starts[-1], starts[-1] + 6)
                blocks.append(of_relative)
            columns += range(num_shared + 6 * number, num_shared + 6 * number + 6)
            jacobian = np.hstack([*blocks, of_pose])
            matrix[np.ix_(columns, columns)] += jacobian.T @ jacobian
            vector[columns] += jacobian.T @ error.ravel()
            row.append(error)
        errors.append(row)
    return errors, matrix, vector


def _project(
    state: RigState, pose: np.ndarray, camera: int, board_m: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pixels (N, 2), and their derivatives by the lens, by `relative` (6) and by the pose (6)."""
    turn, shift = pose[:3], pose[3:]
    by_relative, by_pose = np.zeros((6, 6)), np.eye(6)
    if camera:
        chained = cv2.composeRT(turn, shift, state.relative[:3], state.relative[3:])
        turn, shift = chained[0].ravel(), chained[1].ravel()
        dr_dr1, dr_dt1, dr_dr2, dr_dt2, dt_dr1, dt_dt1, dt_dr2, dt_dt2 = chained[2:]
        by_pose = np.block([[dr_dr1, dr_dt1], [dt_dr1, dt_dt1]])
        by_relative = np.block([[dr_dr2, dr_dt2], [dt_dr2, dt_dt2]])
    lens, points = state.lenses[camera], board_m.reshape(-1, 1, 3)
    matrix, distortion = _matrix(lens), lens[4:]
    if state.model == "fisheye":
        pixels, jacobian = cv2.fisheye.projectPoints(points, turn, shift, matrix, distortion)
        of_lens, of_camera = jacobian[:, :8], jacobian[:, 8:14]
    else:
        pixels, jacobian = cv2.projectPoints(points, turn, shift, matrix, distortion)
        of_lens, of_camera = jacobian[:, 6 : 10 + distortion.size], jacobian[:, :6]
    return pixels.reshape(-1, 2), of_lens, of_camera @ by_relative, of_camera @ by_pose


def _num_shared(state: RigState) -> int:
    return sum(lens.size for lens in state.lenses) + (6 if len(state.lenses) > 1 else 0)


def _moved(state: RigState, step: np.ndarray) -> RigState:
    lenses, start = [], 0
    for lens in state.lenses:
        lenses.append(lens + step[start : start + lens.size])
        start += lens.size
    relative = state.relative
    if len(lenses) > 1:
        relative = relative + step[start : start + 6]
        start += 6
    return replace(state, lenses=tuple(lenses), relative=relative, poses=state.poses + step[start:].reshape(-1, 6))


def _matrix(lens: np.ndarray) -> np.ndarray:
    fx, fy, cx, cy = lens[:4]
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
