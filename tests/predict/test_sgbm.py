"""SGBM as a teacher: right where it speaks, silent where it cannot know."""

import cv2
import numpy as np
import pytest
import torch

from stereodistill.errors import UserError
from stereodistill.ops.holes import fill_rows
from stereodistill.predict.sgbm import SGBM


def _texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).random((height, width, 3), dtype=np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 0.8)


def _shifted_pair(disparity: int, height: int = 60, width: int = 160) -> tuple[np.ndarray, np.ndarray]:
    scene = _texture(height, width + disparity)
    return scene[:, :width], scene[:, disparity:]


def _square_pair() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A near square (20 px) before a far wall (6 px); truth of the left view."""
    left, right = (view.copy() for view in _shifted_pair(6, 80, 200))
    square = _texture(40, 50, seed=1)
    left[20:60, 90:140] = square
    right[20:60, 70:120] = square
    truth = np.full((80, 200), 6, np.float32)
    truth[20:60, 90:140] = 20
    return left, right, truth


def test_finds_a_constant_shift():
    disparity, valid = SGBM(max_disparity_px=32).match(*_shifted_pair(9))
    assert disparity.dtype == np.float32 and valid.dtype == np.bool_ and disparity.shape == (60, 160)
    assert valid[:, 9:].mean() > 0.95
    np.testing.assert_allclose(disparity[valid], 9, atol=1)


def test_columns_whose_match_lies_outside_the_right_image_stay_unknown():
    _, valid = SGBM(max_disparity_px=32).match(*_shifted_pair(9))
    assert not valid[:, :9].any()
    assert valid[:, 9:32].mean() > 0.9  # OpenCV alone leaves out the first 32


def test_hidden_background_is_rejected_and_filled_from_the_background():
    left, right, truth = _square_pair()
    disparity, valid = SGBM(max_disparity_px=32).match(left, right)
    hidden = np.zeros_like(valid)
    hidden[24:56, 78:88] = True  # wall beside the square, covered in the right view
    assert valid[hidden].mean() < 0.2
    assert np.median(np.abs(disparity - truth)[valid]) < 0.3
    filled = fill_rows(*map(torch.from_numpy, (disparity, valid))).numpy()
    np.testing.assert_allclose(filled[hidden], 6, atol=1)


def test_unknown_is_zero():
    left, right, _ = _square_pair()
    disparity, valid = SGBM(max_disparity_px=32).match(left, right)
    assert ((disparity > 0) == valid).all()


def test_right_view_is_the_mirrored_left_view():
    left, right, _ = _square_pair()
    matcher = SGBM(max_disparity_px=32)
    of_right = matcher.match_both(left, right)[1]
    mirrored = matcher.match_both(right[:, ::-1], left[:, ::-1])[0]
    for ours, theirs in zip(of_right, mirrored):
        assert np.array_equal(ours, theirs[:, ::-1])


def test_twenty_runs_are_bitwise_equal():
    left, right, _ = _square_pair()
    first = SGBM().match(left, right)
    for _ in range(19):
        again = SGBM().match(left, right)
        assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])


@pytest.mark.parametrize("width", [21, 24, 33, 40])
def test_narrow_images_are_matched_with_fewer_disparities(width):
    matcher = SGBM(max_disparity_px=256, block_size=5)
    first, _ = matcher.match(*_shifted_pair(3, 40, width))
    again, _ = matcher.match(*_shifted_pair(3, 40, width))
    assert first.shape == (40, width) and np.array_equal(first, again)
    assert first.max() < width


@pytest.mark.parametrize("shape", [(40, 20, 3), (3, 100, 3)])
def test_images_smaller_than_block_and_search_are_refused(shape):
    with pytest.raises(UserError, match=r"images of at least \(5, 21\)"):
        SGBM().match(np.zeros(shape, np.float32), np.zeros(shape, np.float32))


def test_nothing_to_see_is_nothing_known():
    disparity, valid = SGBM().match(np.full((40, 100, 3), 0.5, np.float32), np.full((40, 100, 3), 0.5, np.float32))
    assert not valid.any() and not disparity.any()
    disparity, valid = SGBM().match(np.zeros((40, 100, 3), np.float32), np.zeros((40, 100, 3), np.float32))
    assert not valid.any() and not disparity.any()


@pytest.mark.parametrize(("options", "message"), [({"block_size": 4}, "odd"), ({"max_disparity_px": 0}, "positive")])
def test_bad_options(options, message):
    with pytest.raises(UserError, match=message):
        SGBM(**options)


def test_sizes_that_differ_are_refused():
    with pytest.raises(UserError, match="one size"):
        SGBM().match(np.zeros((40, 100, 3), np.float32), np.zeros((40, 101, 3), np.float32))


def test_real_street_mostly_right(real_data):
    from stereodistill.io.disparity import read_disparity
    from stereodistill.io.images import read_image

    name = "000000_10.png"
    root = real_data / "kitti2012"
    rows = slice(170, 300)
    truth, known = (part[rows] for part in read_disparity(root / "disp_noc" / name))
    views = [read_image(root / folder / name)[rows] for folder in ("image_0", "image_1")]
    disparity, valid = SGBM(max_disparity_px=96).match(*views)
    error = np.abs(disparity - truth)[known & valid]
    assert valid[known].mean() > 0.7 and (error > 3).mean() < 0.06
