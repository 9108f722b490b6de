"""`sgbm`: OpenCV's semi-global block matching as a teacher that never learned anything (Hirschmueller 2008)."""

from __future__ import annotations

import math
from typing import TypeAlias

import cv2
import numpy as np

from stereodistill.errors import UserError
from stereodistill.io.images import grey_8bit
from stereodistill.io.memory import refuse_larger_than_memory

STEP_PX = 16
"""OpenCV wants the number of disparities in multiples of 16."""
SUB_PIXEL = 16
"""OpenCV stores disparity as fixed point with four fractional bits."""
Checked: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]
DEFAULT_MAX_FRACTION = 0.15
"""Largest disparity looked for by default, in image widths: 192 px at KITTI's 1242."""


class SGBM:
    """Semi-global matching, left-right checked.

    `max_disparity_px`: search range, rounded up to a multiple of 16; None = 15 % of the image width.
    `block_size`: odd side of the matched window.  `tolerance_px`: of the left-right check.
    `uniqueness`: percent by which the best match must beat the second.  `speckle_px`: smaller islands are dropped.
    """

    name = "sgbm"
    kind = "stereo"

    def __init__(
        self,
        max_disparity_px: int | None = None,
        block_size: int = 5,
        tolerance_px: float = 1.0,
        uniqueness: int = 5,
        speckle_px: int = 200,
    ):
        if block_size < 1 or block_size % 2 == 0:
            raise UserError(f"sgbm: block_size must be odd and positive, got {block_size}")
        if max_disparity_px is not None and max_disparity_px < 1:
            raise UserError(f"sgbm: max_disparity_px must be positive, got {max_disparity_px}")
        self.max_disparity_px, self.block_size, self.tolerance_px = max_disparity_px, block_size, tolerance_px
        self.uniqueness, self.speckle_px = uniqueness, speckle_px
        self.options = {
            "max_disparity_px": max_disparity_px,
            "block_size": block_size,
            "tolerance_px": tolerance_px,
            "uniqueness": uniqueness,
            "speckle_px": speckle_px,
        }

    def match(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Disparity of the left view (H, W) float32, 0 where unknown, and its mask `valid` (H, W) bool.

        `left`, `right`: (H, W, 3) float in [0, 1].  Unknown: no unique match, a match outside the right image,
        or one that the matching of the right view does not confirm.
        Raises UserError when the sizes differ or the image is too small for the block and one search step.
        """
        disparity, _, valid = self.match_both(left, right)[0]
        return disparity, valid

    def match_both(self, left: np.ndarray, right: np.ndarray) -> tuple[Checked, Checked]:
        """(disparity, disagreement, valid) of the left and of the right view, otherwise as `match`.

        `disagreement`: pixels between a view's disparity and what the other view says; infinite where unknown.
        """
        if left.shape != right.shape or left.ndim != 3:
            raise UserError(f"sgbm: views of one size (H, W, 3) expected, got {left.shape} and {right.shape}")
        left_8, right_8 = grey_8bit(left), grey_8bit(right)
        num_disparities = self._num_disparities(*left_8.shape)
        from_left = self._match_one_way(left_8, right_8, num_disparities)
        mirrored = self._match_one_way(right_8[:, ::-1], left_8[:, ::-1], num_disparities)
        of_left = self._checked(from_left, mirrored[:, ::-1])
        of_right = self._checked(mirrored, from_left[:, ::-1])
        disparity, disagreement, valid = (np.ascontiguousarray(part[:, ::-1]) for part in of_right)
        return of_left, (disparity, disagreement, valid)

    def _checked(self, ours: np.ndarray, theirs: np.ndarray) -> Checked:
        disagreement = _disagreement(ours, theirs)
        valid = (ours > 0) & (disagreement <= self.tolerance_px)
        return np.where(valid, ours, 0).astype(np.float32), disagreement, valid

    def _num_disparities(self, height: int, width: int) -> int:
        # OpenCV reads beyond its buffers when the block does not fit into the columns that can match.
        room = (width - self.block_size) // STEP_PX
        if room < 1 or height < self.block_size:
            least = (self.block_size, STEP_PX + self.block_size)
            raise UserError(f"sgbm: images of at least {least} (height, width) expected, got {(height, width)}")
        wanted = self.max_disparity_px or width * DEFAULT_MAX_FRACTION
        return STEP_PX * min(math.ceil(wanted / STEP_PX), room)

    def _match_one_way(self, left: np.ndarray, right: np.ndarray, num_disparities: int) -> np.ndarray:
        """Disparity (H, W) float32 of the first view; 0 where nothing was found inside the other image."""
        # Two volumes of 16-bit costs (`MODE_HH`), in the padded picture.
        num_bytes = 4.0 * left.shape[0] * (left.shape[1] + num_disparities) * num_disparities
        size = f"{left.shape[1]} x {left.shape[0]} pixels with a search range of {num_disparities} px"
        refuse_larger_than_memory(num_bytes, f"sgbm: {size}", "give smaller images, or a network as teacher")
        area = self.block_size**2
        matcher = cv2.StereoSGBM.create(
            minDisparity=0,
            numDisparities=num_disparities,
            blockSize=self.block_size,
            P1=8 * area,
            P2=32 * area,
            preFilterCap=63,
            uniquenessRatio=self.uniqueness,
            speckleWindowSize=self.speckle_px,
            speckleRange=1,
            mode=cv2.StereoSGBM_MODE_HH,
        )
        # OpenCV leaves out the first columns (one per disparity): a repeated border lets them match near objects too.
        pad = num_disparities
        views = [cv2.copyMakeBorder(np.ascontiguousarray(v), 0, 0, pad, 0, cv2.BORDER_REPLICATE) for v in (left, right)]
        disparity = matcher.compute(*views)[:, pad:].astype(np.float32) / SUB_PIXEL
        inside = np.arange(disparity.shape[1], dtype=np.float32) - disparity >= 0
        return np.where((disparity > 0) & inside, disparity, 0).astype(np.float32)


def _disagreement(from_left: np.ndarray, from_right: np.ndarray) -> np.ndarray:
    """|d_left(x) - d_right(x - d_left)| (H, W) in pixels; infinite where either is unknown."""
    columns = np.arange(from_left.shape[1])
    matched = np.rint(columns - from_left).astype(np.int64).clip(0, columns.size - 1)
    seen = np.take_along_axis(from_right, matched, axis=1)
    return np.where((from_left > 0) & (seen > 0), np.abs(from_left - seen), np.inf).astype(np.float32)
