"""What can be evaluated: networks, matchers, folders of maps, labels, a constant."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from stereodistill.errors import UserError
from stereodistill.evaluation import constant_baseline, evaluate
from stereodistill.evaluation.estimate import at_size
from stereodistill.evaluation.sources import MonoNetwork
from stereodistill.io.disparity import write_disparity
from stereodistill.io.images import write_image
from stereodistill.predict import MonoPredictor
from stereodistill.types import Prediction, Rig
from stereodistill.weights import WeightsHeader

SIZE = (20, 40)  # as in conftest.py


def test_prediction_is_resized_with_its_values():
    disparity = np.full((10, 20), 2.5, dtype=np.float32)
    disparity[:5] = np.nan
    resized, known = at_size(disparity, np.ones((10, 20), bool), SIZE)
    assert resized.shape == SIZE and np.allclose(resized[known], 5.0)
    assert not known[:9].any() and known[11:].all()


def write_data(folder, names=("one", "two.5")):
    for index, name in enumerate(names):
        for side in ("left", "right"):
            (folder / side).mkdir(parents=True, exist_ok=True)
            image = np.random.default_rng(index).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
            write_image(folder / side / f"{name}.png", image)
        (folder / "disparity").mkdir(exist_ok=True)
        write_disparity(folder / "disparity" / f"{name}.png", np.full(SIZE, 4.0, dtype=np.float32))
    (folder / "rig.json").write_text(json.dumps({"focal_px": 100.0, "baseline_m": 0.5, "width": 40, "doffs_px": 0.0}))


def test_folder_of_predictions_by_name(tmp_path):
    write_data(tmp_path / "data")
    guess = tmp_path / "guess"
    write_disparity(guess / "one.npy", np.full(SIZE, 4.5, dtype=np.float32))
    write_disparity(guess / "two.5.pfm", np.full((10, 20), 2.5, dtype=np.float32))
    result = evaluate(data=tmp_path / "data", protocol="kitti-stereo", predictions=guess)
    assert [row["epe"] for row in result["per_image"]] == pytest.approx([0.5, 1.0])
    assert result["weights"] == str(guess)
    (guess / "one.npy").unlink()
    lacking = r"no prediction for pair 'one' \(1 of 2 pairs have one\): expected exactly one of one.png, one.pfm"
    with pytest.raises(UserError, match=lacking):
        evaluate(data=tmp_path / "data", protocol="stereo", predictions=guess)
    with pytest.raises(UserError, match="no such file or folder of predictions"):
        evaluate(data=tmp_path / "data", protocol="stereo", predictions=tmp_path / "absent")


def test_constant_baseline_is_the_median_depth_and_keeps_metres_across_rigs(make_pair, pairs_of):
    train = pairs_of([make_pair("a", 5.0), make_pair("b", 2.5), make_pair("c", 1.0), make_pair("d", None)])
    constant = constant_baseline(train)
    assert constant.value == pytest.approx(20.0) and constant.name == "median-depth constant"
    other = make_pair("z", 10.0, rig=Rig(focal_px=400.0, baseline_m=0.5, width=40))  # truth: 20 m
    metrics = evaluate(data=pairs_of([other]), protocol="depth", source=constant)["metrics"]
    assert metrics["abs_rel"] == pytest.approx(0, abs=1e-6) and metrics["density"] == 100
    with pytest.raises(UserError, match="none of them has any"):
        constant_baseline(pairs_of([make_pair("d", None)]))


def test_constant_baseline_without_metres_is_a_share_of_the_width(make_pair, pairs_of):
    unknown = Rig.unknown(40)
    constant = constant_baseline(pairs_of([make_pair("a", 5.0, rig=unknown), make_pair("b", 5.0)]))
    assert not constant.metric and constant.value == pytest.approx(5 / 40)
    assert evaluate(data=pairs_of([make_pair("c", 5.0)]), protocol="stereo", source=constant)["metrics"]["epe"] < 1e-5


class Mono(nn.Module):
    """Says everywhere the same share of the input width."""

    kind, name, options = "mono", "lite_mono", {}

    def __init__(self, share: float):
        super().__init__()
        self.share = nn.Parameter(torch.tensor(share))

    def forward(self, image):
        return Prediction(disparities=(torch.ones_like(image[:, :1]) * self.share * image.shape[-1],))


def mono(share: float, rig: dict | None) -> MonoPredictor:
    return MonoPredictor(Mono(share), WeightsHeader(architecture="lite_mono", kind="mono", input_size=(8, 16), rig=rig))


def test_a_mono_network_is_compared_in_metres(make_pair, pairs_of):
    # 10 px of the network's own 1 m rig are 10 m, so 5 px of the data's 0.5 m rig.
    network = mono(10 / 40, {"focal_px": 100.0, "baseline_m": 1.0, "width": 40})
    data = pairs_of([make_pair()])
    assert evaluate(data=data, protocol="stereo", weights=network)["metrics"]["epe"] < 1e-5
    result = evaluate(data=data, protocol="depth", weights=network)
    assert result["metrics"]["abs_rel"] < 1e-6 and result["weights"] == "lite_mono"
    # A camera with twice the focal length sees the same disparity at twice the depth.
    tele = make_pair(truth=5.0, rig=Rig(focal_px=200.0, baseline_m=0.5, width=40))
    assert evaluate(data=pairs_of([tele]), protocol="depth", weights=network)["metrics"]["abs_rel"] < 1e-6


@pytest.mark.parametrize(("baseline_m", "own"), [(1.01, True), (0.985, True), (1.05, False), (0.5, False)])
def test_images_of_the_rig_that_was_learned_count_with_their_own_baseline(make_pair, baseline_m, own):
    """KITTI's cars differ by a per cent from day to day, and so do the published conversions to metres."""
    source = MonoNetwork(mono(10 / 40, {"focal_px": 100.0, "baseline_m": 1.0, "width": 40}), "mono")
    pair = make_pair(rig=Rig(focal_px=100.0, baseline_m=baseline_m, width=40))
    depth_m, _ = source.estimate(pair).depth_m(pair.rig, fill=False, scaled=False)
    assert np.unique(depth_m) == pytest.approx([10.0 * (baseline_m if own else 1.0)])


