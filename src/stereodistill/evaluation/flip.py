"""Flip post-processing of monocular disparity (Godard et al. 2017, section 3.3)."""

from __future__ import annotations

import numpy as np

BORDER = 0.05
"""Share of the width at either side that one of the two answers alone fills; it fades out over as much again."""


def fuse_flipped(disparity: np.ndarray, of_mirrored: np.ndarray) -> np.ndarray:
    """One map from the answers for an image and for its mirror image, both (H, W) in the same unit.

    A network trained on pairs is poor at the border that the second camera does not see: at the left of the
    image, so at the right of the mirrored one turned back.  The left border is therefore taken from the mirrored
    answer, the right border from the plain one, everything between is the mean, with linear ramps.
    Where one answer is unknown (0), the other stands alone.

    Returns:
        (H, W), float32.
    """
    assert disparity.shape == of_mirrored.shape, f"{disparity.shape} and {of_mirrored.shape}"
    turned = of_mirrored[:, ::-1]
    place = np.linspace(0, 1, disparity.shape[1])
    left = 1 - np.clip((place - BORDER) / BORDER, 0, 1)
    share = 0.5 * (1 + left - left[::-1])
    fused = share * turned + (1 - share) * disparity
    fused = np.where(disparity > 0, np.where(turned > 0, fused, disparity), turned)
    return fused.astype(np.float32)
