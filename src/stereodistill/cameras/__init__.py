"""Raw cameras: their calibration in every dialect, and the rectification that follows from it."""

from stereodistill.cameras.dialects import read_calibration
from stereodistill.cameras.model import Camera, RectifiedViews, StereoCalibration
from stereodistill.cameras.rectification import Rectification, stereo_rectify

__all__ = ["Camera", "Rectification", "RectifiedViews", "StereoCalibration", "read_calibration", "stereo_rectify"]
