"""Pictures of a known rig, rectified: one row for one thing, at its distance; what cannot be rectified is named."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from stereodistill.cameras import RectifiedViews, stereo_rectify
from stereodistill.cameras.boards import Board
from stereodistill.errors import UserError

BOARD = Board.parse("9x6", 30)


def corners(left, right):
    found = BOARD.detect(left), BOARD.detect(right)
    assert all(found), "the board is not seen"
    return found[0].pixels, BOARD.same_way(*found).pixels


@pytest.mark.parametrize("model", ["pinhole", "fisheye"])
def test_rows_agree_and_disparity_is_distance(studio, fisheye_rig, model):
    scene = replace(studio, poses=studio.poses[:2]) if model == "pinhole" else replace(
        studio, rig=fisheye_rig, closer=0.6, poses=studio.poses[:2]
    )  # fmt: skip
    rectification = stereo_rectify(scene.rig)
    assert rectification.rig.baseline_m == pytest.approx(np.linalg.norm(scene.rig.translation_m))
    for (x, y, z, *turn), pair in zip(scene.poses, scene.pictures(), strict=True):
        left, right, valid_left, valid_right = rectification.apply(*pair)
        a, b = corners(left, right)
        apart = np.abs(a[:, 1] - b[:, 1])
        assert (np.median(apart) < 0.1, apart.max() < 0.6) == (True, True)
        rotation, _ = cv2.Rodrigues(np.array(turn))
        on_board = BOARD.points_m - BOARD.points_m.mean(axis=0)
        true = (on_board @ rotation.T + (x, y, z * scene.closer)) @ rectification.views.rotation_left.T
        distance = rectification.rig.focal_px * rectification.rig.baseline_m / (a[:, 0] - b[:, 0])
        assert np.median(np.abs(distance / true[:, 2] - 1)) < 0.003
        # And along the left camera's rays.
        at = rectification.rig.focal_px * true[:, :2] / true[:, 2:] + (rectification.cx_px, rectification.cy_px)
        assert np.median(np.abs(a - at)) < 0.1
        alone, valid = rectification.undistort_left(pair[0])
        np.testing.assert_array_equal(alone, left)
        np.testing.assert_array_equal(valid, valid_left)
        assert valid_right.mean() > 0.95


def test_nothing_lost_or_nothing_empty(studio):
    cut, whole = (stereo_rectify(studio.rig, keep_fov=share) for share in (0.0, 1.0))
    white = np.full((360, 480, 3), 200, np.uint8)
    for rectification, least, most in ((cut, 0.995, 1.0), (whole, 0.5, 0.95)):
        left, right, valid_left, valid_right = rectification.apply(white, white)
        assert least <= valid_left.mean() <= most
        assert least <= valid_right.mean() <= most
        for view, valid in ((left, valid_left), (right, valid_right)):
            assert (view[valid] == 200).all()  # every pixel that is called valid has a whole source
    assert whole.rig.focal_px < cut.rig.focal_px
    with pytest.raises(UserError, match="keep_fov is between 0"):
        stereo_rectify(studio.rig, keep_fov=1.5)


def test_directions_beyond_the_lens_polynomial_are_not_valid(studio):
    """k1 = -0.28 alone turns back at r = 1.09: what lies farther out must not show the picture a second time."""
    lens = replace(studio.rig.left, distortion=np.array([-0.28, 0, 0, 0]))
    wide = np.array([[100, 0, 240, 0], [0, 100, 180, 0], [0, 0, 1, 0.0]])
    right = wide.copy()
    right[0, 3] = -12
    views = RectifiedViews(rotation_left=np.eye(3), rotation_right=np.eye(3), projection_left=wide,
                           projection_right=right, size=(360, 480))  # fmt: skip
    rectification = stereo_rectify(replace(studio.rig, left=lens, right=lens, rotation=np.eye(3), rectified=views))
    radius = np.hypot(*np.meshgrid(np.arange(480) - 240, np.arange(360) - 180)) / 100
    assert not rectification.left.valid[radius > 1.1].any()
    assert rectification.left.valid[radius < 0.4].all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_kinds_of_pictures(studio, dtype):
    rectification = stereo_rectify(studio.rig, size=(180, 240))
    ramp = np.linspace(10, 200, 480).astype(dtype) * np.ones((360, 1), dtype)
    left, right, valid, _ = rectification.apply(ramp, ramp)
    assert left.shape == right.shape == valid.shape == (180, 240) == rectification.size
    assert left.dtype == dtype
    assert rectification.rig.width == 240
    with pytest.raises(UserError, match="raw pictures of 480x360, found 240x180"):
        rectification.apply(left, right)


def test_the_files_own_rectification_is_used_unless_another_is_asked_for(studio):
    projection = np.array([[300.0, 0, 250, 0], [0, 300, 170, 0], [0, 0, 1, 0]])
    right = projection.copy()
    right[0, 3] = -300 * 0.12
    own = RectifiedViews(rotation_left=np.eye(3), rotation_right=np.eye(3), projection_left=projection,
                         projection_right=right, size=(320, 440))  # fmt: skip
    rig = replace(studio.rig, rectified=own)
    assert (stereo_rectify(rig).rig.focal_px, stereo_rectify(rig).size) == (300, (320, 440))
    assert (stereo_rectify(rig, size=(160, 220)).rig.focal_px) == 150
    assert stereo_rectify(rig, keep_fov=0.0).size == (360, 480)
    assert stereo_rectify(rig, size=(200, 440)).views.rotation_left[0, 1] != 0  # another shape: computed
    np.testing.assert_allclose(stereo_rectify(rig.scaled_to((180, 240))).size, (160, 220))


def test_rigs_that_cannot_be_rectified_are_named(studio):
    rig = studio.rig
    with pytest.raises(UserError, match="above each other .a vertical rig."):
        stereo_rectify(replace(rig, translation_m=np.array([0.002, -0.12, 0.003])))
    with pytest.raises(UserError, match="in front of the other"):
        stereo_rectify(replace(rig, translation_m=np.array([0.002, 0.003, -0.12])))
    with pytest.raises(UserError, match="first camera stands to the right of its second"):
        stereo_rectify(rig.swapped())
    with pytest.raises(UserError, match="left lens is pinhole, the right fisheye"):
        stereo_rectify(replace(rig, right=replace(rig.right, model="fisheye")))
    with pytest.raises(UserError, match="pictures of one size, found 480x360 and 480x300"):
        stereo_rectify(replace(rig, right=replace(rig.right, size=(300, 480))))


def test_swapping_twice_is_nothing(studio):
    again = studio.rig.swapped().swapped()
    np.testing.assert_allclose(again.rotation, studio.rig.rotation)
    np.testing.assert_allclose(again.translation_m, studio.rig.translation_m)
    assert again.left is studio.rig.left
    assert studio.rig.swapped().baseline_m == pytest.approx(studio.rig.baseline_m)


def test_euroc_drone_pairs(real_data):
    """Raw rows are 13 px off; the figure after rectification is taken from matched features."""
    from stereodistill.cameras import read_calibration

    folder = real_data / "euroc_drone_raw_b"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    rectification = stereo_rectify(read_calibration(folder))
    left, right = (cv2.imread(str(folder / f"{side}_img_0.png"), 0) for side in ("left", "right"))
    apart = [_rows_apart(*pair) for pair in ((left, right), rectification.apply(left, right)[:2])]
    assert apart[0] > 5
    assert apart[1] <= 0.5


def _rows_apart(left, right):
    """Median distance of rows of corners tracked from left to right and back."""
    points = cv2.goodFeaturesToTrack(left, 500, 0.01, 8)
    options = {"winSize": (21, 21), "maxLevel": 5}
    there, _, _ = cv2.calcOpticalFlowPyrLK(left, right, points, None, **options)
    back, _, _ = cv2.calcOpticalFlowPyrLK(right, left, there, None, **options)
    kept = np.abs(back - points).max(axis=(1, 2)) < 0.3
    assert kept.sum() > 50
    return float(np.median(np.abs(there - points)[kept][:, 0, 1]))
