"""Two answers made into one: which one counts where."""

import numpy as np
import pytest
import torch

from stereodistill.errors import UserError
from stereodistill.models import build
from stereodistill.predict import MonoPredictor, StereoPredictor, load_teacher
from stereodistill.predict.fusion import fuse_by_borders, fuse_by_edges, fuse_by_left_border
from stereodistill.types import Prediction
from stereodistill.weights import WeightsHeader, save_weights

FUSIONS = (fuse_by_edges, fuse_by_borders)


@pytest.mark.parametrize("fuse", FUSIONS)
def test_two_equal_answers_are_the_answer(fuse):
    answer = torch.rand(1, 1, 6, 200) * 20
    torch.testing.assert_close(fuse(answer, answer.clone()), answer)


@pytest.mark.parametrize(("fuse", "border"), [(fuse_by_edges, 2), (fuse_by_borders, 10)])
def test_borders_belong_to_one_answer_and_flat_ground_to_both(fuse, border):
    plain, turned = torch.full((1, 1, 4, 200), 10.0), torch.full((1, 1, 4, 200), 20.0)
    fused = fuse(plain, turned)[0, 0, 0]
    assert fused[:border].tolist() == pytest.approx([20.0] * border)
    assert fused[-border:].tolist() == pytest.approx([10.0] * border)
    assert fused[2 * border + 1 : -2 * border - 1].tolist() == pytest.approx([15.0] * (198 - 4 * border))
    assert bool((fused.diff() <= 1e-5).all())


def test_the_strip_that_the_right_camera_misses_is_the_mirrored_answers_alone():
    plain, turned = torch.full((1, 1, 4, 200), 10.0), torch.full((1, 1, 4, 200), 20.0)
    fused = fuse_by_left_border(plain, turned)[0, 0, 0]
    assert fused[:10].tolist() == pytest.approx([20.0] * 10) and fused[21:].tolist() == [10.0] * 179
    assert bool((fused[10:21].diff() < 0).all())


def test_halos_at_both_sides_of_a_near_thing_are_cut_off():
    """The plain answer bleeds to the left of a near thing, the mirrored one (turned back) to its right."""
    truth = torch.full((1, 1, 4, 200), 5.0)
    truth[..., 80:120] = 30.0
    plain, turned = truth.clone(), truth.clone()
    plain[..., 77:80] = 30.0
    turned[..., 120:123] = 30.0
    fused, mean = fuse_by_edges(plain, turned), (plain + turned) / 2
    assert (fused - truth).abs().mean() < 0.25 * (mean - truth).abs().mean()
    assert (fuse_by_edges(turned, plain) - truth).abs().mean() > (mean - truth).abs().mean()


class Ramp(torch.nn.Module):
    """Disparity that grows along the columns, whatever is shown."""

    def forward(self, image):
        row = torch.linspace(1, 2, image.shape[-1]).expand_as(image[:, :1])
        return Prediction(disparities=(row,))


def test_mono_post_processing_asks_about_the_mirror_image():
    predictor = MonoPredictor(Ramp(), WeightsHeader(architecture="lite_mono", kind="mono"))
    photo = np.full((20, 101, 3), 128, np.uint8)
    plain, fused = predictor.predict(photo), predictor.predict(photo, post_process=True)
    assert plain.disparity_px[0, 50] == pytest.approx(1.5)
    # In the middle the mean of a ramp and its mirror image, at either border the answer that sees it.
    assert fused.disparity_px[0, 0] == pytest.approx(2.0) and fused.disparity_px[0, -1] == pytest.approx(2.0)
    np.testing.assert_allclose(fused.disparity_px[:, 10:91], 1.5, rtol=1e-5)


@pytest.fixture(scope="module")
def recursive(tmp_path_factory):
    torch.manual_seed(0)
    header = WeightsHeader(architecture="recursive", kind="stereo", input_size=(32, 64))
    return save_weights(tmp_path_factory.mktemp("recursive") / "weights", build("recursive", base=8), header)


def test_recursive_weights_are_a_teacher_by_themselves(recursive, views):
    teacher = load_teacher(recursive, "cpu")
    assert isinstance(teacher, StereoPredictor) and teacher.hash
    disparity, confidence = teacher.match(*views)
    assert disparity.shape == confidence.shape == views[0].shape[:2]
    assert bool((disparity > 0).all()) and 0 <= confidence.min() <= confidence.max() <= 1
    of_right, _ = teacher.match_right(*views)
    mirrored, _ = teacher.match(views[1][:, ::-1].copy(), views[0][:, ::-1].copy())
    np.testing.assert_array_equal(of_right, mirrored[:, ::-1])
    (both_left, _), (both_right, _) = teacher.match_both(*views)
    np.testing.assert_array_equal(both_left, disparity)
    np.testing.assert_array_equal(both_right, of_right)


def test_a_stereo_network_is_asked_at_the_size_it_was_trained_for(recursive, views):
    """Its answer follows the width of the pair, as disparities do."""
    teacher = load_teacher(recursive, "cpu")
    seen = []
    teacher.model.register_forward_pre_hook(lambda _, images: seen.append(tuple(images[0].shape)))
    small, _ = teacher.match(*views)
    assert set(seen) == {(1, 3, 32, 64)}
    enlarged = [view.repeat(2, axis=0).repeat(2, axis=1) for view in views]
    large, _ = teacher.match(*enlarged)
    assert np.median(large) == pytest.approx(2 * np.median(small), rel=0.1)


def test_stereo_post_processing_fuses_the_second_opinion_and_mirrors_exactly(recursive, views):
    teacher = load_teacher(recursive, "cpu")
    left, right = views
    plain, fused = (teacher.predict(left, right, post_process=p, confidence=False).disparity_px for p in (False, True))
    assert fused.shape == plain.shape and not np.allclose(fused, plain)
    border = fused.shape[1] // 8  # the rest is the plain answer's
    np.testing.assert_allclose(fused[:, border:], plain[:, border:], rtol=1e-3)
    of_right = teacher.predict(left, right, right_view=True, post_process=True).disparity_px
    turned = teacher.predict(right[:, ::-1].copy(), left[:, ::-1].copy(), post_process=True).disparity_px[:, ::-1]
    np.testing.assert_array_equal(of_right, turned)


def test_stereo_post_processing_needs_both_views(stereo, views):
    with pytest.raises(UserError, match="estimates both views"):
        stereo.predict(*views, post_process=True)
