from __future__ import annotations

import numpy as np
import pytest

from stereodistill.errors import UserError
from stereodistill.io.velodyne import read_lidar_projection, read_scan

CAMERAS = "S_rect_02: 1242 375\nP_rect_02: 700 0 600 45 0 700 170 0.2 0 0 1 0.003\nR_rect_00: 1 0 0 0 1 0 0 0 1\n"
LIDAR = "calib_time: 15-Mar-2012 11:37:16\nR: 0 -1 0 0 0 -1 1 0 0\nT: 0.01 -0.07 -0.27\n"


@pytest.fixture
def calibration(tmp_path):
    def write(cameras=CAMERAS, lidar=LIDAR):
        paths = tmp_path / "calib_cam_to_cam.txt", tmp_path / "calib_velo_to_cam.txt"
        for path, text in zip(paths, (cameras, lidar), strict=True):
            path.write_text(text)
        return paths

    return write


def test_points_come_back(tmp_path):
    points = np.random.default_rng(0).normal(size=(17, 4)).astype("<f4")
    points.tofile(tmp_path / "a.bin")
    assert np.array_equal(read_scan(tmp_path / "a.bin"), points)


@pytest.mark.parametrize(
    ("data", "message"), [(b"\0" * 33, "truncated"), (b"", "empty"), (b"\xff" * 32, "no numbers"), (None, "no file")]
)
def test_damaged_scans_are_one_line(tmp_path, data, message):
    if data is not None:
        (tmp_path / "a.bin").write_bytes(data)
    with pytest.raises(UserError, match=message) as error:
        read_scan(tmp_path / "a.bin")
    assert "\n" not in str(error.value)


def test_projection_of_a_point_by_hand(calibration):
    projection, size = read_lidar_projection(*calibration(), 2)
    # 10 m ahead, 1 m left, 0.5 m up: in the camera (-1 + 0.01, -0.5 - 0.07, 10 - 0.27).
    x, y, z = -0.99, -0.57, 9.73
    expected = (700 * x + 600 * z + 45, 700 * y + 170 * z + 0.2, z + 0.003)
    assert projection @ (10, 1, 0.5, 1) == pytest.approx(expected)
    assert size == (375, 1242)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"cameras": "S_rect_02: 1242 375\n"}, "P_rect_02: with 12 numbers, found 0"),
        ({"lidar": "R: 1 2 3\nT: 0 0 0\n"}, "R: with 9 numbers, found 3"),
        ({"lidar": CAMERAS}, "calib_velo_to_cam.txt: expected a line R:"),
    ],
)
def test_incomplete_calibration_names_file_and_entry(calibration, texts, message):
    with pytest.raises(UserError, match=message):
        read_lidar_projection(*calibration(**texts), 2)
