"""Laws of the world `room`."""

import numpy as np
import pytest
import torch

from stereodistill import synth
from stereodistill.synth.room.world import RoomConfig

SIZE = (128, 192)
CLEAN = RoomConfig.clean()


@pytest.fixture(scope="module")
def clean() -> synth.SynthBatch:
    return synth.render("room", seed=5, indices=range(5), size=SIZE, config=CLEAN)


def rebuilt(image: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Linear interpolation of (C, H, W) at columns x (1, H, W)."""
    columns = np.arange(image.shape[-1])
    rows = [
        [np.interp(x[0, y].numpy(), columns, image[c, y].numpy()) for y in range(image.shape[1])]
        for c in range(len(image))
    ]
    return torch.from_numpy(np.array(rows))


def test_warping_by_true_disparity_rebuilds_the_view(clean):
    columns = torch.arange(SIZE[1])
    left, right = clean.pair.left, clean.pair.right
    for view, other, visible, sign in ((left, right, clean.visible_left, -1), (right, left, clean.visible_right, 1)):
        for i in range(5):
            other_view = rebuilt(other.image[i], columns + sign * view.disparity[i])
            error = (other_view - view.image[i]).square().mean(0, keepdim=True)[visible[i]].mean()
            assert -10 * torch.log10(error) > 30, f"sample {i}"


def test_visibility_is_the_left_right_check(clean):
    columns = torch.arange(SIZE[1])
    for i in range(5):
        disparity = clean.pair.left.disparity[i]
        target = columns - disparity
        same = (rebuilt(clean.pair.right.disparity[i], target) - disparity).abs() < 1
        check = same & (target >= 0) & (target <= SIZE[1] - 1)
        assert float((check != clean.visible_left[i]).float().mean()) < 0.02


def test_the_room_is_closed(clean):
    """No ray escapes: everything is nearer than the longest diagonal, nothing is sky."""
    rig = clean.pair.rig
    depth = (rig.focal_px * rig.baseline_m)[:, None, None, None] / clean.pair.left.disparity
    assert float(depth.max()) < 13.0
    assert float(depth.min()) > 0.05


def test_sample_depends_on_its_index_alone(clean):
    alone = synth.render("room", seed=5, indices=[2], size=SIZE, config=CLEAN)
    assert torch.equal(alone.pair.left.image[0], clean.pair.left.image[2])
    assert torch.equal(alone.pair.left.disparity[0], clean.pair.left.disparity[2])
    other_seed = synth.render("room", seed=6, indices=[2], size=SIZE, config=CLEAN)
    assert not torch.equal(other_seed.pair.left.disparity[0], clean.pair.left.disparity[2])


def test_disparities_stay_in_their_bounds():
    batch = synth.render("room", seed=1, indices=range(8), size=(64, 96))
    largest = torch.quantile(batch.pair.left.disparity.flatten(1), 0.99, dim=1) / 96
    low, high = RoomConfig().baseline_m
    assert float(largest.max()) < RoomConfig().largest_disparity[1] * 1.05
    assert float(largest.min()) > 0.005
    assert bool((batch.pair.rig.baseline_m <= high + 1e-6).all())
    assert low > 0


def test_photos_become_textures():
    """A striking photo shows up in rooms that may use it, and never changes the geometry."""
    photo = np.zeros((64, 64, 3), np.float32)
    photo[..., 1] = 1.0
    with_photo = synth.render("room", seed=3, indices=range(4), size=(64, 96), config=CLEAN, photos=[photo])
    without = synth.render("room", seed=3, indices=range(4), size=(64, 96), config=CLEAN)
    assert torch.equal(with_photo.pair.left.disparity, without.pair.left.disparity)
    assert not torch.equal(with_photo.pair.left.image, without.pair.left.image)
