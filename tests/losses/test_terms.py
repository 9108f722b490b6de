import numpy as np
import pytest
import torch

from stereodistill.losses.terms import masked_l1, masked_mean, matching_cross_entropy, relative_l1, visibility_bce


def test_masked_mean_is_the_mean_of_each_sample_first():
    values = torch.tensor([[1.0, 3.0], [10.0, 50.0]]).reshape(2, 1, 1, 2)
    weight = torch.tensor([[1.0, 1.0], [1.0, 0.0]]).reshape(2, 1, 1, 2)
    assert masked_mean(values, weight).item() == pytest.approx((2 + 10) / 2)


def test_a_sample_without_any_known_pixel_counts_zero():
    values = torch.ones(2, 1, 2, 2)
    weight = torch.zeros(2, 1, 2, 2)
    weight[0] = 1
    assert masked_mean(values, weight).item() == pytest.approx(0.5)


def test_l1_and_relative_l1_equal_numpy():
    g = np.random.default_rng(0)
    d, t = g.uniform(1, 50, (2, 2, 1, 4, 5)).astype("float32")
    w = (g.uniform(size=d.shape) > 0.3).astype("float32")
    l1 = np.mean([(abs(d[b] - t[b]) * w[b]).sum() / w[b].sum() for b in range(2)])
    relative = np.mean([(abs(d[b] - t[b]) / (d[b] + t[b]) * w[b]).sum() / w[b].sum() for b in range(2)])
    tensors = [torch.from_numpy(x) for x in (d, t, w)]
    assert masked_l1(*tensors).item() == pytest.approx(l1, rel=1e-5)
    assert relative_l1(*tensors).item() == pytest.approx(relative, rel=1e-5)


def test_visibility_cross_entropy_equals_the_formula():
    g = np.random.default_rng(1)
    logits, m = g.normal(size=(1, 1, 3, 4)).astype("float32"), g.integers(0, 2, (1, 1, 3, 4)).astype("float32")
    p = 1 / (1 + np.exp(-logits))
    expected = -np.mean(m * np.log(p) + (1 - m) * np.log(1 - p))
    measured = visibility_bce(torch.from_numpy(logits), torch.from_numpy(m), torch.ones(1, 1, 3, 4))
    assert measured.item() == pytest.approx(expected, rel=1e-5)


def test_matching_target_interpolates_between_two_bins():
    # One cell of 2 x 2 pixels, all at 3 px = 1.5 cells: half on bin 1, half on bin 2.
    logits = torch.tensor([0.3, -1.0, 2.0, 0.5]).reshape(1, 4, 1, 1)
    log_p = logits.log_softmax(1).flatten()
    loss = matching_cross_entropy(logits, torch.full((1, 1, 2, 2), 3.0), torch.ones(1, 1, 2, 2), cell_px=2)
    assert loss.item() == pytest.approx(-(log_p[1] + log_p[2]).item() / 2, rel=1e-5)


def test_matching_target_keeps_both_surfaces_of_an_edge_cell():
    logits = torch.randn(1, 5, 1, 1)
    log_p = logits.log_softmax(1).flatten()
    disparity = torch.tensor([[2.0, 8.0], [8.0, 8.0]]).reshape(1, 1, 2, 2)
    weight = torch.ones(1, 1, 2, 2)
    loss = matching_cross_entropy(logits, disparity, weight, cell_px=2)
    assert loss.item() == pytest.approx(-(log_p[1] / 4 + 3 * log_p[4] / 4).item(), rel=1e-5)


def test_matching_ignores_what_the_correlation_cannot_reach():
    logits = torch.randn(1, 3, 1, 2)
    disparity = torch.full((1, 1, 2, 4), 2.0)
    beyond = disparity.clone()
    beyond[..., 2:] = 90.0
    near_only = matching_cross_entropy(logits[..., :1], disparity[..., :2], torch.ones(1, 1, 2, 2), cell_px=2)
    assert matching_cross_entropy(logits, beyond, torch.ones(1, 1, 2, 4), cell_px=2).item() == pytest.approx(
        near_only.item(), rel=1e-5
    )


def test_with_a_near_prior_the_scores_that_cost_least_prefer_the_nearer_of_two_equal_surfaces():
    disparity = torch.tensor([[4.0, 4.0], [8.0, 8.0]]).reshape(1, 1, 2, 2)
    logits = torch.zeros(1, 6, 1, 1, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe")

    def cost():
        optimizer.zero_grad()
        loss = matching_cross_entropy(logits, disparity, torch.ones(1, 1, 2, 2), cell_px=2, near_prior=0.5)
        loss.backward()
        return loss

    optimizer.step(cost)
    assert cost().item() == pytest.approx(np.log(2), abs=1e-3)
    score = logits.detach().flatten()
    assert (score[4] - score[2]).item() == pytest.approx(0.5 * np.log(5 / 3), abs=1e-3)


def test_the_robust_form_is_l1_for_small_errors_and_bends_large_ones():
    ones = torch.ones(1, 1, 1, 1)

    def loss(error, robust):
        return masked_l1(torch.full((1, 1, 1, 1), error), torch.zeros(1, 1, 1, 1), ones, robust).item()

    assert loss(0.01, 8.0) == pytest.approx(0.01, rel=1e-3)
    assert loss(80.0, 8.0) == pytest.approx(8 * np.log(11), rel=1e-5)
    assert loss(80.0, None) == 80.0
