"""The cameras of a rig as they are, before rectification: lenses, and how the two stand to each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from stereodistill.errors import UserError

Model = Literal["pinhole", "fisheye"]
"""`pinhole`: OpenCV's polynomial lens (4, 5, 8, 12 or 14 coefficients); `fisheye`: Kannala and Brandt's (4)."""

_ASPECT_TOLERANCE_PX = 1.0


class Unusable(UserError):
    """Pictures were read and the board was seen, but no calibration that may be used comes out of them."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Camera:
    """One lens: `matrix` (3, 3) and `distortion` (n,) in OpenCV's order, float64, for pictures of `size` (h, w)."""

    matrix: np.ndarray
    distortion: np.ndarray
    model: Model
    size: tuple[int, int]

    def scaled_to(self, size: tuple[int, int]) -> Camera:
        """The same lens after its pictures were resized to `size` (height, width)."""
        return replace(self, matrix=_scaling(self.size, size) @ self.matrix, size=size)


@dataclass(frozen=True, eq=False, kw_only=True)
class RectifiedViews:
    """A rectification that a file brings along: rotations (3, 3) and projections (3, 4) in metres, and its size."""

    rotation_left: np.ndarray
    rotation_right: np.ndarray
    projection_left: np.ndarray
    projection_right: np.ndarray
    size: tuple[int, int]

    def scaled_to(self, size: tuple[int, int]) -> RectifiedViews:
        """The same rectification with pictures of `size` (height, width)."""
        scaling = _scaling(self.size, size)
        left, right = scaling @ self.projection_left, scaling @ self.projection_right
        return replace(self, projection_left=left, projection_right=right, size=size)


@dataclass(frozen=True, eq=False, kw_only=True)
class StereoCalibration:
    """A raw rig: `x_right = rotation @ x_left + translation_m`, x in metres, right, down and forward of a camera.

    `source` names where it comes from; `notes` say in words what had to be concluded (a unit, a scaling).
    """

    left: Camera
    right: Camera
    rotation: np.ndarray
    translation_m: np.ndarray
    source: str
    notes: tuple[str, ...] = ()
    rectified: RectifiedViews | None = None

    @property
    def baseline_m(self) -> float:
        """The distance of the two cameras in metres."""
        return float(np.linalg.norm(self.translation_m))

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the raw pictures."""
        return self.left.size

    def scaled_to(self, size: tuple[int, int]) -> StereoCalibration:
        """The same rig after its pictures were resized to `size` (height, width).

        Raises:
            UserError: another aspect, so that the pictures were cropped or come from another camera.
        """
        if size == self.size:
            return self
        (height, width), (new_height, new_width) = self.size, size
        if abs(new_width * height / width - new_height) > _ASPECT_TOLERANCE_PX:
            raise UserError(
                f"{self.source} holds for pictures of {width}x{height}, these are {new_width}x{new_height}: another "
                "aspect, so not only resized; calibrate at this resolution"
            )
        note = f"calibrated at {width}x{height}, scaled to pictures of {new_width}x{new_height}"
        scale = new_width / width
        rectified = self.rectified
        if rectified is not None:
            rectified = rectified.scaled_to((round(rectified.size[0] * scale), round(rectified.size[1] * scale)))
        return replace(
            self,
            left=self.left.scaled_to(size),
            right=self.right.scaled_to(size),
            rectified=rectified,
            notes=(*self.notes, note),
        )

    def swapped(self) -> StereoCalibration:
        """The same rig with left and right exchanged."""
        rectified = self.rectified
        if rectified is not None:
            rectified = RectifiedViews(
                rotation_left=rectified.rotation_right,
                rotation_right=rectified.rotation_left,
                projection_left=rectified.projection_right,
                projection_right=rectified.projection_left,
                size=rectified.size,
            )
        return replace(
            self,
            left=self.right,
            right=self.left,
            rotation=self.rotation.T,
            translation_m=-self.rotation.T @ self.translation_m,
            rectified=rectified,
        )


def _scaling(old: tuple[int, int], new: tuple[int, int]) -> np.ndarray:
    """(3, 3): where a point of the old picture lies in the resized one; pixel centres are whole numbers."""
    y, x = new[0] / old[0], new[1] / old[1]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1.0]])
