"""Flip post-processing: borders, ramps, symmetry, and who may use it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from stereodistill.errors import UserError
from stereodistill.evaluation import evaluate, fuse_flipped
from stereodistill.predict import MonoPredictor
from stereodistill.types import Prediction
from stereodistill.weights import WeightsHeader

WIDTH = 101
"""So that column c lies at c percent of the width."""


def expected_share_of_mirrored(percent: int) -> float:
    """From the text: the first 5 % from the mirrored answer, the last 5 % from the plain one, the mean between."""
    if percent <= 5:
        return 1.0
    if percent < 10:
        return 1.0 - 0.5 * (percent - 5) / 5
    if percent <= 90:
        return 0.5
    return max(0.0, 0.5 - 0.5 * (percent - 90) / 5)


def test_borders_and_ramps_by_the_definition():
    plain, mirrored = np.full((3, WIDTH), 10.0, np.float32), np.full((3, WIDTH), 20.0, np.float32)
    fused = fuse_flipped(plain, mirrored)
    expected = [10 + 10 * expected_share_of_mirrored(column) for column in range(WIDTH)]
    assert fused.dtype == np.float32 and np.allclose(fused, expected, atol=1e-5)
    assert (fused[0, 0], fused[0, 50], fused[0, 100]) == (20, 15, 10)


def test_the_mirrored_answer_is_turned_back():
    ramp = np.arange(1, WIDTH + 1, dtype=np.float32)[None]
    assert np.allclose(fuse_flipped(ramp, ramp[:, ::-1]), ramp)
    random = np.random.default_rng(0).uniform(1, 9, (4, WIDTH)).astype(np.float32)
    # Fusing the mirrored image's own view of it all gives the mirrored result.
    other = np.random.default_rng(1).uniform(1, 9, (4, WIDTH)).astype(np.float32)
    assert np.allclose(fuse_flipped(random, other)[:, 50], fuse_flipped(other, random)[:, 50])


def test_where_one_is_unknown_the_other_stands_alone():
    plain, mirrored = np.full((1, WIDTH), 10.0, np.float32), np.full((1, WIDTH), 20.0, np.float32)
    plain[0, 50], mirrored[0, 100 - 60] = 0, 0
    fused = fuse_flipped(plain, mirrored)
    assert fused[0, 50] == 20 and fused[0, 60] == 10 and fused[0, 70] == 15


class Sideways(nn.Module):
    """Says more the further to the left of what it is shown."""

    kind, name, options = "mono", "lite_mono", {}

    def __init__(self):
        super().__init__()
        self.share = nn.Parameter(torch.tensor(1.0))

    def forward(self, image):
        columns = torch.linspace(6, 4, image.shape[-1]).expand_as(image[:, :1])
        return Prediction(disparities=(columns * self.share,))


def test_a_mono_network_sees_the_mirrored_image(make_pair, pairs_of):
    header = WeightsHeader(
        architecture="lite_mono",
        kind="mono",
        input_size=(20, 40),
        rig={"focal_px": 100.0, "baseline_m": 0.5, "width": 40},
    )
    network, data = MonoPredictor(Sideways(), header), pairs_of([make_pair(truth=5.0)])
    plain = evaluate(data=data, protocol="stereo", weights=network)
    fused = evaluate(data=data, protocol="stereo:flip", weights=network)
    assert fused["protocol"] == "stereo:flip" and fused["options"]["flip"] is True
    # In the middle the two slopes cancel; within the borders one of them stays.
    place = np.linspace(0, 1, 40)
    slope = np.linspace(1, -1, 40)
    shares = np.array([expected_share_of_mirrored(100 * p) for p in place])
    assert plain["metrics"]["epe"] == pytest.approx(np.abs(slope).mean(), rel=1e-4)
    assert fused["metrics"]["epe"] == pytest.approx(np.abs(slope * (1 - 2 * shares)).mean(), rel=1e-4)


def test_flip_is_refused_for_everything_else(make_pair, pairs_of):
    with pytest.raises(UserError, match="sgbm: flip is for monocular networks"):
        evaluate(data=pairs_of([make_pair()]), protocol="stereo:flip", weights="sgbm")
