import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stereodistill.ops.thin import thin_things

WIDTH = 12


def scene(height: int = 40, width: int = 60, disparity: float = 10.0) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.full((1, 1, height, width), disparity), torch.ones(1, 1, height, width, dtype=torch.bool)


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        (slice(0, 40), slice(20, 25), True),  # a pole
        (slice(20, 23), slice(5, 50), True),  # a branch
        (slice(0, 40), slice(0, 4), True),  # a pole at the border
        (slice(10, 30), slice(20, 40), False),  # a car
        (slice(0, 40), slice(45, 60), False),  # a wall that the border cuts
    ],
)
def test_what_is_narrower_than_the_window_is_thin(rows, columns, expected):
    disparity, valid = scene()
    disparity[..., rows, columns] = 30
    thing = disparity == 30
    assert torch.equal(thin_things(disparity, valid, WIDTH), thing if expected else torch.zeros_like(thing))


@pytest.mark.parametrize("width_px", [1, 4, 11, 12])
def test_the_limit_is_the_width(width_px):
    for wide, thin in ((width_px, True), (width_px + 1, False)):
        disparity, valid = scene()
        disparity[..., 20 : 20 + wide] = 30
        assert thin_things(disparity, valid, width_px).sum() == thin * wide * 40


def test_a_gap_is_no_thing():
    disparity, valid = scene(disparity=30.0)
    disparity[..., 20:25] = 10
    assert not thin_things(disparity, valid, WIDTH).any()


@given(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
def test_slanted_ground_is_no_thing(slope_x, slope_y):
    _, valid = scene()
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(60.0), indexing="ij")
    ground = (50 + slope_x * columns + slope_y * rows)[None, None]
    inner = thin_things(ground, valid, 6)[..., 3:-3, 3:-3]
    assert not inner.any()


def test_unknown_surroundings_make_nothing_thin():
    disparity, valid = scene()
    disparity[..., 20:25] = 30
    valid[..., :20] = valid[..., 25:] = False
    assert not thin_things(disparity, valid, WIDTH).any()
    valid[..., 27:] = True
    assert not thin_things(disparity, valid, WIDTH).any()  # to the left it may go on
    valid[..., :18] = True
    assert thin_things(disparity, valid, WIDTH)[..., 20:25].all()
    assert not thin_things(disparity, valid, WIDTH)[..., 25:].any()


def test_nothing_known_is_nothing_thin():
    disparity, valid = scene()
    assert not thin_things(disparity, torch.zeros_like(valid), WIDTH).any()
