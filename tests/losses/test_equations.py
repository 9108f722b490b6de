"""Equations 1 to 8 of Guo et al. (ECCV 2018), each written down again in numpy loops over pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stereodistill.errors import UserError
from stereodistill.losses import (
    DistillLoss,
    SupervisedLoss,
    UnsupervisedLoss,
    distill,
    supervised_mono,
    supervised_stereo,
    unsupervised_stereo,
)
from stereodistill.losses.objectives import true_visibility
from stereodistill.types import Prediction, Rig, StereoPair, View

HEIGHT, WIDTH, NUM_SCALES = 16, 24, 3


def maps(generator: np.random.Generator, low: float, high: float) -> list[np.ndarray]:
    """A random map at each scale, finest first."""
    return [generator.uniform(low, high, (HEIGHT >> s, WIDTH >> s)) for s in range(NUM_SCALES)]


def tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))[None, None]


def prediction(disparities: list[np.ndarray], logits: list[np.ndarray] | None = None) -> Prediction:
    return Prediction(disparities=tuple(map(tensor, disparities)), visible_logits=tuple(map(tensor, logits or [])))


@pytest.fixture
def scene() -> dict:
    """Two pictures and two disparities of a wall with a near block; parts of it are hidden from the other camera."""
    g = np.random.default_rng(0)
    left, right = np.full((HEIGHT, WIDTH), 2.0), np.full((HEIGHT, WIDTH), 2.0)
    left[2:6, 10:16], right[2:6, 4:10] = 6.0, 6.0
    return {"left": left, "right": right, "images": g.uniform(0, 1, (2, 3, HEIGHT, WIDTH))}


def pair_of(scene: dict) -> StereoPair:
    def view(side: int, disparity: np.ndarray) -> View:
        image = torch.from_numpy(scene["images"][side].astype(np.float32))[None]
        return View(image=image, disparity=tensor(disparity), valid=tensor(disparity) > 0)

    rig = Rig(focal_px=torch.tensor([20.0]), baseline_m=torch.tensor([0.1]), width=torch.tensor([WIDTH]),
              doffs_px=torch.tensor([0.0]))  # fmt: skip
    return StereoPair(left=view(0, scene["left"]), right=view(1, scene["right"]), rig=rig, name=("scene",))


def visibility(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Eq. 1 for whole disparities."""
    seen = np.zeros_like(left)
    for y in range(left.shape[0]):
        for x in range(left.shape[1]):
            other = x - int(left[y, x])
            seen[y, x] = other >= 0 and abs(right[y, other] - left[y, x]) <= 1
    return seen


def pooled(array: np.ndarray, function) -> list[np.ndarray]:
    """The array at each scale, from 2x2 squares."""
    levels = [array]
    for _ in range(NUM_SCALES - 1):
        a = levels[-1]
        squares = [[a[y : y + 2, x : x + 2] for x in range(0, a.shape[1], 2)] for y in range(0, a.shape[0], 2)]
        levels.append(np.array([[function(square) for square in row] for row in squares]))
    return levels


def test_equation_1_and_the_released_codes_closing_of_pinholes(scene):
    seen = visibility(scene["left"], scene["right"])
    assert 0 < seen.mean() < 1
    assert np.array_equal(true_visibility(pair_of(scene))[0, 0].numpy(), seen.astype(bool))
    closed = np.ones_like(seen)
    for y in range(1, HEIGHT - 1):
        for x in range(1, WIDTH - 1):
            closed[y, x] = seen[y - 1 : y + 2, x - 1 : x + 2].max()
    assert closed.sum() > seen.sum() and closed.min() == 0
    assert np.array_equal(true_visibility(pair_of(scene), close_pinholes=True)[0, 0].numpy(), closed.astype(bool))


@pytest.mark.parametrize("unit_px", [1.0, 20.0])
def test_equations_2_and_3(scene, unit_px):
    g = np.random.default_rng(1)
    guesses, logits = maps(g, 1, 8), maps(g, -2, 2)
    targets = pooled(scene["left"], np.max)
    seen = pooled(visibility(scene["left"], scene["right"]), np.mean)
    disparity = occlusion = 0.0
    for m in range(NUM_SCALES):
        disparity += 2.0**-m * np.abs(guesses[m] - targets[m]).mean() / unit_px
        probability = 1 / (1 + np.exp(-logits[m]))
        entropy = seen[m] * np.log(probability) + (1 - seen[m]) * np.log(1 - probability)
        occlusion += 2.0**-m * -entropy.mean()
    loss = supervised_stereo(prediction(guesses, logits), pair_of(scene), SupervisedLoss(unit_px=unit_px))
    assert loss.terms["disparity"].item() == pytest.approx(disparity, rel=1e-5)
    assert loss.terms["visibility"].item() == pytest.approx(occlusion, rel=1e-5)
    assert loss.total.item() == pytest.approx(disparity + occlusion, rel=1e-5)


def test_sparse_ground_truth_survives_the_pyramid_and_nothing_else_counts(scene):
    g = np.random.default_rng(2)
    sparse = np.where(g.uniform(size=(HEIGHT, WIDTH)) < 0.1, scene["left"], 0.0)
    guesses = maps(g, 1, 8)
    weights = [w * (t > 0) for t, w in zip(pooled(sparse, np.max), pooled((sparse > 0) * 1.0, np.mean))]
    expected = sum(
        2.0**-m * (w * np.abs(d - t)).sum() / w.sum() / 20
        for m, (d, t, w) in enumerate(zip(guesses, pooled(sparse, np.max), weights))
    )
    pair = pair_of({**scene, "left": sparse, "right": np.zeros_like(sparse)})
    loss = supervised_stereo(prediction(guesses), pair, SupervisedLoss(visibility_weight=0))
    assert loss.total.item() == pytest.approx(expected, rel=1e-5)


