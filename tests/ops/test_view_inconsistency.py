import pytest
import torch

from stereodistill.ops.view_inconsistency import view_inconsistency
from stereodistill.ops.warp import warp_to_left

SIZE, DISPARITY = (80, 160), 12.0
PATCH = (..., slice(20, 50), slice(60, 110))


def texture(seed: int) -> torch.Tensor:
    """(1, 3, H, W), blotches of several pixels."""
    noise = torch.rand(1, 3, SIZE[0] // 4, SIZE[1] // 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(noise, size=SIZE, mode="bilinear")


def views() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Left and right picture of a wall, its disparity, and what both cameras see of it."""
    right, disparity = texture(0), torch.full((1, 1, *SIZE), DISPARITY)
    left, inside = warp_to_left(right, disparity)
    return left, right, disparity, inside


def test_a_wall_looks_alike():
    assert not view_inconsistency(*views()).any()


@pytest.mark.parametrize(
    "change",
    [lambda x: 0.6 * x, lambda x: x**1.5, lambda x: 0.5 * x + 0.3],
    ids=["exposure", "gamma", "haze"],
)
def test_exposure_gamma_and_haze_do_not_count(change):
    left, right, disparity, visible = views()
    assert not view_inconsistency(left, change(right), disparity, visible).any()


def test_noise_on_a_plain_wall_does_not_count():
    noise = 0.005 * torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    _, _, disparity, visible = views()
    assert not view_inconsistency(0.5 + noise[:1], 0.5 + noise[1:], disparity, visible).any()


def test_a_pane_that_mirrors_something_else_does_count():
    left, right, disparity, visible = views()
    left[PATCH] = texture(7)[PATCH]
    unlike = view_inconsistency(left, right, disparity, visible)
    assert unlike[PATCH].float().mean() > 0.9
    unlike[..., 10:60, 50:120] = False  # local contrast is taken over about 12 pixels
    assert not unlike.any()


def test_what_moves_behind_a_pane_does_count():
    """The pane is at 12 px; what it shows is matched at 6."""
    left, right, disparity, visible = views()
    behind, _ = warp_to_left(right, disparity - 6)
    left[PATCH] = behind[PATCH]
    assert view_inconsistency(left, right, disparity, visible)[PATCH].float().mean() > 0.8


def test_hidden_pixels_are_never_told_unlike():
    left, right, disparity, visible = views()
    left[PATCH] = texture(7)[PATCH]
    visible = visible.clone()
    visible[PATCH] = False
    assert not view_inconsistency(left, right, disparity, visible)[PATCH].any()


def test_a_row_off_changes_little():
    left, right, disparity, visible = views()
    assert view_inconsistency(left, right.roll(1, dims=-2), disparity, visible)[..., 2:, :].float().mean() < 0.05
