"""Predictors beyond one photo: batches, tensors on the device with gradients, other precisions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stereodistill.errors import UserError
from stereodistill.predict import MonoPredictor, from_pretrained


@pytest.fixture
def mono(mono_folder) -> MonoPredictor:
    return from_pretrained(mono_folder, "cpu")


def photos(*sizes: tuple[int, int]) -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    return [generator.random((*size, 3), dtype=np.float32) for size in sizes]


@pytest.mark.parametrize("post_process", [False, True])
def test_a_batch_of_photos_is_each_of_them(mono, post_process):
    """Of several sizes, in the order in which they were given."""
    given = photos((40, 80), (48, 64), (40, 80), (40, 80))
    options = {"focal_px": 50.0, "post_process": post_process}
    together = mono.predict_batch(given, batch_size=2, **options)
    for photo, depth in zip(given, together, strict=True):
        alone = mono.predict(photo, **options)
        np.testing.assert_allclose(depth.disparity_px, alone.disparity_px, rtol=1e-4, atol=1e-6)
        assert (depth.rig, depth.calibrated) == (alone.rig, True) and np.array_equal(depth.image, alone.image)
    assert mono.predict_batch([]) == []
    with pytest.raises(UserError, match="batch_size must be at least 1"):
        mono.predict_batch(given, batch_size=0, **options)


def test_a_batch_of_pairs_is_each_of_them(stereo, views):
    left, right = views
    given = [(left, right), (left[:40], right[:40]), (right, left), (left[::-1].copy(), right[::-1].copy())]
    for pair, depth in zip(given, stereo.predict_batch(given, batch_size=2), strict=True):
        alone = stereo.predict(*pair)
        np.testing.assert_allclose(depth.disparity_px, alone.disparity_px, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(depth.confidence, alone.confidence, atol=1e-3)
    assert stereo.predict_batch(given[:1], confidence=False)[0].confidence is None
    with pytest.raises(UserError, match="the views of a pair have one size"):
        stereo.predict_batch([(left, right[:40])])


def test_tensors_in_and_out_say_the_same_as_photos(mono, stereo, views):
    photo = photos((40, 80))[0]
    images = torch.from_numpy(photo.transpose(2, 0, 1).copy())[None]
    found = mono(torch.cat([images, images.flip(-1)]))
    assert found.shape == (2, 1, 40, 80) and found.dtype == torch.float32
    np.testing.assert_allclose(found[0, 0], mono.predict(photo, focal_px=50.0).disparity_px, rtol=1e-4, atol=1e-6)
    left, right = (torch.from_numpy(view.transpose(2, 0, 1).copy())[None] for view in views)
    expected = stereo.predict(*views, confidence=False).disparity_px
    np.testing.assert_allclose(stereo(left, right)[0, 0].clamp(min=0), expected, rtol=1e-4, atol=1e-5)


def test_gradients_reach_the_images(mono, stereo, views):
    image = torch.rand(1, 3, 40, 80, requires_grad=True)
    mono(image).mean().backward()
    assert image.grad is not None and image.grad.abs().sum() > 0
    left, right = (torch.from_numpy(v.transpose(2, 0, 1).copy())[None].requires_grad_() for v in views)
    stereo(left, right).mean().backward()
    assert left.grad.abs().sum() > 0 and right.grad.abs().sum() > 0


@pytest.mark.parametrize("shape", [(3, 40, 80), (1, 1, 40, 80)])
def test_other_tensors_are_refused(mono, shape):
    with pytest.raises(UserError, match=r"expected float tensors \(B, 3, H, W\) in \[0, 1\] of one shape, found"):
        mono(torch.rand(shape))


def test_two_views_of_different_shape_are_refused(stereo):
    with pytest.raises(UserError, match="of one shape"):
        stereo(torch.rand(1, 3, 40, 80), torch.rand(1, 3, 40, 84))


@pytest.mark.parametrize("precision", ["half", "bfloat16"])
def test_half_precision_answers_nearly_the_same_in_float32(mono, precision):
    image = torch.rand(1, 3, 40, 80)
    exact = mono(image)
    assert getattr(mono, precision)() is mono
    rough = mono(image)
    assert rough.dtype == torch.float32 and not torch.equal(rough, exact)
    torch.testing.assert_close(rough, exact, rtol=0.1, atol=0.02 * float(exact.max()))
    assert torch.equal(mono.float()(image), exact)


def test_to_moves_the_network_and_refuses_what_is_not_there(mono):
    assert mono.to("cpu") is mono and mono.device.type == "cpu"
    with pytest.raises(UserError, match="CUDA devices"):
        mono.to("cuda:99")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_nothing_leaves_it(mono):
    image = torch.rand(1, 3, 40, 80)
    expected = mono(image)
    found = mono.to("cuda")(image.cuda())
    assert found.is_cuda
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-2, atol=1e-3)