def absolute_photo(left: np.ndarray, right: np.ndarray, disparity: np.ndarray) -> np.ndarray:
    """`|I_L - I_R warped|`, mean over the channels, without the outermost pixels."""
    out = np.zeros(disparity.shape)
    width = disparity.shape[1]
    for y, x in np.ndindex(*disparity.shape):
        column = np.clip(x - disparity[y, x], 0, width - 1)
        low = min(int(np.floor(column)), width - 2)
        share = column - low
        warped = (1 - share) * right[:, y, low] + share * right[:, y, low + 1]
        out[y, x] = np.abs(left[:, y, x] - warped).mean()
    return out[1:-1, 1:-1]


@pytest.mark.parametrize("released", [False, True])
def test_equations_4_to_7(scene, released):
    """The paper's formulas to the letter, and what the released code makes of them (but for SSIM, see its own test)."""
    g = np.random.default_rng(3)
    guesses, before, logits = maps(g, 1, 6), maps(g, 1, 6), maps(g, -3, 3)
    share, g1, g2, g3 = (0.5, 0.025, 0.05, 0.1) if released else (1.0, 0.05, 0.1, 0.1)
    probability = 1 / (1 + np.exp(-logits[0]))
    visible = pooled((probability > 0.8) * 1.0 if released else probability, np.mean)
    lefts, rights = ([np.stack(level) for level in zip(*(pooled(c, np.mean) for c in i))] for i in scene["images"])
    expected = {"photometric": 0.0, "absolute": 0.0, "relative": 0.0}
    for m in range(NUM_SCALES):
        photo = absolute_photo(lefts[m], rights[m], guesses[m] / 2**m)
        expected["photometric"] += 2.0**-m * (visible[m][1:-1, 1:-1] * photo).mean()
        change = guesses[m] - before[m]
        expected["absolute"] += 2.0**-m * g1 * ((1 - visible[m] + g3) * np.abs(change)).mean()
        slopes = np.abs(np.diff(change, axis=1)).mean() + np.abs(np.diff(change, axis=0)).mean()
        expected["relative"] += 2.0**-m * g2 * share * slopes
    config = UnsupervisedLoss(
        absolute_weight=g1, relative_weight=g2, floor=g3, ssim_share=0,
        visible_above=0.8 if released else None, slope="mean" if released else "sum",
    )  # fmt: skip
    frozen = prediction(before, logits)
    loss = unsupervised_stereo(prediction(guesses), frozen, pair_of(scene), config)
    for name, value in expected.items():
        assert loss.terms[name].item() == pytest.approx(value, rel=1e-4), name


def test_unsupervised_fine_tuning_of_a_network_without_visibility_is_refused(scene):
    guesses = prediction([scene["left"]])
    with pytest.raises(UserError, match=r"estimates visibility.*view_synthesis_stereo"):
        unsupervised_stereo(guesses, guesses, pair_of(scene), UnsupervisedLoss())


@pytest.mark.parametrize("unit_px", [1.0, 20.0, None])
def test_equation_8_counts_only_where_the_teacher_knows(scene, unit_px):
    g = np.random.default_rng(4)
    teacher = np.where(g.uniform(size=(HEIGHT, WIDTH)) < 0.2, 0.0, scene["left"])
    teacher[:4, :8] = 0
    guesses = maps(g, 1, 8)
    expected = 0.0
    for m, (d, t, share) in enumerate(zip(guesses, pooled(teacher, np.max), pooled((teacher > 0) * 1.0, np.mean))):
        expected += 2.0**-m * (share * np.abs(d - t)).sum() / share.sum() / (unit_px or WIDTH / 100)
    pair = pair_of({**scene, "left": teacher})
    for objective in (distill, supervised_mono):
        loss = objective(prediction(guesses), pair, DistillLoss(unit_px=unit_px))
        assert loss.total.item() == pytest.approx(expected, rel=1e-5)


def test_smooth_l1_of_all_three_hourglasses_below_the_largest_disparity(scene):
    """Chang and Chen 2018: 0.5, 0.7 and 1 times smooth L1 over the pixels below 192 (here 5) px."""
    g = np.random.default_rng(5)
    answers = [g.uniform(1, 5, (HEIGHT, WIDTH)) for _ in range(3)]
    inside = scene["left"] < 5

    def smooth(d: np.ndarray) -> float:
        e = np.abs(d - scene["left"])[inside]
        return np.where(e < 1, 0.5 * e**2, e - 0.5).mean()

    final = Prediction(disparities=(tensor(answers[2]),), earlier=tuple(prediction([a]) for a in answers[:2]))
    loss = supervised_stereo(final, pair_of(scene), SupervisedLoss(unit_px=1, smooth_px=1, max_disparity_px=5))
    assert loss.terms["disparity"].item() == pytest.approx(smooth(answers[2]), rel=1e-5)
    assert loss.terms["earlier"].item() == pytest.approx(0.5 * smooth(answers[0]) + 0.7 * smooth(answers[1]), rel=1e-5)


def test_relative_form_pulls_a_negative_output_back():
    guess = torch.full((1, 1, 8, 16), -30.0, requires_grad=True)
    view = View(image=torch.zeros(1, 3, 8, 16), disparity=torch.full((1, 1, 8, 16), 4.0),
                valid=torch.ones(1, 1, 8, 16, dtype=torch.bool))  # fmt: skip
    pair = StereoPair(left=view, right=view, rig=Rig.unknown(16), name=("negative",))
    loss = distill(Prediction(disparities=(guess,)), pair, DistillLoss(form="relative")).total
    loss.backward()
    assert loss.item() == pytest.approx(34 / 4) and bool((guess.grad < 0).all())
