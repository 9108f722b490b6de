"""The result of a prediction: disparity, metres where the rig is known, colours, points, files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import torch

from stereodistill.errors import UserError
from stereodistill.io.disparity import write_disparity
from stereodistill.io.files import write_bytes
from stereodistill.io.images import write_image
from stereodistill.io.points import write_ply
from stereodistill.ops.geometry import disparity_to_depth
from stereodistill.types import Rig

DEPTH_PNG_UNITS_PER_M = 256
"""16-bit depth PNG as KITTI stores it: value = metres * 256, 0 = unknown, so it ends at 255.99 m."""
SUFFIXES = (".png", ".npy", ".ply", ".jpg", ".jpeg", ".pfm")


@dataclass(frozen=True, kw_only=True, eq=False)
class DepthMap:
    """Disparity of one view at the photo's own size, and what it takes to read it as metres.

    `disparity_px` (H, W) float32 in pixels of W, 0 where unknown (NaN is read as 0).  `rig`: see `Rig`, unknown
    rig = no metres.  `calibrated`: the camera was given, not assumed.  `confidence` (H, W) in [0, 1] and
    `image` (H, W, 3) uint8 RGB (colours of the points) are there when the predictor knew them.
    """

    disparity_px: np.ndarray
    rig: Rig
    calibrated: bool
    confidence: np.ndarray | None = None
    image: np.ndarray | None = None

    def __post_init__(self) -> None:
        disparity = np.asarray(self.disparity_px, dtype=np.float32)
        assert disparity.ndim == 2, f"disparity is (H, W), not {disparity.shape}"
        known = np.isfinite(disparity) & (disparity > 0)
        object.__setattr__(self, "disparity_px", np.where(known, disparity, np.float32(0)))
        for extra in (self.confidence, self.image):
            assert extra is None or extra.shape[:2] == disparity.shape

    @property
    def valid(self) -> np.ndarray:
        """(H, W) bool: disparity is known here."""
        return self.disparity_px > 0

    @cached_property
    def depth_m(self) -> np.ndarray:
        """(H, W) float32 distance along the optical axis in metres, NaN where unknown.

        `depth = focal * baseline / (disparity + doffs)`, all at this width.  Raises UserError without a rig.
        """
        depth_m, _ = disparity_to_depth(torch.from_numpy(self.disparity_px)[None], self.rig)
        return depth_m[0].numpy()

    def colorize(self, near_px: float | None = None, far_px: float | None = None) -> np.ndarray:
        """(H, W, 3) uint8 RGB: red is near, blue is far, black unknown.

        `near_px` and `far_px` are the disparities at the ends of the scale; by default the 2nd and 98th
        percentile of this map.
        """
        known = self.disparity_px[self.valid]
        if not known.size:
            return np.zeros((*self.disparity_px.shape, 3), np.uint8)
        low = float(np.percentile(known, 2)) if far_px is None else far_px
        high = float(np.percentile(known, 98)) if near_px is None else near_px
        unit = (self.disparity_px - low) / max(high - low, 1e-6)
        bgr = cv2.applyColorMap(np.rint(unit.clip(0, 1) * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
        return np.where(self.valid[..., None], bgr[..., ::-1], 0).astype(np.uint8)

    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Points (N, 3) float32 in metres, x right, y down, z forward, and their colours (N, 3) uint8.

        Pixels are square and the optical axis meets the image's centre (a rig does not say otherwise).
        """
        depth_m = self.depth_m
        rows, columns = np.nonzero(np.isfinite(depth_m))
        height, width = depth_m.shape
        z = depth_m[rows, columns]
        focal_px = float(self.rig.at_width(width).focal_px)
        x = (columns - (width - 1) / 2) / focal_px * z
        y = (rows - (height - 1) / 2) / focal_px * z
        colors = self.colorize() if self.image is None else self.image
        return np.stack([x, y, z], axis=1).astype(np.float32), colors[rows, columns]

    def save(self, path: str | Path) -> Path:
        """Write by suffix and return the path.

        `.png` 16-bit depth, 256 units per metre, 0 = unknown or beyond 255.99 m; `.npy` float32 depth in metres,
        NaN = unknown; `.ply` coloured points; `.jpg` colour picture; `.pfm` disparity in pixels, 0 = unknown.
        Raises UserError for another suffix, for metres without a rig, and when the disk refuses.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix == ".png":
            write_image(path, depth_to_units(self.depth_m, DEPTH_PNG_UNITS_PER_M))
        elif suffix == ".npy":
            buffer = BytesIO()
            np.save(buffer, self.depth_m, allow_pickle=False)
            write_bytes(path, buffer.getvalue())
        elif suffix == ".ply":
            write_ply(path, *self.points())
        elif suffix in (".jpg", ".jpeg"):
            write_image(path, self.colorize())
        elif suffix == ".pfm":
            write_disparity(path, self.disparity_px)
        else:
            raise UserError(f"cannot save depth as {path.name!r}: the name must end in one of {' '.join(SUFFIXES)}")
        return path


def depth_to_units(depth_m: np.ndarray, units_per_m: int) -> np.ndarray:
    """Depth in metres as uint16 in 1 / `units_per_m` of them; 0 = unknown (NaN, 0) or too far for 16 bits."""
    known = np.isfinite(depth_m) & (depth_m > 0)
    units = np.rint(np.where(known, depth_m, 0) * units_per_m)
    # A surface nearer than half a unit would round to "unknown".
    return np.where(units > np.iinfo(np.uint16).max, 0, np.maximum(units, known)).astype(np.uint16)