@pytest.mark.parametrize("rig", [None, {"focal_px": 100.0, "baseline_m": 1.0, "width": 40}])
def test_a_mono_network_without_metres_is_compared_in_pixels(make_pair, pairs_of, rig, recwarn):
    data = pairs_of([make_pair(rig=Rig.unknown(40))])
    assert evaluate(data=data, protocol="stereo", weights=mono(5 / 40, rig))["metrics"]["epe"] < 1e-5
    assert not recwarn.list


def test_a_matcher_sees_the_images_as_they_were_loaded_and_the_name(make_pair, pairs_of):
    class Teacher:
        name, hash = "mine", "0"

        def match(self, left, right, name=""):
            assert left.shape == right.shape == (3, *SIZE) and left.dtype == torch.float32 and name == "a"
            disparity = np.full(SIZE, 5.0, np.float32)
            disparity[0] = 0
            return disparity, (disparity > 0).astype(np.float32)

    result = evaluate(data=pairs_of([make_pair()]), protocol="stereo", weights=Teacher())
    assert result["metrics"]["epe"] == 0 and result["metrics"]["density"] == 95 and result["metrics"]["d1"] == 5
    assert result["weights"] == "mine"


def test_labels_of_a_teacher_are_predictions_too(tmp_path):
    write_data(tmp_path)
    assert evaluate(data=tmp_path, protocol="stereo", predictions=tmp_path)["metrics"]["epe"] == 0
    assert evaluate(data=tmp_path, protocol="stereo", weights=tmp_path)["metrics"]["epe"] == 0


def test_unknown_weights_are_one_clear_line(make_pair, pairs_of, tmp_path):
    for weights in ("no_such_network", "dispnet", str(tmp_path)):
        with pytest.raises(UserError) as error:
            evaluate(data=pairs_of([make_pair()]), protocol="stereo", weights=weights)
        assert "\n" not in str(error.value)
