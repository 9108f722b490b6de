"""From weights and photos to depth: predictors, teachers and the map they return."""

from stereodistill.predict.depth_map import DepthMap
from stereodistill.predict.load import from_pretrained, load_teacher
from stereodistill.predict.mono import CameraWarning, MonoPredictor
from stereodistill.predict.stereo import StereoPredictor
from stereodistill.predict.teachers import Teacher

__all__ = [
    "CameraWarning",
    "DepthMap",
    "MonoPredictor",
    "StereoPredictor",
    "Teacher",
    "from_pretrained",
    "load_teacher",
]
