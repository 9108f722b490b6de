import pytest
import torch

from stereodistill.ops.border import continue_left

SIZE = (40, 240)
PLANES = [(60, -0.1, 0.0), (80, -0.12, 0.05), (70, -0.1, -0.05), (30, 0.02, 0.0), (60, 0.0, 0.05)]


def plane(at_border: float, per_column: float, per_row: float = 0.0) -> torch.Tensor:
    """(1, 1, H, W): the disparities of a plane in space."""
    rows, columns = torch.arange(SIZE[0]).float(), torch.arange(SIZE[1]).float()
    return (at_border + per_column * columns + per_row * rows[:, None])[None, None]


def hidden(disparity: torch.Tensor) -> torch.Tensor:
    return torch.arange(disparity.shape[-1]) < disparity


def levelled_off(truth: torch.Tensor) -> torch.Tensor:
    """What a network makes of the strip: the disparity at its end, all the way to the border."""
    end = hidden(truth).sum(dim=-1, keepdim=True)
    return torch.where(hidden(truth), truth.gather(-1, end), truth)


@pytest.mark.parametrize(("at_border", "per_column", "per_row"), PLANES)
def test_a_plane_goes_on(at_border, per_column, per_row):
    truth = plane(at_border, per_column, per_row)
    assert (continue_left(levelled_off(truth)) - truth).abs().max() < 1.2
    assert (continue_left(truth) - truth).abs().max() < 0.2


def test_without_it_slanted_planes_would_be_far_off():
    errors = [(levelled_off(plane(*p)) - plane(*p)).abs().max() for p in PLANES if p[1] < 0]
    assert min(errors) > 5


def test_noise_beside_the_strip_is_averaged():
    noise = torch.randn(1, 1, *SIZE, generator=torch.Generator().manual_seed(0))
    truth = plane(60, -0.1)
    error = continue_left(levelled_off(truth) + noise * ~hidden(truth)) - truth
    assert error[..., :40].abs().mean() < 1  # a level strip is 3.5 px off there
    assert error[..., :40].mean().abs() < 0.5


def test_the_farther_the_guess_is_from_the_line_the_less_the_line_counts():
    truth = plane(60, -0.1)
    moved = []
    for guess in (52, 46, 40, 36):
        given = torch.where(hidden(truth), torch.maximum(torch.tensor(guess), torch.arange(SIZE[1]) + 0.5), truth)
        difference = (truth - given)[..., :30]
        moved.append(((continue_left(given) - given)[..., :30] / difference).mean())
    assert moved == sorted(moved, reverse=True)
    assert moved[0] > 0.7
    assert moved[-1] < 0.01


def test_what_the_right_camera_sees_stays_and_what_it_does_not_see_stays_hidden():
    for seed in range(20):
        maps = torch.rand(2, 1, 30, 200, generator=torch.Generator().manual_seed(seed)) * 190 + 0.1
        continued = continue_left(maps)
        assert torch.equal(continued[~hidden(maps)], maps[~hidden(maps)])
        assert torch.equal(hidden(continued), hidden(maps))


def test_another_surface_in_the_strip_stays():
    truth = plane(60, -0.1)
    truth[..., :20] = 9.0  # a car begins at column 20, before a wall
    given = levelled_off(truth)
    given[..., :20] = 9.0
    continued = continue_left(given)
    assert torch.equal(continued[..., :20], given[..., :20])
    assert (continued - truth)[..., 20:].abs().max() < 0.5 < (given - truth)[..., 20:].abs().max()


def test_columns_and_disparities_twice_as_large_give_disparities_twice_as_large():
    given = levelled_off(plane(40, -0.1))
    twice = continue_left(2 * given.repeat_interleave(2, dim=-1))
    assert (twice[..., ::2] / 2 - continue_left(given)).abs().max() < 0.3


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (50, 40)])
def test_a_map_without_anything_beside_the_strip_stays(size):
    maps = torch.full((2, 1, *size), 60.0 if size[1] < 300 else 299.5)
    assert torch.equal(continue_left(maps), maps)


def test_maps_of_a_batch_do_not_meet_and_keep_their_precision():
    given = torch.cat([levelled_off(plane(*p)) for p in PLANES])
    together = continue_left(given)
    assert torch.equal(together, torch.cat([continue_left(one[None]) for one in given]))
    assert continue_left(given.bfloat16()).dtype == torch.bfloat16


def test_a_row_without_disparity_leaves_its_neighbours_alone():
    truth = plane(60, -0.1)
    given = levelled_off(truth)
    given[..., 20, :] = 0.0
    continued = continue_left(given)
    others = torch.arange(SIZE[0]) != 20
    assert not continued[..., 20, :].any()
    assert (continued - truth)[..., others, :].abs().max() < 0.5
