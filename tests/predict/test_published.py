"""The published networks as predictors and teachers, from a weights folder of the user's."""

import numpy as np
import pytest
import torch

from stereodistill.errors import UserError
from stereodistill.models import build
from stereodistill.predict import MonoPredictor, StereoPredictor, from_pretrained, load_teacher
from stereodistill.weights import WeightsHeader, save_weights

THIN = {
    "dispnet": {"channel_share": 0.1},
    "psmnet": {"channel_share": 0.1, "max_disparity_px": 32},
    "vgg_mono": {"channel_share": 0.1},
}


@pytest.fixture
def folder(tmp_path):
    def make(name: str, **fields):
        torch.manual_seed(0)
        network = build(name, **THIN[name])
        return save_weights(tmp_path / name, network, WeightsHeader(architecture=name, kind=network.kind, **fields))

    return make


@pytest.mark.parametrize("name", ["dispnet", "psmnet"])
def test_a_stereo_network_matches_and_teaches_both_views(folder, name):
    teacher = load_teacher(folder(name), "cpu")
    assert isinstance(teacher, StereoPredictor)
    left, right = np.random.default_rng(0).uniform(0, 1, (2, 40, 70, 3)).astype(np.float32)
    (disparity, confidence), of_right = teacher.match_both(left, right)
    assert disparity.shape == confidence.shape == (40, 70)
    assert np.isfinite(disparity).all() and (disparity >= 0).all()
    mirrored = teacher.match(right[:, ::-1].copy(), left[:, ::-1].copy())
    np.testing.assert_allclose(of_right[0], mirrored[0][:, ::-1], rtol=1e-4, atol=1e-4)


def test_a_mono_network_predicts_at_the_photos_size(folder):
    mono = from_pretrained(folder("vgg_mono", input_size=(64, 128)), "cpu")
    assert isinstance(mono, MonoPredictor)
    depth = mono.predict(np.random.default_rng(0).uniform(0, 1, (50, 90, 3)).astype(np.float32))
    assert depth.disparity_px.shape == (50, 90)


@pytest.mark.parametrize("name", ["dispnet", "psmnet"])
def test_the_bare_name_says_where_weights_come_from(name):
    with pytest.raises(UserError, match=r"ships without weights: train it .*weights import"):
        load_teacher(name, "cpu")
