"""A mono network in a stereo teacher's place: it says something about every pixel, seen by both cameras or not."""

from __future__ import annotations

import warnings

import numpy as np

from stereodistill.predict.mono import CameraWarning, MonoPredictor
from stereodistill.predict.photo import Photo
from stereodistill.predict.teachers import Match


class MonoTeacher:
    """Labels from single pictures, in pixels of the rig that the network was trained for; sure of all it says.

    A `Teacher`, but one that matches nothing: its depth is a guess from what the picture shows.
    """

    def __init__(self, predictor: MonoPredictor, name: str, hash: str):
        self.predictor, self.name, self.hash = predictor, name, hash

    def match(self, left: Photo, right: Photo, name: str = "") -> Match:
        """See `Teacher`; looks at the left picture alone."""
        return self._say(left)

    def match_right(self, left: Photo, right: Photo, name: str = "") -> Match:
        """See `Teacher`; looks at the right picture alone, which is as good a picture of the same scene."""
        return self._say(right)

    def match_both(self, left: Photo, right: Photo, name: str = "") -> tuple[Match, Match]:
        """See `Teacher`."""
        return self._say(left), self._say(right)

    def _say(self, image: Photo) -> Match:
        with warnings.catch_warnings():
            # Disparity of the training rig is what is wanted; nobody asks for metres of this camera.
            warnings.simplefilter("ignore", CameraWarning)
            disparity = self.predictor.predict(image).disparity_px
        return disparity, (disparity > 0).astype(np.float32)
