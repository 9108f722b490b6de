"""One photo to metres: the focal rule in numbers, cameras and what is said without one."""

import warnings

import numpy as np
import pytest
import torch

from stereodistill.errors import UserError
from stereodistill.predict import CameraWarning, MonoPredictor
from stereodistill.types import Prediction, Rig
from stereodistill.weights import WeightsHeader

RIG = {"focal_px": 640.0, "baseline_m": 0.5, "width": 1280}
MONO = WeightsHeader(architecture="lite_mono", kind="mono", input_size=(32, 64), rig=RIG)


class TenthOfWidth(torch.nn.Module):
    """Says a tenth of the input width everywhere, and remembers what it was given."""

    def forward(self, image):
        self.seen = tuple(image.shape)
        return Prediction(disparities=(torch.full_like(image[:, :1], 0.1 * image.shape[-1]),))


@pytest.fixture
def tenth() -> MonoPredictor:
    return MonoPredictor(TenthOfWidth(), MONO)


PHOTO = np.full((50, 100, 3), 128, np.uint8)


def test_photo_is_resized_to_the_headers_size_and_the_map_has_the_photos(tenth):
    depth = tenth.predict(PHOTO, focal_px=70)
    assert tenth.model.seen == (1, 3, 32, 64)
    assert depth.disparity_px.shape == (50, 100)
    np.testing.assert_allclose(depth.disparity_px, 10, rtol=1e-6)


def test_focal_rule_in_numbers(tenth):
    """Depth = focal at the photo's width * training baseline / disparity: 70 * 0.5 / 10."""
    assert tenth.predict(PHOTO, focal_px=70).depth_m.mean() == pytest.approx(3.5)
    assert tenth.predict(PHOTO, focal_px=700, width=1000).depth_m.mean() == pytest.approx(3.5)
    given = Rig(focal_px=140.0, baseline_m=99.0, width=200)  # only its focal length counts
    assert tenth.predict(PHOTO, rig=given).depth_m.mean() == pytest.approx(3.5)


def test_depth_grows_with_the_focal_length_and_not_with_the_photos_size(tenth):
    near, far = (tenth.predict(PHOTO, focal_px=focal).depth_m.mean() for focal in (70, 140))
    assert far == pytest.approx(2 * near)
    large = np.full((100, 200, 3), 128, np.uint8)
    assert tenth.predict(large, focal_px=140).depth_m.mean() == pytest.approx(near)


def test_without_a_camera_the_training_camera_is_assumed_aloud(tenth):
    with pytest.warns(CameraWarning, match="focal length 50.0 px at width 100") as caught:
        depth = tenth.predict(PHOTO)
    assert caught[0].filename == __file__
    assert not depth.calibrated
    assert depth.depth_m.mean() == pytest.approx(50 * 0.5 / 10)


def test_with_a_camera_there_is_no_warning(tenth):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tenth.predict(PHOTO, focal_px=70).calibrated


def test_weights_without_a_rig_give_disparity_and_refuse_metres():
    predictor = MonoPredictor(TenthOfWidth(), MONO.model_copy(update={"rig": None}))
    depth = predictor.predict(PHOTO)
    assert depth.disparity_px.mean() == pytest.approx(10)
    with pytest.raises(UserError, match="metres need the rig"):
        _ = depth.depth_m
    with pytest.raises(UserError, match="metres need the rig"):
        _ = predictor.predict(PHOTO, focal_px=70).depth_m
    full = predictor.predict(PHOTO, rig=Rig(focal_px=70.0, baseline_m=0.2, width=100))
    assert full.depth_m.mean() == pytest.approx(70 * 0.2 / 10)


def test_calibrated_means_that_metres_follow_from_what_was_given():
    predictor = MonoPredictor(TenthOfWidth(), MONO.model_copy(update={"rig": None}))
    assert not predictor.predict(PHOTO, focal_px=70).calibrated


@pytest.mark.parametrize(
    ("camera", "message"),
    [
        ({"focal_px": -1}, "positive"),
        ({"focal_px": float("nan")}, "positive"),
        ({"focal_px": 70, "width": 0}, "width"),
        ({"focal_px": 70, "rig": Rig(focal_px=70.0, baseline_m=1.0, width=100)}, "twice"),
        ({"rig": Rig.unknown(100)}, "positive"),
    ],
)
def test_bad_cameras(tenth, camera, message):
    with pytest.raises(UserError, match=message):
        tenth.predict(PHOTO, **camera)


def test_rig_is_scaled_when_the_photo_is(tenth):
    rig = tenth.predict(PHOTO, focal_px=70).rig
    assert (rig.focal_px, rig.baseline_m, rig.width, rig.doffs_px) == (pytest.approx(70), 0.5, 100, 0)


def test_a_number_of_pixels_is_spent_in_the_photos_own_shape():
    header = MONO.model_copy(update={"input_size": None, "input_pixels": 64 * 128})
    predictor = MonoPredictor(TenthOfWidth(), header)
    for photo, seen in (((200, 400), (64, 128)), ((400, 200), (128, 64)), ((300, 300), (96, 96))):
        depth = predictor.predict(np.full((*photo, 3), 128, np.uint8), focal_px=70)
        assert predictor.model.seen == (1, 3, *seen) and depth.disparity_px.shape == photo
