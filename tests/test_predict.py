"""Predictors and teachers: the focal rule in numbers, mirrored views bitwise, every wrong input one clear line."""

import sys
import types
import warnings

import numpy as np
import pytest
import torch

from stereodistill.errors import UserError
from stereodistill.io.disparity import write_disparity
from stereodistill.io.images import write_image
from stereodistill.models import build
from stereodistill.predict import CameraWarning, MonoPredictor, StereoPredictor, Teacher, from_pretrained, load_teacher
from stereodistill.predict.load import choose_device
from stereodistill.predict.photo import to_image
from stereodistill.types import Prediction, Rig
from stereodistill.weights import WeightsHeader, save_weights

SMALL = {"channels": [8, 8, 12, 12, 16], "decoder_channels": [8, 8, 8, 8], "num_blocks": [1, 1, 1, 1]}
RIG = {"focal_px": 640.0, "baseline_m": 0.5, "width": 1280}
MONO = WeightsHeader(architecture="lite_mono", kind="mono", input_size=(32, 64), rig=RIG)
SMALL_STEREO = {"max_disparity_px": 32, "channels": 16, "width": 32}
STEREO = WeightsHeader(architecture="lite_stereo", kind="stereo")


class TenthOfWidth(torch.nn.Module):
    """Says a tenth of the input width everywhere, and remembers what it was given."""

    def forward(self, image):
        self.seen = tuple(image.shape)
        return Prediction(disparities=(torch.full_like(image[:, :1], 0.1 * image.shape[-1]),))


@pytest.fixture
def tenth() -> MonoPredictor:
    return MonoPredictor(TenthOfWidth(), MONO)


@pytest.fixture(scope="module")
def mono_folder(tmp_path_factory):
    torch.manual_seed(0)
    return save_weights(tmp_path_factory.mktemp("run") / "weights", build("lite_mono", **SMALL), MONO)


@pytest.fixture(scope="module")
def stereo_folder(tmp_path_factory):
    torch.manual_seed(0)
    return save_weights(tmp_path_factory.mktemp("teacher"), build("lite_stereo", **SMALL_STEREO), STEREO)


@pytest.fixture(scope="module")
def stereo(stereo_folder) -> StereoPredictor:
    return from_pretrained(stereo_folder, "cpu")


@pytest.fixture(scope="module")
def views() -> tuple[np.ndarray, np.ndarray]:
    scene = np.random.default_rng(0).random((48, 104, 3), dtype=np.float32)
    return scene[:, :96], scene[:, 8:]


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


def test_a_photo_can_come_in_many_ways(tenth, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)
    write_image(tmp_path / "photo.png", photo)
    expected = torch.from_numpy(photo).permute(2, 0, 1) / 255
    alpha = np.concatenate([photo, np.zeros_like(photo[..., :1])], axis=2)
    ways = [tmp_path / "photo.png", str(tmp_path / "photo.png"), photo, alpha, photo / 255.0, expected]
    ways.append(photo.astype(np.uint16) * 257)
    for way in ways:
        torch.testing.assert_close(to_image(way), expected)
    grey = to_image(photo[..., 0])
    assert torch.equal(grey[0], grey[2]) and grey.shape == (3, 20, 30)


def test_pil_images_work():
    image = pytest.importorskip("PIL.Image")
    photo = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    assert torch.equal(to_image(image.fromarray(photo)), to_image(photo))
    grey = photo[..., 0].astype(np.uint16) * 257
    torch.testing.assert_close(to_image(image.fromarray(grey)), to_image(grey))


@pytest.mark.parametrize(
    ("photo", "message"),
    [
        (np.zeros((4, 5, 2), np.uint8), r"not \(4, 5, 2\)"),
        (np.zeros((4, 5, 3), np.int64), "uint8, uint16 or float"),
        (np.full((4, 5, 3), 200.0), r"\[0, 1\].*divide 8-bit values by 255"),
        (np.full((4, 5, 3), np.nan), r"\[0, 1\]"),
        (np.zeros((0, 5, 3), np.uint8), "array"),
        (torch.zeros(1, 3, 4, 5), r"float \(3, H, W\)"),
        (torch.zeros(3, 4, 5, dtype=torch.uint8), r"float \(3, H, W\)"),
        (42, "not int"),
        ("nowhere.png", "nowhere.png"),
    ],
)
def test_what_is_no_photo(photo, message):
    with pytest.raises(UserError, match=message):
        to_image(photo)


def test_from_pretrained_knows_the_kind(mono_folder, stereo):
    mono = from_pretrained(mono_folder, device="cpu")
    assert isinstance(mono, MonoPredictor) and isinstance(stereo, StereoPredictor)
    depth = mono.predict(PHOTO, focal_px=100)
    assert (depth.depth_m > 0).all() and np.array_equal(depth.image, PHOTO)


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


