"""Flip post-processing: borders, ramps, symmetry, and who may use it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from stereodistill.errors import UserError
from stereodistill.evaluation import evaluate
from stereodistill.predict import MonoPredictor, StereoPredictor
from stereodistill.predict.fusion import fuse_flipped
from stereodistill.report import Table
from stereodistill.types import Prediction, View
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


def fused_by_edges(plain: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """From the text, pixel by pixel: the share of the mirrored answer is a sigmoid of 4 times the mean slope in a
    window of 2 % of the width (cut off at the image), but all of it in the first 1 % and nothing in the last 1 %."""
    height, width = plain.shape
    mean, reach, fused = (plain + turned) / 2, max(round(0.01 * width), 1), np.zeros((height, width))
    slope = np.zeros((height, width))
    slope[:, :-1] = mean[:, 1:] - mean[:, :-1]
    for y in range(height):
        for x in range(width):
            window = slope[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
            share, place = 1 / (1 + math.exp(-4 * window.mean())), x / (width - 1)
            left, right = (1 - min(max((p - 0.01) / 0.01, 0), 1) for p in (place, 1 - place))
            share = left + (1 - left - right) * share
            fused[y, x] = share * turned[y, x] + (1 - share) * plain[y, x]
    return fused


class Seen(nn.Module):
    """Says how bright its first image is, of both views; slopes of up to 4 px a pixel."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.name, self.options = kind, "lite_mono" if kind == "mono" else "recursive", {}

    def forward(self, *images):
        columns = torch.linspace(1, 3, images[0].shape[-1])
        said = [(4 * image[:, :1] + columns,) for image in (images[0], images[-1])]
        return Prediction(disparities=said[0], disparities_right=said[1])


@pytest.fixture
def wide(make_pair):
    """A pair of 12 x 200 px, so that both borders have columns; truth 5 px."""
    pair = make_pair(truth=5.0)
    numbers = torch.Generator().manual_seed(1)

    def view():
        disparity = torch.full((1, 12, 200), 5.0)
        return View(image=torch.rand(3, 12, 200, generator=numbers), disparity=disparity, valid=disparity > 0)

    return replace(pair, left=view(), right=view(), rig=replace(pair.rig, width=200))


def test_edges_weigh_the_two_answers_of_a_mono_network(wide, pairs_of):
    network = MonoPredictor(Seen("mono"), WeightsHeader(architecture="lite_mono", kind="mono"))
    found = evaluate(data=pairs_of([wide]), protocol="stereo:flip=edges", weights=network)
    assert found["protocol"] == "stereo:flip=edges" and found["options"]["flip"] == "edges"
    columns, shown = np.linspace(1, 3, 200), 4 * wide.left.image[0].numpy()
    expected = fused_by_edges(shown + columns, shown + columns[::-1])
    assert found["metrics"]["epe"] == pytest.approx(np.abs(expected - 5).mean(), rel=1e-5)
    plain, means = (
        evaluate(data=pairs_of([wide]), protocol=f"stereo{option}", weights=network)["metrics"]["epe"]
        for option in ("", ":flip")
    )
    assert len({round(epe, 4) for epe in (plain, means, found["metrics"]["epe"])}) == 3
    table = Table.from_results("t", {"mine": {"made up": found}}, metrics=["epe"])
    assert "flip=edges" in table.to_markdown()


def test_a_stereo_network_of_both_views_gets_its_left_border_from_the_mirrored_answer(wide, pairs_of):
    network = StereoPredictor(Seen("stereo"), WeightsHeader(architecture="recursive", kind="stereo"))
    found = evaluate(data=pairs_of([wide]), protocol="stereo:flip=edges", weights=network)
    # The mirrored pair's right view is the left one's mirror image: of it the network says the right disparity.
    columns, shown = np.linspace(1, 3, 200), 4 * wide.left.image[0].numpy()
    # From the text: all of it in the first 5 % of the width, nothing from 10 % on.
    share = np.array([min(max(1 - (x / 199 - 0.05) / 0.05, 0), 1) for x in range(200)])
    expected = shown + share * columns[::-1] + (1 - share) * columns
    assert found["metrics"]["epe"] == pytest.approx(np.abs(expected - 5).mean(), rel=1e-5)
    assert found["protocol"] == "stereo:flip=edges"


def test_flip_is_refused_for_everything_else(make_pair, pairs_of):
    data = pairs_of([make_pair()])
    with pytest.raises(UserError, match="sgbm: flip is for monocular networks"):
        evaluate(data=data, protocol="stereo:flip", weights="sgbm")
    with pytest.raises(UserError, match="sgbm: flip is .* flip=edges also for stereo networks that estimate both"):
        evaluate(data=data, protocol="stereo:flip=edges", weights="sgbm")
    with pytest.raises(UserError, match="needs a network that estimates both views"):
        evaluate(data=data, protocol="stereo:flip=edges", weights="lite_stereo")
