"""The size at which a network sees pictures, by its header or by `--size`; its answers have the pictures' own size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from stereodistill.cli.options import input_size_of
from stereodistill.errors import UserError
from stereodistill.predict import MonoPredictor, StereoPredictor
from stereodistill.predict.load import seen_at
from stereodistill.predict.teachers import SgbmTeacher
from stereodistill.types import Prediction
from stereodistill.weights import WeightsHeader

PHOTO = np.full((40, 100, 3), 128, np.uint8)


class Tenth(nn.Module):
    """A disparity of a tenth of the width that it sees, which it keeps in mind."""

    def __init__(self):
        super().__init__()
        self.seen: list[tuple[int, ...]] = []

    def forward(self, *images):
        self.seen.append(tuple(images[0].shape[-2:]))
        return Prediction(disparities=(torch.full_like(images[0][:, :1], images[0].shape[-1] / 10),))


@pytest.mark.parametrize("kind", ["mono", "stereo"])
def test_a_network_sees_the_size_that_it_is_given(kind):
    header = WeightsHeader(architecture="lite_mono", kind=kind, input_size=(32, 64))
    predictor = MonoPredictor(Tenth(), header) if kind == "mono" else StereoPredictor(Tenth(), header, hash="abc")
    views = [PHOTO] * (1 if kind == "mono" else 2)
    larger = seen_at((64, 160), predictor)
    for who, size in ((predictor, (32, 64)), (larger, (64, 160))):
        depth = who.predict(*views, **({} if kind == "mono" else {"confidence": False}))
        assert who.model.seen[-1] == size
        np.testing.assert_allclose(depth.disparity_px, np.full((40, 100), 10.0), rtol=1e-5)
    assert seen_at(None, predictor) is predictor and predictor.header.input_size == (32, 64)


def test_labels_of_two_sizes_are_those_of_two_teachers():
    teacher = StereoPredictor(Tenth(), WeightsHeader(architecture="dispnet", kind="stereo"), hash="abc")
    hashes = {teacher.hash, *(seen_at(size, teacher).hash for size in ((64, 128), (64, 192)))}
    assert len(hashes) == 3
    own = StereoPredictor(Tenth(), WeightsHeader(architecture="dispnet", kind="stereo", input_size=(64, 128)), hash="a")
    assert seen_at((64, 128), own).hash == own.hash


def test_what_is_no_network_has_no_size():
    with pytest.raises(UserError, match="--size is the input of a network"):
        seen_at((64, 128), SgbmTeacher())


def test_the_option_reads_height_and_width():
    assert input_size_of("384x1280") == (384, 1280) and input_size_of(None) is None
    for text in ("384", "384x", "x", "0x64", "384*1280", "-1x5", "99999x64", "a x b"):
        with pytest.raises(UserError, match="--size is HEIGHTxWIDTH"):
            input_size_of(text)
