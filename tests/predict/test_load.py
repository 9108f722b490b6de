"""Weights become the right predictor on the right device."""

import numpy as np
import pytest

from stereodistill.errors import UserError
from stereodistill.predict import MonoPredictor, StereoPredictor, from_pretrained
from stereodistill.predict.predictor import choose_device

PHOTO = np.full((50, 100, 3), 128, np.uint8)


def test_from_pretrained_knows_the_kind(mono_folder, stereo):
    mono = from_pretrained(mono_folder, device="cpu")
    assert isinstance(mono, MonoPredictor) and isinstance(stereo, StereoPredictor)
    depth = mono.predict(PHOTO, focal_px=100)
    assert (depth.depth_m > 0).all() and np.array_equal(depth.image, PHOTO)


def test_devices():
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(UserError, match="unknown device 'gpu0'"):
        choose_device("gpu0")
    with pytest.raises(UserError, match="CUDA devices"):
        choose_device("cuda:99")
