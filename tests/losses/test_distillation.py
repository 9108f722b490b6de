"""What becomes of labels that the teacher doubts, against numpy loops over pixels."""

import numpy as np
import pytest
import torch

from stereodistill.losses import DistillLoss, distill
from stereodistill.losses.distillation import trusted_target
from stereodistill.types import Prediction, Rig, StereoPair, View

HEIGHT, WIDTH, TOLERANCE = 4, 24, 0.8


@pytest.fixture
def labels() -> tuple[np.ndarray, np.ndarray]:
    """A teacher's disparity of both views: noise of up to 2 px on a step, unknown here and there."""
    g = np.random.default_rng(4)
    left, right = (np.where(np.arange(WIDTH) < 13, 3.0, 6.0) + g.uniform(-1, 1, (HEIGHT, WIDTH)) for _ in range(2))
    left[g.random(left.shape) < 0.1] = 0
    right[g.random(right.shape) < 0.1] = 0
    left[3] = 0
    return left.astype(np.float32), right.astype(np.float32)


def pair_of(left: np.ndarray, right: np.ndarray) -> StereoPair:
    def view(disparity: np.ndarray) -> View:
        d = torch.from_numpy(disparity)[None, None]
        return View(image=torch.zeros(1, 3, HEIGHT, WIDTH), disparity=d, valid=d > 0)

    return StereoPair(left=view(left), right=view(right), rig=Rig.unknown(WIDTH), name=("a",))


def confidence_at(left: np.ndarray, right: np.ndarray, y: int, x: int) -> float:
    """exp(-|d_left - d_right(x - d_left)| / tolerance), the right value interpolated along the row."""
    d = left[y, x]
    there = x - d
    if d <= 0 or there < 0 or there > WIDTH - 1:
        return 0.0
    low = int(np.floor(there))
    share = there - low
    value = right[y, low] * (1 - share) + right[y, min(low + 1, WIDTH - 1)] * share
    return float(np.exp(-abs(value - d) / TOLERANCE)) if value > 0 else 0.0


def numpy_target(left: np.ndarray, right: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
    target, weight = np.zeros_like(left), np.zeros_like(left)
    confidence = np.array([[confidence_at(left, right, y, x) for x in range(WIDTH)] for y in range(HEIGHT)])
    for y in range(HEIGHT):
        trusted = [x for x in range(WIDTH) if left[y, x] > 0 and confidence[y, x] > 0.4]
        for x in range(WIDTH):
            if what == "none":
                target[y, x], weight[y, x] = left[y, x], left[y, x] > 0
            elif what == "weight":
                target[y, x], weight[y, x] = left[y, x], (left[y, x] > 0) * max(confidence[y, x], 0.05)
            elif x in trusted:
                target[y, x], weight[y, x] = left[y, x], 1
            elif what == "fill" and trusted:
                neighbours = [t for t in trusted if t < x][-1:] + [t for t in trusted if t > x][:1]
                target[y, x], weight[y, x] = min(left[y, t] for t in neighbours), 1
    return target, weight


@pytest.mark.parametrize("what", ["none", "weight", "mask", "fill"])
def test_target_and_weight_equal_numpy(labels, what):
    config = DistillLoss(confidence=what, tolerance_px=TOLERANCE, floor=0.05, trusted_above=0.4)
    target, weight = trusted_target(pair_of(*labels), config)
    expected_target, expected_weight = numpy_target(*labels, what)
    where = expected_weight > 0
    assert 20 < where.sum() < HEIGHT * WIDTH
    np.testing.assert_allclose(weight[0, 0].numpy(), expected_weight, atol=2e-5)
    np.testing.assert_allclose(target[0, 0].numpy()[where], expected_target[where], atol=1e-5)
    guess = np.full((HEIGHT, WIDTH), 4.0, np.float32)
    prediction = Prediction(disparities=(torch.from_numpy(guess)[None, None],))
    loss = distill(prediction, pair_of(*labels), config.model_copy(update={"unit_px": 1.0})).total.item()
    expected = (np.abs(guess - expected_target) * expected_weight).sum() / expected_weight.sum()
    assert loss == pytest.approx(expected, rel=1e-4)


def test_labels_of_one_view_alone_cannot_be_doubted(labels):
    left, right = labels
    for what in ("weight", "mask", "fill"):
        target, weight = trusted_target(pair_of(left, np.zeros_like(right)), DistillLoss(confidence=what))
        known = torch.from_numpy(left) > 0
        assert torch.equal(target[0, 0][known], torch.from_numpy(left)[known])
        assert bool((weight[0, 0][known] == 1).all())