def test_stereo_metres_need_a_rig_and_follow_it(stereo, views):
    with pytest.raises(UserError, match="metres need the rig"):
        _ = stereo.predict(*views).depth_m
    depth = stereo.predict(*views, rig=Rig(focal_px=200.0, baseline_m=0.1, width=192), confidence=False)
    assert depth.confidence is None and depth.calibrated
    np.testing.assert_allclose(depth.depth_m, 100 * 0.1 / depth.disparity_px, rtol=1e-5)


def test_views_of_two_sizes_are_refused(stereo, views):
    with pytest.raises(UserError, match="left is 96 x 48, right is 90 x 48"):
        stereo.predict(views[0], views[1][:, :90])


@pytest.fixture
def maps(tmp_path):
    rng = np.random.default_rng(0)
    disparity = rng.uniform(1, 9, (48, 96)).astype(np.float32)
    disparity[:5] = 0
    for name, values in (("a", disparity), ("drive/b", disparity + 1)):
        write_disparity(tmp_path / "disparity" / f"{name}.png", values)
    write_disparity(tmp_path / "disparity_right" / "a.pfm", disparity * 0 + 4)
    write_image(tmp_path / "confidence" / "a.png", np.full((48, 96), 51, np.uint8))
    return tmp_path, disparity


def test_every_teacher_has_the_same_face(stereo_folder, maps):
    for source in ("sgbm", stereo_folder, maps[0]):
        teacher = load_teacher(source, "cpu")
        assert isinstance(teacher, Teacher)
        assert teacher.name and len(teacher.hash) == 64 and teacher.hash == load_teacher(source, "cpu").hash


def test_a_folder_of_maps_teaches_what_it_holds(maps, views):
    folder, disparity = maps
    teacher = load_teacher(folder)
    found, confidence = teacher.match(*views, name="a")
    np.testing.assert_allclose(found, disparity, atol=1 / 256)
    np.testing.assert_allclose(confidence[5:], 0.2)
    assert not confidence[:5].any()
    assert teacher.match(*views, name="drive/b")[1][10:].min() == 1
    assert (teacher.match_right(*views, name="a")[0] == 4).all()


def test_the_hash_of_a_folder_follows_its_content(maps):
    before = load_teacher(maps[0]).hash
    write_disparity(maps[0] / "disparity" / "a.png", maps[1] + 1)
    assert load_teacher(maps[0]).hash != before


def test_a_folder_of_maps_must_fit_the_pair(maps, views):
    teacher = load_teacher(maps[0])
    with pytest.raises(UserError, match="no map for the pair 'c'"):
        teacher.match(*views, name="c")
    with pytest.raises(UserError, match="the image has"):
        teacher.match(views[0][:20], views[1][:20], name="a")
    with pytest.raises(UserError, match="name"):
        teacher.match(*views)


def test_sgbm_is_confident_where_the_views_agree(views):
    disparity, confidence = load_teacher("sgbm").match(*views)
    assert ((confidence > 0) == (disparity > 0)).all()
    known = confidence > 0.5
    assert known.mean() > 0.6
    np.testing.assert_allclose(disparity[known], 8, atol=0.6)
    of_right = load_teacher("sgbm").match_right(*views)
    mirrored = load_teacher("sgbm").match(views[1][:, ::-1], views[0][:, ::-1])
    assert np.array_equal(of_right[0], mirrored[0][:, ::-1])


@pytest.mark.parametrize(
    ("source", "message"),
    [("net.onnx", "ONNX"), ("psmnet", "without weights"), ("nothing", "no weights 'nothing'"), ("a/b/c", "no weights")],
)
def test_teachers_that_cannot_be_had(source, message):
    with pytest.raises(UserError, match=message):
        load_teacher(source)


def test_a_mono_network_cannot_teach(mono_folder):
    with pytest.raises(UserError, match="give stereo weights"):
        load_teacher(mono_folder, "cpu")


def test_an_empty_folder_is_no_teacher(tmp_path):
    with pytest.raises(UserError, match="model.safetensors"):
        load_teacher(tmp_path)


def test_devices():
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(UserError, match="unknown device 'gpu0'"):
        choose_device("gpu0")
    with pytest.raises(UserError, match="CUDA devices"):
        choose_device("cuda:99")


def test_functions_named_like_their_modules_stay_functions():
    import stereodistill
    import stereodistill.export
    import stereodistill.weights

    assert isinstance(sys.modules["stereodistill.export"], types.ModuleType)
    assert isinstance(stereodistill.weights, types.ModuleType)
    assert callable(stereodistill.export) and not isinstance(stereodistill.export, types.ModuleType)


def test_rig_is_scaled_when_the_photo_is(tenth):
    rig = tenth.predict(PHOTO, focal_px=70).rig
    assert (rig.focal_px, rig.baseline_m, rig.width, rig.doffs_px) == (pytest.approx(70), 0.5, 100, 0)
