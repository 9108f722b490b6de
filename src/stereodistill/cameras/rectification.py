"""From a raw rig to rectified pictures: two maps, computed once, and the rig that the result has."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stereodistill.cameras.model import Camera, RectifiedViews, StereoCalibration
from stereodistill.errors import UserError
from stereodistill.io.rig_rules import rig_from_projections
from stereodistill.types import Rig

_ORIGIN = np.zeros(3)
_INVERSION_STEPS = 20


@dataclass(frozen=True, eq=False)
class _ViewMap:
    """Where each pixel of a rectified view comes from (OpenCV's fixed-point maps), and which have a source at all."""

    coordinates: np.ndarray
    fractions: np.ndarray
    valid: np.ndarray

    def apply(self, image: np.ndarray) -> np.ndarray:
        return cv2.remap(image, self.coordinates, self.fractions, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


@dataclass(frozen=True, eq=False, kw_only=True)
class Rectification:
    """The maps of a rig; make it with `stereo_rectify`.

    `views` are the rotations and projections in force, `rig` and `cx_px`, `cy_px` (the left view's centre) describe
    the rectified pictures, `raw_size` and `size` are (height, width) before and after.
    """

    views: RectifiedViews
    rig: Rig
    raw_size: tuple[int, int]
    left: _ViewMap
    right: _ViewMap

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the rectified pictures."""
        return self.views.size

    @property
    def cx_px(self) -> float:
        """Column of the left view's principal point."""
        return float(self.views.projection_left[0, 2])

    @property
    def cy_px(self) -> float:
        """Row of both views' principal point."""
        return float(self.views.projection_left[1, 2])

    def apply(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(left, right, valid_left, valid_right): rectified pictures and, (H, W) bool, the pixels that have a source.

        Pictures are (H, W) or (H, W, channels), uint8, uint16 or float32, of `raw_size`; pixels without a source are 0.
        The two masks are the same arrays at every call.
        Raises `UserError` for another size.
        """
        for image in (left, right):
            self._check(image)
        return self.left.apply(left), self.right.apply(right), self.left.valid, self.right.valid

    def undistort_left(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(picture, valid) of the left camera alone, as it looks in rectified pairs; errors as `apply`."""
        self._check(image)
        return self.left.apply(image), self.left.valid

    def _check(self, image: np.ndarray) -> None:
        if image.shape[:2] != self.raw_size:
            (height, width), found = self.raw_size, image.shape
            raise UserError(f"the calibration holds for raw pictures of {width}x{height}, found {found[1]}x{found[0]}")


def stereo_rectify(
    calibration: StereoCalibration, size: tuple[int, int] | None = None, keep_fov: float | None = None
) -> Rectification:
    """The rectification of a raw rig.

    Args:
        size: (height, width) of the rectified pictures; None = of the raw ones, or what the file's own says.
        keep_fov: OpenCV's `alpha` (pinhole) or `balance` (fisheye): 0 = no pixel without a source, 1 = no source
            pixel is lost.  None = the rectification that the file brings along, 0 where it brings none.

    Raises:
        UserError: cameras above each other, cameras exchanged, one pinhole and one fisheye, sizes that differ.
    """
    if keep_fov is not None and not 0 <= keep_fov <= 1:
        raise UserError(f"keep_fov is between 0 (no empty pixels) and 1 (nothing lost), found {keep_fov:g}")
    left, right = calibration.left, calibration.right
    _check_pair(calibration)
    views = calibration.rectified
    if views is None or keep_fov is not None or (size is not None and not _same_aspect(views.size, size)):
        views = _computed(calibration, size or calibration.size, keep_fov or 0.0)
    elif size is not None:
        views = views.scaled_to(size)
    return Rectification(
        views=views,
        rig=rig_from_projections(
            calibration.source, views.projection_left, views.projection_right, width=views.size[1]
        ),
        raw_size=calibration.size,
        left=_view_map(left, views.rotation_left, views.projection_left, views.size),
        right=_view_map(right, views.rotation_right, views.projection_right, views.size),
    )


def rectified_points(camera: Camera, rotation: np.ndarray, projection: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """(N, 2): where points (N, 2) of a raw picture lie in the rectified one; NaN outside of what the lens maps."""
    undistort = cv2.fisheye.undistortPoints if camera.model == "fisheye" else cv2.undistortPoints
    rays = undistort(pixels.reshape(-1, 1, 2), camera.matrix, camera.distortion).reshape(-1, 2)
    if camera.model == "pinhole":  # OpenCV's few steps end short of the goal near the border of a wide lens
        for _ in range(_INVERSION_STEPS):
            there = cv2.projectPoints(_homogeneous(rays), _ORIGIN, _ORIGIN, camera.matrix, camera.distortion)[0]
            rays = rays + (pixels - there.reshape(-1, 2)) / (camera.matrix[0, 0], camera.matrix[1, 1])
    x, y, z = projection[:, :3] @ rotation @ _homogeneous(rays).T
    return np.stack([x, y], axis=1) / np.where(z > 0, z, np.nan)[:, None]


def _homogeneous(rays: np.ndarray) -> np.ndarray:
    return np.column_stack([rays, np.ones(len(rays))])


def _check_pair(calibration: StereoCalibration) -> None:
    left, right, source = calibration.left, calibration.right, calibration.source
    if left.model != right.model:
        raise UserError(
            f"{source}: the left lens is {left.model}, the right {right.model}; one model for both expected"
        )
    if left.size != right.size:
        sizes = " and ".join(f"{camera.size[1]}x{camera.size[0]}" for camera in (left, right))
        raise UserError(f"{source}: both cameras need pictures of one size, found {sizes}")
    half_turn, _ = cv2.Rodrigues(-0.5 * cv2.Rodrigues(calibration.rotation)[0])
    x, y, z = half_turn @ calibration.translation_m  # in a frame half way between both cameras
    if abs(z) > max(abs(x), abs(y)):
        raise UserError(f"{source}: one camera stands in front of the other; such a pair cannot be rectified")
    if abs(y) > abs(x):
        raise UserError(
            f"{source}: the cameras stand above each other (a vertical rig), but rows of a rectified pair run from "
            "camera to camera: turn the pictures by 90 degrees and calibrate the turned ones"
        )
    if x > 0:
        raise UserError(
            f"{source}: its first camera stands to the right of its second one; exchange left and right, of the "
            "pictures and of the calibration"
        )


def _same_aspect(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return abs(a[0] * b[1] / a[1] - b[0]) <= 1


def _computed(calibration: StereoCalibration, size: tuple[int, int], keep_fov: float) -> RectifiedViews:
    left, right = calibration.left, calibration.right
    raw_wh, wh = calibration.size[::-1], size[::-1]
    lenses = (left.matrix, left.distortion, right.matrix, right.distortion)
    pose = (calibration.rotation, calibration.translation_m.reshape(3, 1))
    if left.model == "fisheye":
        found = cv2.fisheye.stereoRectify(
            *lenses, raw_wh, *pose, flags=cv2.CALIB_ZERO_DISPARITY, newImageSize=wh, balance=keep_fov, fov_scale=1.0
        )
    else:
        found = cv2.stereoRectify(
            *lenses, raw_wh, *pose, flags=cv2.CALIB_ZERO_DISPARITY, alpha=keep_fov, newImageSize=wh
        )
    return RectifiedViews(
        rotation_left=found[0],
        rotation_right=found[1],
        projection_left=found[2],
        projection_right=found[3],
        size=size,
    )


def _view_map(camera: Camera, rotation: np.ndarray, projection: np.ndarray, size: tuple[int, int]) -> _ViewMap:
    make = cv2.fisheye.initUndistortRectifyMap if camera.model == "fisheye" else cv2.initUndistortRectifyMap
    new_matrix = projection[:, :3]
    x, y = make(camera.matrix, camera.distortion, rotation, new_matrix, size[::-1], cv2.CV_32FC1)
    height, width = camera.size
    valid = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    if camera.model == "pinhole":
        valid &= ~_beyond_the_fold(camera, rotation, new_matrix, size)
    coordinates, fractions = cv2.convertMaps(x, y, cv2.CV_16SC2)
    return _ViewMap(coordinates, fractions, valid)


def _beyond_the_fold(camera: Camera, rotation: np.ndarray, new_matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool: directions so far out that the lens polynomial, past its peak, leads back into the picture."""
    k1, k2, _, _, k3, k4, k5, k6 = np.concatenate([camera.distortion, np.zeros(8)])[:8]
    radius = np.linspace(0, 10, 2001)
    square = radius**2
    distorted = radius * (1 + square * (k1 + square * (k2 + square * k3)))
    distorted /= 1 + square * (k4 + square * (k5 + square * k6))
    falling = np.flatnonzero(np.diff(distorted) <= 0)
    limit = radius[falling[0]] if falling.size else np.inf
    rows, columns = np.indices(size)
    rays = np.stack([columns, rows, np.ones(size)], axis=-1) @ np.linalg.inv(new_matrix @ rotation).T
    return (rays[..., 2] <= 0) | (np.hypot(rays[..., 0], rays[..., 1]) > limit * rays[..., 2])
