"""A rig that photographs boards: rays through real lenses to a flat board, worked out here and not with OpenCV."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest

from stereodistill.cameras import Camera, StereoCalibration
from stereodistill.io.images import write_image

SIZE = (360, 480)
# Where the middle of the board is, in metres from the left camera, and how it is turned (rotation vector).
POSES = (
    (0.05, 0.00, 0.50, 0.0, 0.0, 0.05), (-0.03, -0.05, 0.55, 0.5, 0.0, 0.0), (0.16, -0.05, 0.55, 0.0, 0.5, 0.1),
    (0.16, 0.06, 0.55, -0.5, 0.1, 0.0), (-0.03, 0.06, 0.55, 0.1, -0.5, -0.1), (0.06, 0.02, 0.42, 0.35, 0.3, 0.0),
    (0.06, -0.06, 0.62, -0.4, 0.4, 0.3), (-0.06, 0.00, 0.66, 0.3, -0.4, -0.2), (0.20, 0.00, 0.66, 0.4, 0.5, 0.1),
    (0.02, 0.09, 0.60, -0.5, -0.3, 0.2), (0.12, -0.09, 0.60, 0.5, -0.2, 0.0), (0.06, 0.00, 0.75, 0.0, -0.6, 0.4),
)  # fmt: skip


def camera(fx, fy, cx, cy, distortion, model="pinhole"):
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
    return Camera(matrix=matrix, distortion=np.array(distortion), model=model, size=SIZE)


PINHOLE = StereoCalibration(
    left=camera(402, 400, 243, 178, [-0.28, 0.08, 0.0008, -0.0006]),
    right=camera(398, 401, 236, 184, [-0.26, 0.07, -0.0005, 0.0009]),
    rotation=cv2.Rodrigues(np.array([0.01, -0.02, 0.015]))[0],
    translation_m=np.array([-0.12, 0.002, 0.003]),
    source="truth",
)
FISHEYE = replace(
    PINHOLE,
    left=camera(231, 230, 242, 177, [0.02, -0.008, 0.003, -0.001], "fisheye"),
    right=camera(229, 230, 237, 183, [0.018, -0.007, 0.002, -0.0008], "fisheye"),
)


@dataclass(frozen=True)
class Studio:
    """`rig` photographs a board of `columns` x `rows` (of `pattern`) in the given poses."""

    rig: StereoCalibration = PINHOLE
    pattern: str = "chessboard"
    columns: int = 9
    rows: int = 6
    square_m: float = 0.03
    closer: float = 1.0
    poses: tuple = POSES

    def pictures(self):
        """[(left, right)], uint8 (H, W), a little blurred and noisy as from a small camera."""
        texture, origin, middle = self._texture()
        rays = [_rays(self.rig.left), _rays(self.rig.right)]
        generator = np.random.default_rng(0)
        found = []
        for x, y, z, *turn in self.poses:
            rotation, _ = cv2.Rodrigues(np.array(turn))
            shift = np.array([x, y, z * self.closer]) - rotation @ (self.square_m * np.array([*middle, 0]))
            seen_right = self.rig.rotation @ rotation, self.rig.rotation @ shift + self.rig.translation_m
            pair = []
            for ray, (turned, moved) in zip(rays, ((rotation, shift), seen_right), strict=True):
                # depth * ray = turned @ (u, v, 0) + moved
                solve = np.linalg.inv(np.column_stack([turned[:, :2], moved]))
                u, v, nearness = np.tensordot(solve, ray, 1)
                u, v = u / nearness, v / nearness
                u, v = (self._step * n / self.square_m - 0.5 for n in (u, v))
                maps = [(n + o).astype(np.float32) for n, o in zip((u, v), origin, strict=True)]
                picture = cv2.remap(texture, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=90)
                picture = cv2.GaussianBlur(picture, (0, 0), 0.6) + generator.normal(0, 0.7, SIZE)
                pair.append(np.clip(picture, 0, 255).round().astype(np.uint8))
            found.append(tuple(pair))
        return found

    def write(self, folder, change=lambda left, right: (left, right)):
        """left/ and right/ below `folder`; `change` may spoil a pair."""
        for index, pair in enumerate(self.pictures()):
            for side, picture in zip(("left", "right"), change(*pair), strict=True):
                write_image(folder / side / f"{index:02d}.png", picture)
        return folder

    @property
    def _step(self):
        """Pixels of a square in the drawn board."""
        return 70 if self.pattern == "charuco" else 24

    def _texture(self):
        """The board as a picture, where its point (0, 0) is in it, and its middle in squares."""
        step, columns, rows = self._step, self.columns, self.rows
        if self.pattern == "charuco":
            dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_100)
            board = cv2.aruco.CharucoBoard((columns, rows), 1.0, 0.7, dictionary)
            drawn = board.generateImage(((columns + 2) * step, (rows + 2) * step), marginSize=step)
            return drawn, (step, step), (columns / 2, rows / 2)
        if self.pattern == "circles":
            drawn = np.full(((rows + 3) * step, (2 * columns + 3) * step), 255, np.uint8)
            for row in range(rows):
                for column in range(columns):
                    centre = (2 * column + row % 2 + 2, row + 2)
                    # Sixteenths of a pixel, from the middle of the first one.
                    place = tuple(round(16 * (n * step - 0.5)) for n in centre)
                    cv2.circle(drawn, place, round(16 * 0.55 * step), 0, -1, cv2.LINE_AA, 4)
            return drawn, (2 * step, 2 * step), (columns - 0.5, (rows - 1) / 2)
        squares = np.indices((rows + 1, columns + 1)).sum(axis=0) % 2 * 255
        drawn = np.pad(np.kron(squares, np.ones((step, step))), step, constant_values=255).astype(np.uint8)
        return drawn, (2 * step, 2 * step), ((columns - 1) / 2, (rows - 1) / 2)


@functools.cache
def _rays(lens):
    """(3, H, W): the direction that every pixel looks at, by inverting the lens equations point by point."""
    rows, columns = np.indices(SIZE).astype(float)
    x = (columns - lens.matrix[0, 2]) / lens.matrix[0, 0]
    y = (rows - lens.matrix[1, 2]) / lens.matrix[1, 1]
    if lens.model == "fisheye":
        seen = np.hypot(x, y)
        angle = seen.copy()
        for _ in range(50):
            square = angle**2
            k1, k2, k3, k4 = lens.distortion
            angle = seen / (1 + square * (k1 + square * (k2 + square * (k3 + square * k4))))
        stretch = np.where(seen > 1e-12, np.tan(angle) / np.maximum(seen, 1e-12), 1)
        return np.stack([x * stretch, y * stretch, np.ones(SIZE)])
    k1, k2, p1, p2 = lens.distortion
    u, v = x.copy(), y.copy()
    for _ in range(40):
        square = u * u + v * v
        radial = 1 + square * (k1 + square * k2)
        u, v = (
            (x - 2 * p1 * u * v - p2 * (square + 2 * u * u)) / radial,
            (y - 2 * p2 * u * v - p1 * (square + 2 * v * v)) / radial,
        )
    return np.stack([u, v, np.ones(SIZE)])


@pytest.fixture(scope="session")
def studio():
    """The pinhole rig with a 9x6 chessboard; `dataclasses.replace` it for others."""
    return Studio()


@pytest.fixture(scope="session")
def fisheye_rig():
    return FISHEYE
