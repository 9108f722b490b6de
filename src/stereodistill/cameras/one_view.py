"""Raw photos of one camera of a calibrated rig, as they look in rectified pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stereodistill.cameras.dialects import read_calibration
from stereodistill.cameras.rectification import Rectification, stereo_rectify


class RawCamera:
    """The left camera of a calibration; maps are computed once for each size of photo.

    Raises:
        UserError: as `read_calibration`, at the first photo where the file does not state a size.
    """

    def __init__(self, calibration: str | Path):
        self._calibration = calibration
        self._rectifications: dict[tuple[int, int], Rectification] = {}

    def undistorted(self, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """(picture, seen, focal length in pixels at its width); `seen` (H, W) bool is False where it is empty.

        Raises:
            UserError: a photo that this camera cannot have taken.
        """
        size = (photo.shape[0], photo.shape[1])
        if size not in self._rectifications:
            self._rectifications[size] = stereo_rectify(read_calibration(self._calibration, size=size))
        rectification = self._rectifications[size]
        picture, seen = rectification.undistort_left(photo)
        return picture, seen, float(rectification.rig.focal_px)
