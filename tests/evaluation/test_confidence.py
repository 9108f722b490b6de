import numpy as np
import pytest

from stereodistill.evaluation.confidence import confidence_metrics


def scored(disparity, confidence, truth):
    maps = [np.array([row], dtype=np.float32) for row in (disparity, confidence, truth)]
    return confidence_metrics(*maps, valid=maps[2] > 0)


def test_worked_out_by_hand():
    # Truth 10 everywhere but one unknown pixel; errors 0, 1, 10, 10, unknown prediction.
    result = scored([10, 11, 20, 20, 0, 5], [0.9, 0.4, 0.4, 0.1, 0.9, 0.9], [10, 10, 10, 10, 10, 0])
    # Right: .9 .4; wrong: .4 .1 and the unusable one, 0.  Of 6 comparisons 5 are won and one is a tie.
    assert result["auc"] == pytest.approx(5.5 / 6)
    assert result["d1"] == pytest.approx(60) and result["kept"] == pytest.approx(20)
    assert result["precision"] == pytest.approx(100) and result["recall"] == pytest.approx(50)


def test_a_small_error_of_a_near_surface_is_right():
    assert scored([104], [1], [100])["d1"] == 0 and scored([14], [1], [10])["d1"] == 100


def test_nothing_known_is_nan_and_constant_confidence_knows_nothing():
    assert np.isnan(scored([10, 10], [1, 1], [10, 10])["auc"])
    assert scored([10, 20, 10], [0.7] * 3, [10, 10, 10])["auc"] == 0.5


def test_auc_equals_all_pairs():
    rng = np.random.default_rng(0)
    truth = np.full(300, 50.0)
    disparity = truth + rng.normal(0, 4, 300)
    confidence = np.round(np.exp(-np.abs(disparity - truth) / 5) + rng.normal(0, 0.2, 300), 1).clip(0, 1)
    right = np.abs(disparity.astype(np.float32) - 50) <= 3
    pairs = [(a > b) + 0.5 * (a == b) for a in confidence[right] for b in confidence[~right]]
    assert scored(disparity, confidence, truth)["auc"] == pytest.approx(np.mean(pairs), abs=1e-6)
