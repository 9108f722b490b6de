"""A raw rig with distorted lenses whose pictures are made from a scene of known disparity."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from stereodistill.cameras import Camera, StereoCalibration, stereo_rectify

SIZE = (240, 320)
MARGIN = 160
DISPARITIES = (5, 12, 22)


def scene(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Rectified uint8 views, wider than the picture by `MARGIN` on each side: layers at `DISPARITIES`."""
    height, width = SIZE[0] + 2 * MARGIN, SIZE[1] + 2 * MARGIN
    views = np.zeros((2, height, width), np.uint8)
    for layer, disparity in enumerate(DISPARITIES):
        noise = np.random.default_rng(layer).random((height, width)).astype(np.float32)
        texture = sum(cv2.GaussianBlur(noise, (0, 0), s) * s for s in (1.2, 3.0, 8.0))
        texture = np.roll(cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX), 4 * index, 1).astype(np.uint8)
        mask = np.full((height, width), layer == 0)
        if layer:
            mask[MARGIN + 40 * layer : MARGIN + 40 * layer + 90, 100 * layer : 100 * layer + 180] = True
        mask = np.roll(mask, 4 * index, 1)
        for view, shift in zip(views, (0, -disparity), strict=True):
            moved = np.roll(mask, shift, 1)
            view[moved] = np.roll(texture, shift, 1)[moved]
    return views[0], views[1]


@dataclass(frozen=True)
class RawRig:
    """What the raw cameras see, and their true calibration."""

    calibration: StereoCalibration

    def pair(self, index: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Raw (left, right), uint8 (240, 320); each index is another moment."""
        views = stereo_rectify(self.calibration).views
        sides = (
            (self.calibration.left, views.rotation_left, views.projection_left),
            (self.calibration.right, views.rotation_right, views.projection_right),
        )
        left, right = (self._raw(view, *side) for view, side in zip(scene(index), sides, strict=True))
        return left, right

    def write(self, path: Path, scale: float = 1.0) -> Path:
        """OpenCV's FileStorage with the names of its sample; the baseline in metres times `scale`."""
        rig = self.calibration
        storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
        for name, value in (
            ("image_width", SIZE[1]), ("image_height", SIZE[0]), ("K1", rig.left.matrix), ("D1", rig.left.distortion),
            ("K2", rig.right.matrix), ("D2", rig.right.distortion), ("R", rig.rotation),
            ("T", rig.translation_m.reshape(3, 1) * scale),
        ):  # fmt: skip
            storage.write(name, value)
        storage.release()
        return path

    @staticmethod
    def _raw(view: np.ndarray, camera: Camera, rotation: np.ndarray, projection: np.ndarray) -> np.ndarray:
        y, x = np.indices(SIZE, np.float64)
        points = np.stack([x.ravel(), y.ravel()], axis=1)[:, None]
        where = cv2.undistortPoints(points, camera.matrix, camera.distortion, R=rotation, P=projection)
        where = (where.reshape(*SIZE, 2) + MARGIN).astype(np.float32)
        return cv2.remap(view, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


@pytest.fixture(scope="session")
def raw_rig() -> RawRig:
    """A rig of 0.1 m whose rows are off by about 8 px before rectification."""
    lens = (-0.22, 0.05, 0.0004, -0.0003)
    left = Camera(
        matrix=np.array([[262.0, 0, 158], [0, 261, 118], [0, 0, 1]]), distortion=np.array(lens), model="pinhole",
        size=SIZE,
    )  # fmt: skip
    right = Camera(
        matrix=np.array([[259.0, 0, 163], [0, 258.5, 122], [0, 0, 1]]), distortion=np.array(lens) * 1.1,
        model="pinhole", size=SIZE,
    )  # fmt: skip
    rotation = cv2.Rodrigues(np.array([-0.012, -0.01, 0.02]))[0]
    return RawRig(
        StereoCalibration(
            left=left, right=right, rotation=rotation, translation_m=np.array([-0.1, 0.001, -0.002]), source="test"
        )
    )


@pytest.fixture(scope="session")
def raw_pairs(raw_rig: RawRig) -> list[tuple[np.ndarray, np.ndarray]]:
    """Six raw pairs in order."""
    return [raw_rig.pair(index) for index in range(6)]


@pytest.fixture(scope="session")
def peak_mb() -> Callable[[Callable[[], None]], float]:
    """How much Python memory a function takes at its worst, in MB."""

    def measure(function: Callable[[], None]) -> float:
        tracemalloc.start()
        try:
            function()
            return tracemalloc.get_traced_memory()[1] / 2**20
        finally:
            tracemalloc.stop()

    return measure


@pytest.fixture(scope="session")
def scene_views() -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    """Rectified (left, right), uint8 (240, 320), of a moment of the scene."""

    def views(index: int) -> tuple[np.ndarray, np.ndarray]:
        inner = slice(MARGIN, MARGIN + SIZE[0]), slice(MARGIN, MARGIN + SIZE[1])
        left, right = scene(index)
        return left[inner], right[inner]

    return views
