"""The result of a prediction: metres by the rig's formula, unknown stays unknown, files say what they say."""

import cv2
import numpy as np
import pytest

from stereodistill.errors import UserError
from stereodistill.io.disparity import read_pfm
from stereodistill.predict import DepthMap
from stereodistill.types import Rig

RIG = Rig(focal_px=500.0, baseline_m=0.2, width=100)
DISPARITY = np.array([[10, 0, 5], [np.nan, 20, -3]], np.float32)


@pytest.fixture
def depth() -> DepthMap:
    return DepthMap(disparity_px=DISPARITY, rig=RIG.at_width(3), calibrated=True)


@pytest.fixture
def unknown() -> DepthMap:
    return DepthMap(disparity_px=DISPARITY, rig=Rig.unknown(3), calibrated=False)


def test_depth_is_focal_times_baseline_over_disparity(depth):
    expected = np.array([[0.3, np.nan, 0.6], [np.nan, 0.15, np.nan]], np.float32)  # 500 * 3/100 * 0.2 = 3
    np.testing.assert_allclose(depth.depth_m, expected, rtol=1e-6)
    assert depth.depth_m.dtype == np.float32


def test_a_rig_of_another_width_is_scaled_to_the_map():
    wide = DepthMap(disparity_px=DISPARITY, rig=RIG, calibrated=True)
    assert wide.depth_m[0, 0] == pytest.approx(0.3)


def test_doffs_moves_the_zero():
    shifted = DepthMap(
        disparity_px=DISPARITY, rig=Rig(focal_px=15.0, baseline_m=0.2, width=3, doffs_px=5.0), calibrated=True
    )
    assert shifted.depth_m[0, 0] == pytest.approx(3 / 15)


def test_nothing_known_is_zero_disparity_and_nan_depth(depth):
    assert depth.disparity_px[~depth.valid].tolist() == [0, 0, 0]
    assert np.isnan(depth.depth_m[~depth.valid]).all()


@pytest.mark.parametrize("suffix", ["png", "npy", "ply"])
def test_metres_without_a_rig_are_refused_with_the_way_out(unknown, tmp_path, suffix):
    with pytest.raises(UserError, match="focal length"):
        _ = unknown.depth_m
    with pytest.raises(UserError, match="focal length"):
        unknown.save(tmp_path / f"out.{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["jpg", "pfm"])
def test_without_a_rig_colours_and_disparity_can_be_saved(unknown, tmp_path, suffix):
    assert unknown.save(tmp_path / f"out.{suffix}").stat().st_size > 0


def test_png_holds_256_units_per_metre(tmp_path):
    metres = np.array([[1.0, 100.0, 255.9, 300.0, 1e-4, np.nan]], np.float32)
    depth = DepthMap(disparity_px=1 / metres, rig=Rig(focal_px=1.0, baseline_m=1.0, width=6), calibrated=True)
    stored = cv2.imread(str(depth.save(tmp_path / "depth.png")), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16
    assert stored.tolist() == [[256, 25600, 65510, 0, 1, 0]]


def test_npy_and_pfm_round_trip(depth, tmp_path):
    np.testing.assert_array_equal(np.load(depth.save(tmp_path / "depth.npy")), depth.depth_m)
    assert np.array_equal(read_pfm(depth.save(tmp_path / "disparity.pfm")), depth.disparity_px)


def test_points_project_back_to_their_pixels():
    rng = np.random.default_rng(0)
    disparity = rng.uniform(1, 9, (5, 8)).astype(np.float32)
    image = rng.integers(0, 255, (5, 8, 3), dtype=np.uint8)
    depth = DepthMap(disparity_px=disparity, rig=RIG.at_width(8), calibrated=True, image=image)
    points, colors = depth.points()
    focal_px = 500 * 8 / 100
    rows, columns = np.mgrid[:5, :8]
    np.testing.assert_allclose(points[:, 0] / points[:, 2] * focal_px + 3.5, columns.ravel(), atol=1e-4)
    np.testing.assert_allclose(points[:, 1] / points[:, 2] * focal_px + 2.0, rows.ravel(), atol=1e-4)
    np.testing.assert_allclose(points[:, 2], depth.depth_m.ravel(), rtol=1e-6)
    assert np.array_equal(colors, image.reshape(-1, 3))


def test_ply_holds_only_known_points(depth, tmp_path, read_ply):
    points, colors = read_ply(depth.save(tmp_path / "points.ply"))
    assert points.shape == (3, 3) and colors.shape == (3, 3)


def test_colours_go_from_blue_far_to_red_near_and_black_unknown():
    disparity = np.linspace(1, 50, 200, dtype=np.float32)[None]
    disparity[0, 100] = 0
    picture = DepthMap(disparity_px=disparity, rig=Rig.unknown(200), calibrated=False).colorize()
    assert picture.shape == (1, 200, 3) and picture.dtype == np.uint8
    assert picture[0, 100].tolist() == [0, 0, 0]
    near, far = picture[0, 190].astype(int), picture[0, 20].astype(int)
    assert near[0] > near[2] and far[2] > far[0]


def test_fixed_colour_scale_does_not_depend_on_the_map():
    one = DepthMap(disparity_px=np.array([[5, 50]], np.float32), rig=Rig.unknown(2), calibrated=False)
    two = DepthMap(disparity_px=np.array([[5, 7]], np.float32), rig=Rig.unknown(2), calibrated=False)
    assert np.array_equal(one.colorize(60, 1)[0, 0], two.colorize(60, 1)[0, 0])
    assert not np.array_equal(one.colorize()[0, 1], one.colorize(200, 1)[0, 1])


def test_a_map_that_knows_nothing_is_black():
    nothing = DepthMap(disparity_px=np.zeros((4, 5)), rig=RIG, calibrated=True)
    assert not nothing.colorize().any() and nothing.points()[0].shape == (0, 3)


@pytest.mark.parametrize("name", ["depth.exr", "depth"])
def test_unknown_suffix_names_the_known_ones(depth, tmp_path, name):
    with pytest.raises(UserError, match=r"\.png \.npy \.ply"):
        depth.save(tmp_path / name)
