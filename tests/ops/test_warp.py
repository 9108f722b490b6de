import pytest
import torch

from stereodistill.ops.warp import visible_in_left, visible_in_right, warp_to_left, warp_to_right


def shifted_pair(shift: int, width: int = 40):
    """A random strip seen by two cameras at a constant disparity."""
    strip = torch.rand(2, 3, 5, width + shift)
    return strip[..., :width], strip[..., shift:], torch.full((2, 1, 5, width), float(shift))


@pytest.mark.parametrize("shift", [0, 1, 7])
def test_warping_by_the_true_disparity_rebuilds_the_other_view(shift):
    left, right, disparity = shifted_pair(shift)
    rebuilt, inside = warp_to_left(right, disparity)
    assert torch.equal(rebuilt * inside, left * inside)
    assert inside.sum() == inside.numel() * (40 - shift) / 40
    rebuilt, inside = warp_to_right(left, disparity)
    assert torch.equal(rebuilt * inside, right * inside)


def test_half_a_pixel_is_the_mean_of_two():
    right = torch.tensor([0.0, 2.0, 10.0]).reshape(1, 1, 1, 3)
    warped, inside = warp_to_left(right, torch.full((1, 1, 1, 3), 0.5))
    assert warped.flatten().tolist() == [0.0, 1.0, 6.0]
    assert inside.flatten().tolist() == [False, True, True]


def test_unbatched_and_batched_agree():
    right, disparity = torch.rand(3, 4, 9), torch.rand(1, 4, 9) * 3
    alone, _ = warp_to_left(right, disparity)
    batch, _ = warp_to_left(right[None], disparity[None])
    assert torch.equal(alone, batch[0])


def test_gradients_reach_image_and_disparity():
    right = torch.rand(1, 2, 2, 8, dtype=torch.float64, requires_grad=True)
    disparity = (torch.rand(1, 1, 2, 8, dtype=torch.float64) * 0.8 + 1.1).requires_grad_()
    warped, inside = warp_to_left(right, disparity)
    (warped * inside).sum().backward()
    inner = right.detach()
    x = torch.arange(8) - disparity.detach()
    slope = inner.gather(-1, (x.floor().long() + 1).clamp(0, 7).expand_as(inner)) - inner.gather(
        -1, x.floor().long().clamp(0, 7).expand_as(inner)
    )
    expected = -(slope * inside).sum(1, keepdim=True)
    assert torch.allclose(disparity.grad, expected, atol=1e-6)
    assert right.grad.sum() == pytest.approx(float(inside.sum()) * 2, rel=1e-5)


def test_nan_disparity_is_never_inside():
    _, inside = warp_to_left(torch.rand(1, 1, 1, 4), torch.full((1, 1, 1, 4), torch.nan))
    assert not inside.any()


def scene_with_a_near_bar():
    """Background at 2 px, a bar at 6 px over left columns 12..17: worked out by hand."""
    left, right = torch.full((1, 1, 1, 30), 2.0), torch.full((1, 1, 1, 30), 2.0)
    left[..., 12:18] = 6.0
    right[..., 6:12] = 6.0
    return left, right


def test_visibility_of_a_bar_before_a_wall():
    left, right = scene_with_a_near_bar()
    visible = visible_in_right(left, right).flatten()
    # The wall at left x shows at right x - 2; the bar covers right 6..11, so left 8..11 (left of the bar) is hidden.
    hidden = {0, 1, 8, 9, 10, 11}
    assert {i for i in range(30) if not visible[i]} == hidden
    visible = visible_in_left(right, left).flatten()
    # Right view: wall at right x shows at left x + 2; the bar covers left 12..17, so right 12..15 is hidden.
    assert {i for i in range(30) if not visible[i]} == {12, 13, 14, 15, 28, 29}


def test_visibility_is_mirror_symmetric():
    left, right = torch.rand(1, 1, 3, 20) * 4, torch.rand(1, 1, 3, 20) * 4
    mirrored = visible_in_right(right.flip(-1), left.flip(-1)).flip(-1)
    assert torch.equal(visible_in_left(right, left), mirrored)
