"""Files to arrays and back: images, disparity, calibration, video, point clouds."""
