"""Godard et al. 2017's loss against its definition in numpy, and what it must be smallest at."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stereodistill.losses import GodardLoss, view_synthesis
from stereodistill.losses.view_synthesis import smoothness
from stereodistill.types import Loss, Prediction, Rig, StereoPair, View

HEIGHT, WIDTH = 6, 20


def pair_of(left: np.ndarray, right: np.ndarray) -> StereoPair:
    views = [View.unlabelled(torch.from_numpy(i.astype(np.float32))[None]) for i in (left, right)]
    return StereoPair(left=views[0], right=views[1], rig=Rig.unknown(WIDTH), name=("pair",))


def answer(*maps: np.ndarray) -> Prediction:
    return Prediction(disparities=tuple(torch.from_numpy(m.astype(np.float32))[None, None] for m in maps))


def godard(left: Prediction, right: Prediction, pair: StereoPair, config: GodardLoss) -> Loss:
    both = Prediction(disparities=left.disparities, disparities_right=right.disparities)
    return view_synthesis(both, pair, config)


def sampled(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(C, H, W) at fractional columns (H, W), border repeated."""
    out = np.zeros_like(rows)
    for y, x in np.ndindex(*columns.shape):
        at = np.clip(columns[y, x], 0, rows.shape[2] - 1)
        low = min(int(np.floor(at)), rows.shape[2] - 2)
        out[:, y, x] = rows[:, y, low] * (1 - at + low) + rows[:, y, low + 1] * (at - low)
    return out


def test_terms_equal_their_definition():
    g = np.random.default_rng(0)
    images, disparities = g.uniform(0, 1, (2, 3, HEIGHT, WIDTH)), g.uniform(0, 5, (2, HEIGHT, WIDTH))
    columns = np.arange(WIDTH)[None]
    at = columns - disparities[0], columns + disparities[1]
    photo = sum(np.abs(images[i] - sampled(images[1 - i], at[i]))[:, 1:-1, 1:-1].mean() for i in (0, 1))
    consistency = sum(
        np.abs(disparities[i] - sampled(disparities[1 - i][None], at[i])[0]).mean() / WIDTH for i in (0, 1)
    )
    smooth = 0.0
    for i in (0, 1):
        for axis in (1, 0):
            edge = np.exp(-np.abs(np.diff(images[i], axis=axis + 1)).mean(0))
            smooth += (np.abs(np.diff(disparities[i] / WIDTH, axis=axis)) * edge).mean()
    terms = godard(*map(answer, disparities), pair_of(*images), GodardLoss(ssim_share=0)).terms
    assert terms["photometric"].item() == pytest.approx(photo, rel=1e-4)
    assert terms["consistency"].item() == pytest.approx(consistency, rel=1e-4)
    assert terms["smoothness"].item() == pytest.approx(0.1 * smooth, rel=1e-4)


def test_coarser_scales_halve_the_smoothness_and_keep_the_units():
    """On flat pictures, a ramp of the same slope in the image costs twice as much per step at half the size."""
    flat = np.full((3, 8, 32), 0.5)
    fine = np.tile(np.arange(32) / 8, (8, 1))
    coarse = np.tile(np.arange(16) / 4, (4, 1))
    pair = pair_of(flat, flat)
    one = godard(answer(fine), answer(fine), pair, GodardLoss()).terms
    two = godard(answer(fine, coarse), answer(fine, coarse), pair, GodardLoss()).terms
    assert one["photometric"].item() == pytest.approx(0, abs=1e-6)
    assert two["smoothness"].item() == pytest.approx(2 * one["smoothness"].item(), rel=1e-5)


def test_the_true_disparity_costs_least():
    strip = np.random.default_rng(1).uniform(0, 1, (3, 10, 40))
    pair = pair_of(strip[..., :32], strip[..., 4:36])

    def total(d: float) -> float:
        guess = answer(np.full((10, 32), d))
        return godard(guess, guess, pair, GodardLoss()).total.item()

    assert total(4.0) < min(total(3.0), total(3.5), total(4.5), total(5.0))


def test_a_step_is_cheaper_on_an_edge_of_the_image():
    step = torch.zeros(1, 1, 4, 8)
    step[..., 4:] = 1
    flat = torch.zeros(1, 3, 4, 8)
    edge = flat.clone()
    edge[..., 4:] = 1
    assert smoothness(step, flat, 1).item() == pytest.approx(1 / 7)
    assert smoothness(step, edge, 1).item() == pytest.approx(np.exp(-1) / 7)
