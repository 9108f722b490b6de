"""`evaluate` on small made-up pairs: what is scored, what is refused, what the result looks like."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from stereodistill.errors import UserError
from stereodistill.evaluation import Estimate, evaluate, find_protocol, score_image, shortfall
from stereodistill.types import Rig, StereoPair

RIG = Rig(focal_px=100.0, baseline_m=0.5, width=40)  # as in conftest.py
SIZE = (20, 40)


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


def test_result_has_exactly_the_fields_of_the_contract(make_pair, pairs_of):
    data = pairs_of([make_pair("a", 5.0), make_pair("b", 10.0)])
    result = evaluate(data=data, protocol="stereo", source=Fixed(5.5))
    assert list(result) == [
        "protocol", "options", "data", "num_images", "num_expected", "skipped", "metrics", "weights", "per_image",
    ]  # fmt: skip
    assert result["options"] == {"maxdisp": None, "flip": False, "grey": False, "limit": None}
    assert (result["data"], result["num_expected"], result["skipped"]) == (None, None, [])
    assert (result["protocol"], result["num_images"], result["weights"]) == ("stereo", 2, "fixed")
    assert [row["name"] for row in result["per_image"]] == ["a", "b"]
    assert result["metrics"]["epe"] == pytest.approx((0.5 + 4.5) / 2)
    assert result["metrics"]["d1"] == 50 and result["metrics"]["density"] == 100
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_pooled_metrics_weigh_pixels_and_plain_ones_images(make_pair, pairs_of):
    sparse = np.zeros(SIZE, dtype=np.float32)
    sparse[:10] = 20.0
    result = evaluate(
        data=pairs_of([make_pair("a", 5.0), make_pair("b", sparse)]), protocol="stereo", source=Fixed(5.0)
    )
    assert result["metrics"]["d1"] == 50 and result["metrics"]["d1_pooled"] == pytest.approx(100 / 3)
    assert result["metrics"]["epe"] == 7.5 and result["metrics"]["epe_pooled"] == pytest.approx(5.0)


def test_pairs_without_truth_are_passed_over_and_told(make_pair, pairs_of, caplog):
    data = pairs_of([make_pair("a"), make_pair("b", None), make_pair("c", None)])
    source = Fixed(5.0)
    with caplog.at_level(logging.WARNING):
        result = evaluate(data=data, protocol="stereo", source=source)
    assert result["num_images"] == 1 and len(source.seen) == 1
    assert "2 of 3 pairs have no ground truth" in caplog.text
    with pytest.raises(UserError, match="none of the 2 pairs has ground truth"):
        evaluate(data=pairs_of(data.pairs[1:]), protocol="stereo", source=source)


def test_an_image_with_no_valid_prediction_is_wrong_not_absent(make_pair, pairs_of):
    class Never(Fixed):
        def __call__(self, pair):
            return (super().__call__(pair)[0] * 0, np.ones(SIZE, bool)) if pair.name == "b" else super().__call__(pair)

    result = evaluate(data=pairs_of([make_pair("a"), make_pair("b")]), protocol="stereo", source=Never(5.0))
    assert result["per_image"][1]["epe"] is None and result["per_image"][1]["d1"] == 100
    assert result["metrics"]["epe"] == 0 and result["metrics"]["d1"] == 50 and result["metrics"]["d1_pooled"] == 50


def test_depth_of_a_perfect_and_of_a_doubled_disparity(make_pair, pairs_of):
    perfect = evaluate(data=pairs_of([make_pair()]), protocol="depth", source=Fixed(5.0))["metrics"]
    assert perfect["abs_rel"] == pytest.approx(0, abs=1e-6) and perfect["a1"] == 1
    doubled = evaluate(data=pairs_of([make_pair()]), protocol="depth", source=Fixed(10.0))["metrics"]
    assert doubled["abs_rel"] == pytest.approx(0.5) and doubled["rmse"] == pytest.approx(5.0)
    assert doubled["rmse_log"] == pytest.approx(math.log(2)) and doubled["a3"] == 0


def test_depth_is_clamped_after_validity(make_pair, pairs_of):
    # 50 / 0.1 px = 500 m is clamped to 80 m; truth is 10 m.
    metrics = evaluate(data=pairs_of([make_pair()]), protocol="depth", source=Fixed(0.1))["metrics"]
    assert metrics["rmse"] == pytest.approx(70)
    capped = evaluate(data=pairs_of([make_pair()]), protocol="depth", source=Fixed(0.1), max_depth_m=20)
    assert capped["metrics"]["rmse"] == pytest.approx(10) and capped["protocol"] == "depth:crop=none,cap=20"


@pytest.mark.parametrize("nothing", [0.0, -3.0, np.nan, np.inf])
def test_a_hole_is_filled_for_depth_and_shows_in_density(make_pair, pairs_of, nothing):
    disparity = np.full(SIZE, 5.0, dtype=np.float32)
    disparity[:, 10:20] = nothing
    disparity[:, 20:] = 2.5
    metrics = evaluate(data=pairs_of([make_pair()]), protocol="depth", source=Fixed(disparity))["metrics"]
    # 10 columns right, 10 filled from the background (2.5 px = 20 m), 20 predicted at 20 m; truth is 10 m.
    assert metrics["density"] == 75 and metrics["abs_rel"] == pytest.approx(0.75)
    assert metrics["a3"] == pytest.approx(0.25)


def test_nothing_predicted_at_all_is_as_far_as_can_be(make_pair, pairs_of):
    metrics = evaluate(data=pairs_of([make_pair()]), protocol="depth", source=Fixed(np.nan))["metrics"]
    assert metrics["density"] == 0 and metrics["abs_rel"] == pytest.approx(7.0)


def test_truth_that_the_protocol_cannot_score_is_not_scored(make_pair, pairs_of):
    far = np.full(SIZE, 0.5, dtype=np.float32)  # 100 m
    far[3, 7] = 5.0
    pair = make_pair("a", far)
    scores = score_image(
        find_protocol("depth"), pair, Estimate(values=np.full(SIZE, 5.0, np.float32), valid=np.ones(SIZE, bool))
    )
    assert scores["num_pixels"] == 1 and scores["abs_rel"] == pytest.approx(0, abs=1e-6)
    with pytest.raises(UserError, match="protocol depth:crop=garg,cap=80 can score"):
        evaluate(data=pairs_of([pair]), protocol="depth", source=Fixed(5.0), crop="garg")


def test_metres_need_a_rig_and_take_a_given_one(make_pair, pairs_of):
    data = pairs_of([make_pair(rig=Rig.unknown(40))])
    with pytest.raises(UserError, match="metres need the rig"):
        evaluate(data=data, protocol="depth", source=Fixed(5.0))
    given = evaluate(data=data, protocol="depth", source=Fixed(10.0), rig=replace(RIG, width=0))
    assert given["metrics"]["rmse"] == pytest.approx(5.0)
    half = evaluate(data=data, protocol="depth", source=Fixed(10.0), rig=Rig(focal_px=200.0, baseline_m=0.5, width=80))
    assert half["metrics"]["rmse"] == pytest.approx(5.0)


def test_grey_is_shown_to_the_source_and_named(make_pair, pairs_of):
    source = Fixed(5.0)
    result = evaluate(data=pairs_of([make_pair()]), protocol="stereo", source=source, grey=True)
    image = source.seen[0].left.image
    assert result["protocol"] == "stereo:grey"
    assert image.shape == (3, *SIZE) and torch.equal(image[0], image[1]) and torch.equal(image[1], image[2])
    evaluate(data=pairs_of([make_pair()]), protocol="stereo", source=source)
    assert source.seen[1].left.image.std(0).max() > 0


def test_limit_is_named(make_pair, pairs_of):
    data = pairs_of([make_pair("a"), make_pair("b")])
    result = evaluate(data=data, protocol="stereo", source=Fixed(5.0), limit=1, progress=True)
    assert result["protocol"] == "stereo:limit=1" and result["num_images"] == 1


def test_exactly_one_thing_to_evaluate(make_pair, pairs_of):
    data = pairs_of([make_pair()])
    for given in ({}, {"weights": "sgbm", "source": Fixed(1.0)}, {"weights": "sgbm", "predictions": "x"}):
        with pytest.raises(UserError, match="exactly one"):
            evaluate(data=data, protocol="stereo", **given)


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


@dataclass
class Spoiled:
    """Pairs of which some cannot be read."""

    pairs: list[StereoPair]
    broken: tuple[int, ...]
    total: int = 4
    title: str = "made_up:test"

    @property
    def names(self) -> list[str]:
        return [str(pair.name) for pair in self.pairs]

    def __len__(self) -> int:
        return len(self.pairs)

    def load(self, index: int) -> StereoPair:
        if index in self.broken:
            raise UserError(f"no file /discs/{index}.png: check the path")
        return self.pairs[index]


def test_unreadable_pairs_stop_or_are_left_out_and_named(make_pair, caplog):
    data = Spoiled([make_pair("a"), make_pair("b"), make_pair("c"), make_pair("d", None)], broken=(1,))
    with pytest.raises(UserError, match=r"^pair b: no file /discs/1.png: check the path; .* with --on-error skip$"):
        evaluate(data=data, protocol="stereo", source=Fixed(5.0))
    with caplog.at_level(logging.WARNING):
        result = evaluate(data=data, protocol="stereo", source=Fixed(5.0), on_error="skip")
    assert "1 of 4 pairs have no ground truth" in caplog.text
    assert result["num_images"] == 2 and [row["name"] for row in result["per_image"]] == ["a", "c"]
    assert result["skipped"] == [{"name": "b", "reason": "no file /discs/1.png: check the path"}]
    assert (result["data"], result["num_expected"]) == ("made_up:test", 4)
    assert shortfall(result) == "2 of 4 images" and json.loads(json.dumps(result)) == result
    with pytest.raises(UserError, match="none of the 4 pairs has ground truth .*; 3 cannot be read, the first: no f"):
        evaluate(data=replace(data, broken=(0, 1, 2)), protocol="stereo", source=Fixed(5.0), on_error="skip")


def test_shortfall_in_words():
    assert shortfall({"num_images": 697, "num_expected": 697}) == ""
    assert shortfall({"num_images": 7, "num_expected": None}) == shortfall({"num_images": 7}) == ""
    assert shortfall({"num_images": 652, "num_expected": 697}) == "652 of 697 images"
    assert shortfall({"num_images": 888, "num_expected": 697}) == "888 images, not the 697 of the test set"


@pytest.mark.parametrize("protocol", ["eigen", "eigen-50m", "eigen-lidar-view", "eigen-improved", "make3d"])
def test_lidar_protocols_refuse_data_without_lidar(make_pair, pairs_of, protocol):
    with pytest.raises(UserError, match="open the data set by name .* for any other ground truth take 'depth'"):
        evaluate(data=pairs_of([make_pair()]), protocol=protocol, source=Fixed(5.0))
    with pytest.raises(UserError, match="no mask of moving objects; open kitti_stereo:2015=ROOT"):
        evaluate(data=pairs_of([make_pair()]), protocol="kitti-stereo:region=fg", source=Fixed(5.0))


@pytest.mark.parametrize(
    ("protocol", "measured_by"),
    [("eigen", "improved"), ("eigen-improved", "lidar"), ("eigen-lidar-view", "rendered"), ("make3d", "lidar")],
)
def test_a_protocol_refuses_another_kind_of_ground_truth(make_pair, pairs_of, protocol, measured_by):
    data = pairs_of([make_pair()])
    data.depth, data.depth_from, data.title = (lambda index: None), measured_by, "somewhere:test"
    with pytest.raises(UserError, match="somewhere:test has"):
        evaluate(data=data, protocol=protocol, source=lambda pair: (pair.left.disparity[0].numpy(), None))
