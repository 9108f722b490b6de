"""`evaluate` on small made-up pairs: what is scored, what is refused, what the result looks like."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from torch import nn

from stereodistill.errors import UserError
from stereodistill.evaluation import constant_baseline, evaluate, find_protocol, score_image
from stereodistill.evaluation.sources import at_size
from stereodistill.io.disparity import write_disparity
from stereodistill.io.images import write_image
from stereodistill.predict import MonoPredictor
from stereodistill.types import Prediction, Rig, StereoPair, View
from stereodistill.weights import WeightsHeader

RIG = Rig(focal_px=100.0, baseline_m=0.5, width=40)
SIZE = (20, 40)


def make_pair(name: str = "a", truth: np.ndarray | float | None = 5.0, rig: Rig = RIG) -> StereoPair:
    image = torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(len(name)))
    view = View.unlabelled(image)
    if truth is not None:
        disparity = torch.full((1, *SIZE), truth) if isinstance(truth, float) else torch.from_numpy(truth)[None]
        view = View(image=image, disparity=disparity, valid=disparity > 0)
    return StereoPair(left=view, right=View.unlabelled(image), rig=rig, name=name)


@dataclass
class Pairs:
    pairs: list[StereoPair]

    def __len__(self) -> int:
        return len(self.pairs)

    def load(self, index: int) -> StereoPair:
        return self.pairs[index]


@dataclass
class Fixed:
    """A source that answers the same map for every pair and remembers what it was shown."""

    disparity: np.ndarray | float
    name: str = "fixed"
    seen: list[StereoPair] = field(default_factory=list)

    def __call__(self, pair: StereoPair):
        self.seen.append(pair)
        disparity = np.broadcast_to(np.float32(self.disparity), SIZE) if np.isscalar(self.disparity) else self.disparity
        return disparity, np.isfinite(disparity) & (disparity > 0)


def test_result_has_exactly_the_fields_of_the_contract():
    data = Pairs([make_pair("a", 5.0), make_pair("b", 10.0)])
    result = evaluate(data=data, protocol="stereo", source=Fixed(5.5))
    assert list(result) == ["protocol", "num_images", "metrics", "weights", "per_image"]
    assert (result["protocol"], result["num_images"], result["weights"]) == ("stereo", 2, "fixed")
    assert [row["name"] for row in result["per_image"]] == ["a", "b"]
    assert result["metrics"]["epe"] == pytest.approx((0.5 + 4.5) / 2)
    assert result["metrics"]["d1"] == 50 and result["metrics"]["density"] == 100
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_pooled_metrics_weigh_pixels_and_plain_ones_images():
    sparse = np.zeros(SIZE, dtype=np.float32)
    sparse[:10] = 20.0
    result = evaluate(data=Pairs([make_pair("a", 5.0), make_pair("b", sparse)]), protocol="stereo", source=Fixed(5.0))
    assert result["metrics"]["d1"] == 50 and result["metrics"]["d1_pooled"] == pytest.approx(100 / 3)
    assert result["metrics"]["epe"] == 7.5 and result["metrics"]["epe_pooled"] == pytest.approx(5.0)


def test_pairs_without_truth_are_passed_over_and_told(caplog):
    data = Pairs([make_pair("a"), make_pair("b", None), make_pair("c", None)])
    source = Fixed(5.0)
    with caplog.at_level(logging.WARNING):
        result = evaluate(data=data, protocol="stereo", source=source)
    assert result["num_images"] == 1 and len(source.seen) == 1
    assert "2 of 3 pairs have no ground truth" in caplog.text
    with pytest.raises(UserError, match="none of the 2 pairs has ground truth"):
        evaluate(data=Pairs(data.pairs[1:]), protocol="stereo", source=source)


def test_an_image_with_no_valid_prediction_is_wrong_not_absent():
    class Never(Fixed):
        def __call__(self, pair):
            return (super().__call__(pair)[0] * 0, np.ones(SIZE, bool)) if pair.name == "b" else super().__call__(pair)

    result = evaluate(data=Pairs([make_pair("a"), make_pair("b")]), protocol="stereo", source=Never(5.0))
    assert result["per_image"][1]["epe"] is None and result["per_image"][1]["d1"] == 100
    assert result["metrics"]["epe"] == 0 and result["metrics"]["d1"] == 50 and result["metrics"]["d1_pooled"] == 50


def test_depth_of_a_perfect_and_of_a_doubled_disparity():
    perfect = evaluate(data=Pairs([make_pair()]), protocol="depth", source=Fixed(5.0))["metrics"]
    assert perfect["abs_rel"] == pytest.approx(0, abs=1e-6) and perfect["a1"] == 1
    doubled = evaluate(data=Pairs([make_pair()]), protocol="depth", source=Fixed(10.0))["metrics"]
    assert doubled["abs_rel"] == pytest.approx(0.5) and doubled["rmse"] == pytest.approx(5.0)
    assert doubled["rmse_log"] == pytest.approx(math.log(2)) and doubled["a3"] == 0


def test_depth_is_clamped_after_validity():
    # 50 / 0.1 px = 500 m is clamped to 80 m; truth is 10 m.
    metrics = evaluate(data=Pairs([make_pair()]), protocol="depth", source=Fixed(0.1))["metrics"]
    assert metrics["rmse"] == pytest.approx(70)
    capped = evaluate(data=Pairs([make_pair()]), protocol="depth", source=Fixed(0.1), max_depth_m=20)
    assert capped["metrics"]["rmse"] == pytest.approx(10) and capped["protocol"] == "depth:crop=none,cap=20"


@pytest.mark.parametrize("nothing", [0.0, -3.0, np.nan, np.inf])
def test_a_hole_is_filled_for_depth_and_shows_in_density(nothing):
    disparity = np.full(SIZE, 5.0, dtype=np.float32)
    disparity[:, 10:20] = nothing
    disparity[:, 20:] = 2.5
    metrics = evaluate(data=Pairs([make_pair()]), protocol="depth", source=Fixed(disparity))["metrics"]
    # 10 columns right, 10 filled from the background (2.5 px = 20 m), 20 predicted at 20 m; truth is 10 m.
    assert metrics["density"] == 75 and metrics["abs_rel"] == pytest.approx(0.75)
    assert metrics["a3"] == pytest.approx(0.25)


def test_nothing_predicted_at_all_is_as_far_as_can_be():
    metrics = evaluate(data=Pairs([make_pair()]), protocol="depth", source=Fixed(np.nan))["metrics"]
    assert metrics["density"] == 0 and metrics["abs_rel"] == pytest.approx(7.0)


def test_truth_that_the_protocol_cannot_score_is_not_scored():
    far = np.full(SIZE, 0.5, dtype=np.float32)  # 100 m
    far[3, 7] = 5.0
    pair = make_pair("a", far)
    scores = score_image(find_protocol("depth"), pair, np.full(SIZE, 5.0, np.float32), np.ones(SIZE, bool))
    assert scores["num_pixels"] == 1 and scores["abs_rel"] == pytest.approx(0, abs=1e-6)
    with pytest.raises(UserError, match="protocol depth:crop=garg,cap=80 can score"):
        evaluate(data=Pairs([pair]), protocol="depth", source=Fixed(5.0), crop="garg")


def test_metres_need_a_rig_and_take_a_given_one():
    data = Pairs([make_pair(rig=Rig.unknown(40))])
    with pytest.raises(UserError, match="metres need the rig"):
        evaluate(data=data, protocol="depth", source=Fixed(5.0))
    given = evaluate(data=data, protocol="depth", source=Fixed(10.0), rig=replace(RIG, width=0))
    assert given["metrics"]["rmse"] == pytest.approx(5.0)
    half = evaluate(data=data, protocol="depth", source=Fixed(10.0), rig=Rig(focal_px=200.0, baseline_m=0.5, width=80))
    assert half["metrics"]["rmse"] == pytest.approx(5.0)


def test_grey_is_shown_to_the_source_and_named():
    source = Fixed(5.0)
    result = evaluate(data=Pairs([make_pair()]), protocol="stereo", source=source, grey=True)
    image = source.seen[0].left.image
    assert result["protocol"] == "stereo:grey"
    assert image.shape == (3, *SIZE) and torch.equal(image[0], image[1]) and torch.equal(image[1], image[2])
    evaluate(data=Pairs([make_pair()]), protocol="stereo", source=source)
    assert source.seen[1].left.image.std(0).max() > 0


def test_limit_is_named():
    data = Pairs([make_pair("a"), make_pair("b")])
    result = evaluate(data=data, protocol="stereo", source=Fixed(5.0), limit=1, progress=True)
    assert result["protocol"] == "stereo:limit=1" and result["num_images"] == 1


def test_prediction_is_resized_with_its_values():
    disparity = np.full((10, 20), 2.5, dtype=np.float32)
    disparity[:5] = np.nan
    resized, known = at_size(disparity, np.ones((10, 20), bool), SIZE)
    assert resized.shape == SIZE and np.allclose(resized[known], 5.0)
    assert not known[:9].any() and known[11:].all()


def test_exactly_one_thing_to_evaluate():
    data = Pairs([make_pair()])
    for given in ({}, {"weights": "sgbm", "source": Fixed(1.0)}, {"weights": "sgbm", "predictions": "x"}):
        with pytest.raises(UserError, match="exactly one"):
            evaluate(data=data, protocol="stereo", **given)


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
    with pytest.raises(UserError, match="no prediction for pair 'one': expected exactly one of one.png, one.pfm"):
        evaluate(data=tmp_path / "data", protocol="stereo", predictions=guess)
    with pytest.raises(UserError, match="no such folder of predictions"):
        evaluate(data=tmp_path / "data", protocol="stereo", predictions=tmp_path / "absent")


def test_constant_baseline_is_the_median_depth_and_keeps_metres_across_rigs():
    train = Pairs([make_pair("a", 5.0), make_pair("b", 2.5), make_pair("c", 1.0), make_pair("d", None)])
    constant = constant_baseline(train)
    assert constant.value == pytest.approx(20.0) and constant.name == "median-depth constant"
    other = make_pair("z", 10.0, rig=Rig(focal_px=400.0, baseline_m=0.5, width=40))  # truth: 20 m
    metrics = evaluate(data=Pairs([other]), protocol="depth", source=constant)["metrics"]
    assert metrics["abs_rel"] == pytest.approx(0, abs=1e-6) and metrics["density"] == 100
    with pytest.raises(UserError, match="none of them has any"):
        constant_baseline(Pairs([make_pair("d", None)]))


def test_constant_baseline_without_metres_is_a_share_of_the_width():
    unknown = Rig.unknown(40)
    constant = constant_baseline(Pairs([make_pair("a", 5.0, rig=unknown), make_pair("b", 5.0)]))
    assert not constant.metric and constant.value == pytest.approx(5 / 40)
    assert evaluate(data=Pairs([make_pair("c", 5.0)]), protocol="stereo", source=constant)["metrics"]["epe"] < 1e-5


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


def test_a_mono_network_is_compared_in_metres():
    # 10 px of the network's own 1 m rig are 10 m, so 5 px of the data's 0.5 m rig.
    network = mono(10 / 40, {"focal_px": 100.0, "baseline_m": 1.0, "width": 40})
    data = Pairs([make_pair()])
    assert evaluate(data=data, protocol="stereo", weights=network)["metrics"]["epe"] < 1e-5
    result = evaluate(data=data, protocol="depth", weights=network)
    assert result["metrics"]["abs_rel"] < 1e-6 and result["weights"] == "lite_mono"
    # A camera with twice the focal length sees the same disparity at twice the depth.
    tele = make_pair(truth=5.0, rig=Rig(focal_px=200.0, baseline_m=0.5, width=40))
    assert evaluate(data=Pairs([tele]), protocol="depth", weights=network)["metrics"]["abs_rel"] < 1e-6


@pytest.mark.parametrize("rig", [None, {"focal_px": 100.0, "baseline_m": 1.0, "width": 40}])
def test_a_mono_network_without_metres_is_compared_in_pixels(rig, recwarn):
    data = Pairs([make_pair(rig=Rig.unknown(40))])
    assert evaluate(data=data, protocol="stereo", weights=mono(5 / 40, rig))["metrics"]["epe"] < 1e-5
    assert not recwarn.list


def test_a_matcher_sees_height_width_channels_and_the_name():
    class Teacher:
        name, hash = "mine", "0"

        def match(self, left, right, name=""):
            assert left.shape == right.shape == (*SIZE, 3) and left.dtype == np.float32 and name == "a"
            disparity = np.full(SIZE, 5.0, np.float32)
            disparity[0] = 0
            return disparity, (disparity > 0).astype(np.float32)

    result = evaluate(data=Pairs([make_pair()]), protocol="stereo", weights=Teacher())
    assert result["metrics"]["epe"] == 0 and result["metrics"]["density"] == 95 and result["metrics"]["d1"] == 5
    assert result["weights"] == "mine"


def test_labels_of_a_teacher_are_predictions_too(tmp_path):
    write_data(tmp_path)
    assert evaluate(data=tmp_path, protocol="stereo", predictions=tmp_path)["metrics"]["epe"] == 0
    assert evaluate(data=tmp_path, protocol="stereo", weights=tmp_path)["metrics"]["epe"] == 0


def test_unknown_weights_are_one_clear_line(tmp_path):
    for weights in ("no_such_network", "dispnet", str(tmp_path)):
        with pytest.raises(UserError) as error:
            evaluate(data=Pairs([make_pair()]), protocol="stereo", weights=weights)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("protocol", ["kitti-stereo", "depth"])
def test_sgbm_on_a_real_street(real_data, protocol):
    result = evaluate(data=real_data / "kitti2015", protocol=protocol, weights="sgbm", limit=1)
    metrics = result["metrics"]
    assert result["num_images"] == 1 and result["weights"] == "sgbm" and 60 < metrics["density"] < 100
    if protocol == "depth":
        assert 0.02 < metrics["abs_rel"] < 0.15 and metrics["a1"] > 0.85
    else:
        # Every hole counts as wrong, so D1 is at least the share of holes.
        assert metrics["epe"] < 2.5 and 100 - metrics["density"] < metrics["d1"] < 40
