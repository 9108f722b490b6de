"""What a prediction says, in whichever quantity it was given, and its way to metres or pixels at the truth's size.

The quantity that was given is the one that is resized (bilinear): disparity for most methods, as the field does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch

from stereodistill.errors import UserError
from stereodistill.evaluation.metrics import usable
from stereodistill.ops.geometry import depth_to_disparity, disparity_to_depth
from stereodistill.ops.holes import fill_holes
from stereodistill.ops.resize import resize_disparity, resize_mask
from stereodistill.types import Rig

Unit = Literal["disparity-px", "disparity-width", "depth-m", "disparity-relative", "depth-relative"]
"""Pixels of the map's own width; shares of the width; metres; inverse depth and depth up to one unknown factor."""
UNITS: tuple[str, ...] = get_args(Unit)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """`values` (h, w) float32 in `unit`, `valid` (h, w) bool."""

    values: np.ndarray
    valid: np.ndarray
    unit: str = "disparity-px"
    rig: Rig | None = None
    """The cameras by which pixels of disparity become metres, where they are not the pair's own: a monocular network
    keeps the baseline that it learned from."""

    @property
    def is_relative(self) -> bool:
        """Right up to one factor for the whole image."""
        return self.unit.endswith("-relative")

    @property
    def is_inverse(self) -> bool:
        """Larger values are nearer."""
        return self.unit.startswith("disparity")

    def at_size(self, size: tuple[int, int]) -> Estimate:
        """The same at (height, width), shares of the width as pixels of it; holes stay holes."""
        pixels = self
        if self.unit == "disparity-width":
            pixels = replace(self, values=self.values * np.float32(self.values.shape[1]), unit="disparity-px")
        values, valid = at_size(pixels.values, pixels.valid, size)
        if pixels.unit != "disparity-px":
            # Only disparity in pixels grows with the width.
            values = values * np.float32(self.values.shape[1] / size[1])
        return replace(pixels, values=values, valid=valid)

    def disparity_px(self, rig: Rig) -> tuple[np.ndarray, np.ndarray]:
        """(disparity of a pair with `rig` in pixels of this width, where it is known)."""
        if self.is_relative:
            raise UserError(
                f"a stereo protocol scores pixels, and {self.unit} has no scale: give absolute maps (--unit), "
                "or take a depth protocol with scaling=median"
            )
        assert self.unit != "disparity-width", "shares of the width become pixels in at_size"
        depth = torch.from_numpy(self.values)[None]
        if self.unit == "disparity-px":
            if self.rig is None:
                return self.values, self.valid
            depth, _ = disparity_to_depth(depth, self.rig)
        disparity, known = depth_to_disparity(depth, rig)
        return disparity[0].numpy(), self.valid & known[0].numpy()

    def depth_m(self, rig: Rig, *, fill: bool, scaled: bool) -> tuple[np.ndarray, np.ndarray]:
        """(depth, where it was predicted); depth is filled (`fill_holes`) with the background, or NaN in holes.

        In metres, or up to one factor when the prediction or the rig knows no better and `scaled` says that a
        factor will be found.

        Raises:
            UserError: relative depth, or disparity without a rig, and not `scaled`.
        """
        if self.is_relative and not scaled:
            raise UserError(
                f"{self.unit} has no scale: add scaling=median to the protocol, or give the factor to metres (--scale)"
            )
        rig = self.rig or rig
        if self.unit == "disparity-px" and not rig.is_metric and scaled:
            rig = Rig(focal_px=1.0, baseline_m=1.0, width=self.values.shape[1])
        inverse, known = self._inverse_depth(rig)
        holes = ~known
        if fill:
            inverse = fill_holes(torch.from_numpy(inverse), torch.from_numpy(known)).numpy()
        depth = self._as_depth(inverse, rig)
        if not self.is_inverse:
            depth = np.where(holes, depth, self.values)
        return depth if fill else np.where(holes, np.float32(np.nan), depth), known

    def _inverse_depth(self, rig: Rig) -> tuple[np.ndarray, np.ndarray]:
        """Something that falls with depth, for filling, and where it can be turned into depth."""
        if self.unit == "disparity-px":
            _, measurable = disparity_to_depth(torch.from_numpy(self.values)[None], rig)
            return self.values, self.valid & measurable[0].numpy()
        known = self.valid & usable(self.values)
        if self.is_inverse:
            return self.values, known
        return 1 / np.where(known, self.values, np.float32(1)), known

    def _as_depth(self, inverse: np.ndarray, rig: Rig) -> np.ndarray:
        """NaN where `inverse` is 0."""
        if self.unit == "disparity-px":
            depth, _ = disparity_to_depth(torch.from_numpy(inverse)[None], rig)
            return depth[0].numpy()
        return np.where(inverse > 0, 1 / np.where(inverse > 0, inverse, 1), np.float32(np.nan)).astype(np.float32)


def at_size(disparity_px: np.ndarray, valid: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A prediction resized to the ground truth's (height, width); values follow the width, holes stay holes."""
    valid = valid & usable(disparity_px)
    disparity = np.where(valid, disparity_px, 0.0).astype(np.float32)
    if disparity.shape == size:
        return disparity, valid
    resized = resize_disparity(torch.from_numpy(disparity)[None], size)[0].numpy()
    return resized, resize_mask(torch.from_numpy(valid)[None], size)[0].numpy() & (resized > 0)
