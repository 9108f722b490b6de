import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stereodistill.ops.resize import (
    disparity_pyramid,
    is_sparse,
    mask_pyramid,
    resize_disparity,
    resize_image,
    resize_mask,
    resize_truth,
    size_of_shape,
)

sizes = st.tuples(st.integers(4, 30), st.integers(4, 40))


@given(sizes, sizes)
def test_a_plane_keeps_its_disparity_as_a_share_of_the_width(old, new):
    disparity = torch.full((1, *old), 0.1 * old[1])
    for mode in ("bilinear", "nearest"):
        resized = resize_disparity(disparity, new, mode)
        assert resized.shape == (1, *new)
        assert torch.allclose(resized, torch.full((1, *new), 0.1 * new[1]), rtol=1e-5)


def test_unknown_pixels_do_not_pull_known_ones_down():
    disparity = torch.zeros(1, 1, 4, 8)
    disparity[..., :4] = 10.0
    resized = resize_disparity(disparity, (8, 16))
    assert set(resized.unique().tolist()) == {0.0, 20.0}


def test_same_size_is_the_identity():
    image = torch.rand(3, 7, 9)
    assert resize_image(image, (7, 9)) is image
    assert resize_disparity(image[:1], (7, 9)) is not None
    mask = image[:1] > 0.5
    assert torch.equal(resize_mask(mask, (7, 9)), mask)


def test_shrinking_an_image_averages():
    checks = (torch.arange(64).reshape(8, 8).sum(0) * 0 + torch.arange(8)[:, None] + torch.arange(8)) % 2
    shrunk = resize_image(checks[None].float().repeat(3, 1, 1), (2, 2))
    assert torch.allclose(shrunk, torch.full((3, 2, 2), 0.5), atol=0.05)


def test_max_pool_pyramid_keeps_sparse_points_and_full_resolution_pixels():
    sparse = torch.zeros(1, 1, 8, 8)
    sparse[0, 0, 5, 2] = 17.0
    levels = disparity_pyramid(sparse, 4)
    assert [tuple(level.shape[-2:]) for level in levels] == [(8, 8), (4, 4), (2, 2), (1, 1)]
    assert [level.max().item() for level in levels] == [17.0] * 4
    assert [int((level > 0).sum()) for level in levels] == [1] * 4


def test_odd_sizes_keep_their_last_pixel():
    assert disparity_pyramid(torch.ones(1, 1, 5, 7), 2)[1].shape == (1, 1, 3, 4)
    mask = torch.ones(1, 1, 5, 7, dtype=torch.bool)
    assert torch.equal(mask_pyramid(mask, 2)[1], torch.ones(1, 1, 3, 4))


def test_mask_pyramid_is_the_share():
    mask = torch.tensor([[True, False], [False, False]]).reshape(1, 1, 2, 2)
    assert mask_pyramid(mask, 2)[1].item() == 0.25


def test_crisp_has_no_stairs_on_a_slope_and_no_values_between_surfaces():
    rows = torch.arange(20.0)[:, None].expand(20, 30) * 0.4 + 5
    scene = rows.clone()
    scene[:, 15:] += 40
    resized = resize_disparity(scene[None], (30, 30), mode="crisp")[0]
    slope = resized[3:-3, 4].diff()
    assert torch.allclose(slope, torch.full_like(slope, 0.4 * 20 / 30), atol=1e-4)
    wide = resize_disparity(scene[None], (20, 60), mode="crisp")[0]
    assert ((wide / 2 - rows[:, :1]).abs().minimum((wide / 2 - 40 - rows[:, :1]).abs()) < 0.5).all()


def test_crisp_keeps_sparse_points():
    sparse = torch.zeros(1, 8, 8)
    sparse[0, 3, 5] = 6.0
    assert resize_disparity(sparse, (16, 16), mode="crisp").unique().tolist() == [0.0, 12.0]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((375, 1242), (192, 640)),
        ((1080, 1920), (256, 480)),
        ((1920, 1080), (480, 256)),
        ((480, 640), (288, 416)),
        ((100, 100), (128, 128)),
        ((10, 4000), (64, 4000)),
    ],
)
def test_a_size_of_a_shape_has_the_pixels_and_the_aspect(size, expected):
    found = size_of_shape(*size, 192 * 640)
    assert found == expected
    assert all(side % 32 == 0 and side >= 64 for side in found)


@pytest.mark.parametrize("size", [(96, 192), (375, 1242), (120, 500), (700, 1300)])
def test_no_sparse_point_is_lost_but_to_a_nearer_one_and_none_is_invented(size):
    generator = np.random.default_rng(0)
    height, width = 375, 1242
    rows, columns = generator.integers(0, height, 20_000), generator.integers(0, width, 20_000)
    sparse = np.zeros((height, width), np.float32)
    sparse[rows, columns] = generator.uniform(1, 80, 20_000)
    cells: dict[tuple[int, int], float] = {}
    for y, x in zip(*np.nonzero(sparse), strict=True):
        cell = int((y + 0.5) * size[0] / height), int((x + 0.5) * size[1] / width)
        cells[cell] = max(cells.get(cell, 0.0), sparse[y, x] * size[1] / width)
    expected = np.zeros(size, np.float32)
    for cell, value in cells.items():
        expected[cell] = value
    moved, valid = resize_truth(torch.from_numpy(sparse)[None], torch.from_numpy(sparse)[None] > 0, size)
    np.testing.assert_allclose(moved[0].numpy(), expected, rtol=1e-6)
    assert torch.equal(valid, moved > 0)


def test_points_and_surfaces_are_told_apart():
    generator = torch.Generator().manual_seed(0)
    dense = torch.rand(1, 64, 96, generator=generator) + 5
    chance = torch.rand(1, 64, 96, generator=generator)
    below = torch.arange(64)[:, None].expand(64, 96) >= 24
    assert not is_sparse(dense) and not is_sparse(dense * (chance > 0.3))
    assert not is_sparse(dense * below[None]) and not is_sparse(dense * below.flip(0)[None])
    assert is_sparse(dense * (chance > 0.95) * below) and is_sparse(dense * (chance > 0.7))
    masked = resize_truth(dense, below[None], (32, 48))[1]
    assert torch.equal(masked[0], below[::2, ::2]), "a mask of a dense map is resampled"
