"""Metrics against plain loops written from the definitions, and their edge cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stereodistill.evaluation import metrics
from stereodistill.evaluation.metrics import depth_metrics, mean_metrics, stereo_metrics

NAN, INF = math.nan, math.inf


def is_number(value: float) -> bool:
    return not math.isnan(value) and not math.isinf(value) and value > 0


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else NAN


def slow_depth_metrics(pred, truth, mask) -> dict[str, float]:
    scored = [
        (float(p), float(t)) for p, t, m in zip(pred.flat, truth.flat, mask.flat, strict=True) if m and is_number(t)
    ]
    both = [(p, t) for p, t in scored if is_number(p)]
    result = {
        "abs_rel": mean([abs(p - t) / t for p, t in both]),
        "sq_rel": mean([(p - t) ** 2 / t for p, t in both]),
        "rmse": mean([(p - t) ** 2 for p, t in both]) ** 0.5,
        "rmse_log": mean([(math.log(p) - math.log(t)) ** 2 for p, t in both]) ** 0.5,
    }
    for n in (1, 2, 3):
        close = sum(max(p / t, t / p) < 1.25**n for p, t in both)
        result[f"a{n}"] = close / len(scored) if scored else NAN
    return result


def slow_stereo_metrics(pred, truth, valid, pred_valid) -> dict[str, float]:
    num, num_predicted, errors = 0, 0, []
    wrong = {"d1": 0, "bad1": 0, "bad2": 0, "bad3": 0}
    for p, t, v, pv in zip(pred.flat, truth.flat, valid.flat, pred_valid.flat, strict=True):
        if not v or not is_number(t):
            continue
        num += 1
        if not pv or not is_number(p):
            wrong = {key: count + 1 for key, count in wrong.items()}
            continue
        num_predicted += 1
        error = abs(float(p) - float(t))
        errors.append(error)
        wrong["d1"] += error > 3 and error > 0.05 * float(t)
        for n in (1, 2, 3):
            wrong[f"bad{n}"] += error > n
    shares = {key: 100 * count / num if num else NAN for key, count in wrong.items()}
    return {"epe": mean(errors), **shares, "density": 100 * num_predicted / num if num else NAN}


def assert_same(found: dict[str, float], expected: dict[str, float]) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True), key


NUMBERS = st.one_of(
    st.floats(2.0**-9, 300, width=32), st.sampled_from([0.0, -1.0, NAN, INF, -INF, 3.0, 6.0, 60.0, 63.0])
)
MAPS = hnp.array_shapes(min_dims=2, max_dims=2, max_side=6).flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.float32, shape, elements=NUMBERS),
        hnp.arrays(np.float32, shape, elements=NUMBERS),
        hnp.arrays(bool, shape),
        hnp.arrays(bool, shape),
    )
)


@settings(max_examples=150, deadline=None)
@given(MAPS)
def test_both_agree_with_plain_loops(maps):
    pred, truth, mask, pred_valid = maps
    assert_same(depth_metrics(pred, truth, mask), slow_depth_metrics(pred, truth, mask))
    assert_same(stereo_metrics(pred, truth, mask, pred_valid), slow_stereo_metrics(pred, truth, mask, pred_valid))


@settings(max_examples=50, deadline=None)
@given(MAPS)
def test_stereo_relations(maps):
    pred, truth, valid, pred_valid = maps
    found = stereo_metrics(pred, truth, valid, pred_valid)
    if math.isnan(found["d1"]):
        return
    assert 100 >= found["bad1"] >= found["bad2"] >= found["bad3"] >= found["d1"] >= 100 - found["density"] - 1e-9


def test_depth_golden_values():
    truth = np.array([[10.0, 20.0, 40.0, 5.0]])
    pred = np.array([[12.0, 20.0, 30.0, 4.0]])
    found = depth_metrics(pred, truth, np.array([[True, True, True, False]]))
    assert found["abs_rel"] == pytest.approx((0.2 + 0 + 0.25) / 3)
    assert found["sq_rel"] == pytest.approx((0.4 + 0 + 2.5) / 3)
    assert found["rmse"] == pytest.approx(math.sqrt(104 / 3))
    assert found["rmse_log"] == pytest.approx(math.sqrt((math.log(1.2) ** 2 + math.log(0.75) ** 2) / 3))
    assert (found["a1"], found["a2"], found["a3"]) == pytest.approx((2 / 3, 1, 1))


def test_thresholds_are_strict():
    truth = np.array([[8.0, 60.0, 100.0, 100.0]])
    at_three_px = stereo_metrics(np.array([[11.0, 63.0, 103.0, 97.0]]), truth, np.ones((1, 4), bool))
    assert at_three_px["bad3"] == 0 and at_three_px["d1"] == 0 and at_three_px["bad2"] == 100
    # 5 px off is more than 3 px but exactly 5 % of 100: not an outlier; 3.5 px of 8 px is one.
    found = stereo_metrics(np.array([[11.5, 60.0, 105.0, 105.5]]), truth, np.ones((1, 4), bool))
    assert found["d1"] == 50 and found["bad3"] == 75
    # A ratio of exactly 1.25 is outside a1.
    assert depth_metrics(np.array([[5.0]]), np.array([[4.0]]), np.array([[True]]))["a1"] == 0


@pytest.mark.parametrize("nothing", [0.0, -2.0, NAN, INF, -INF])
def test_an_invalid_prediction_counts_as_wrong(nothing):
    truth, everywhere = np.array([[10.0, 10.0]]), np.ones((1, 2), bool)
    pred = np.array([[10.5, nothing]])
    found = stereo_metrics(pred, truth, everywhere)
    assert found == {"epe": 0.5, "d1": 50, "bad1": 50, "bad2": 50, "bad3": 50, "density": 50}
    depth = depth_metrics(pred, truth, everywhere)
    assert depth["abs_rel"] == pytest.approx(0.05) and depth["a3"] == 0.5


def test_no_truth_gives_nan_and_no_prediction_gives_all_wrong():
    ones, nowhere = np.ones((2, 2)), np.zeros((2, 2), bool)
    assert all(math.isnan(v) for v in stereo_metrics(ones, ones, nowhere).values())
    assert all(math.isnan(v) for v in depth_metrics(ones, ones, nowhere).values())
    found = stereo_metrics(ones, ones, ~nowhere, nowhere)
    assert math.isnan(found["epe"]) and found["d1"] == 100 and found["density"] == 0


def test_mean_leaves_out_what_is_undefined():
    found = mean_metrics([{"epe": 1.0, "d1": 0.0}, {"epe": NAN, "d1": 100.0}, {"epe": 2.0, "d1": 50.0}])
    assert found == {"epe": 1.5, "d1": 50.0}
    assert math.isnan(mean_metrics([{"epe": NAN}])["epe"])


def test_keys_are_the_contract():
    one = np.ones((1, 1))
    assert tuple(depth_metrics(one, one, one > 0)) == metrics.DEPTH_METRICS
    assert tuple(stereo_metrics(one, one, one > 0)) == metrics.STEREO_METRICS


def test_shapes_must_agree():
    with pytest.raises(AssertionError, match="differ in shape"):
        stereo_metrics(np.ones((2, 3)), np.ones((3, 2)), np.ones((3, 2), bool))
