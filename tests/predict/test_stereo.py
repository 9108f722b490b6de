"""Mirrored views bitwise, confidence from their agreement."""

import numpy as np
import pytest
import torch

from stereodistill.errors import UserError
from stereodistill.predict import StereoPredictor
from stereodistill.types import Prediction, Rig
from stereodistill.weights import WeightsHeader

STEREO = WeightsHeader(architecture="lite_stereo", kind="stereo")


def test_right_view_is_the_mirrored_left_view_bitwise(stereo, views):
    left, right = views
    of_right = stereo.match_right(left, right)
    mirrored = stereo.match(right[:, ::-1], left[:, ::-1])
    for ours, theirs in zip(of_right, mirrored):
        assert np.array_equal(ours, theirs[:, ::-1])
    seen = stereo.predict(left, right, right_view=True)
    assert np.array_equal(seen.disparity_px, of_right[0]) and np.array_equal(seen.confidence, of_right[1])


def test_both_views_at_once_are_the_same(stereo, views):
    together = stereo.match_both(*views)
    for ours, theirs in zip(together, (stereo.match(*views), stereo.match_right(*views))):
        assert np.array_equal(ours[0], theirs[0]) and np.array_equal(ours[1], theirs[1])


def test_confidence_lies_between_0_and_1_and_is_0_outside(stereo, views):
    disparity, confidence = stereo.match(*views)
    assert disparity.shape == confidence.shape == (48, 96) and confidence.dtype == np.float32
    assert confidence.min() >= 0 and confidence.max() <= 1
    assert not confidence[np.arange(96) - disparity < 0].any()


class Scripted(torch.nn.Module):
    """The left run says 8 px; the mirrored run (first image all ones) says 8 px but 11 px in its last columns."""

    def forward(self, left, right):
        disparity = torch.full_like(left[:, :1], 8.0)
        if bool((left == 1).all()):
            disparity[..., -30:] = 11.0
        return Prediction(disparities=(disparity,))


def test_confidence_is_the_agreement_of_the_views():
    teacher = StereoPredictor(Scripted(), STEREO)
    _, confidence = teacher.match(np.zeros((4, 80, 3), np.float32), np.ones((4, 80, 3), np.float32))
    # The mirrored run's last 30 columns are the right view's first 30: left columns 8 .. 37.
    assert not confidence[:, :8].any()
    np.testing.assert_allclose(confidence[:, 8:38], np.exp(-3), rtol=1e-5)
    np.testing.assert_allclose(confidence[:, 38:], 1)


class Seeing(torch.nn.Module):
    """Sure to be seen in the left half, sure to be hidden in the right one; answers at half the width."""

    def forward(self, left, right):
        logits = torch.full_like(left[:, :1, :, ::2], 20.0)
        logits[..., logits.shape[-1] // 2 :] = -20.0
        return Prediction(disparities=(torch.full_like(logits, 8.0),), visible_logits=(logits,))


def test_visibility_is_the_probability_of_the_head_at_the_images_size():
    visible = StereoPredictor(Seeing(), STEREO).visibility(*np.zeros((2, 4, 80, 3), np.float32))
    assert visible.shape == (4, 80) and visible.dtype == np.float32
    np.testing.assert_allclose(visible[:, :38], 1, atol=1e-6)
    np.testing.assert_allclose(visible[:, 42:], 0, atol=1e-6)


def test_visibility_scales_the_confidence_of_matches_that_agree():
    views = np.zeros((4, 80, 3), np.float32), np.zeros((4, 80, 3), np.float32)
    teacher = StereoPredictor(Seeing(), STEREO)
    _, confidence = teacher.match(*views)
    np.testing.assert_allclose(confidence[:, 16:], teacher.visibility(*views)[:, 16:], atol=1e-6)


def test_a_network_without_a_visibility_head_sees_everything():
    visible = StereoPredictor(Scripted(), STEREO).visibility(*np.zeros((2, 4, 80, 3), np.float32))
    assert visible.shape == (4, 80) and (visible == 1).all()


def test_visibility_of_a_real_network_follows_its_logits(stereo, views):
    visible = stereo.visibility(*views)
    assert visible.shape == (48, 96) and visible.dtype == np.float32
    left, right = (torch.from_numpy(np.ascontiguousarray(v.transpose(2, 0, 1)))[None] for v in views)
    with torch.inference_mode():
        logits = stereo.model(left, right).visible_logits[0]
    expected = torch.nn.functional.interpolate(logits, (48, 96), mode="bilinear", align_corners=False).sigmoid()
    np.testing.assert_allclose(visible, expected[0, 0].numpy(), atol=1e-4)


def test_stereo_metres_need_a_rig_and_follow_it(stereo, views):
    with pytest.raises(UserError, match="metres need the rig"):
        _ = stereo.predict(*views).depth_m
    depth = stereo.predict(*views, rig=Rig(focal_px=200.0, baseline_m=0.1, width=192), confidence=False)
    assert depth.confidence is None and depth.calibrated
    np.testing.assert_allclose(depth.depth_m, 100 * 0.1 / depth.disparity_px, rtol=1e-5)


def test_views_of_two_sizes_are_refused(stereo, views):
    with pytest.raises(UserError, match="left is 96 x 48, right is 90 x 48"):
        stereo.predict(views[0], views[1][:, :90])
