import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stereodistill.errors import UserError
from stereodistill.ops.geometry import (
    crop_pair,
    depth_to_disparity,
    disparity_to_depth,
    flip_pair_vertical,
    pad_to_multiple,
    resize_pair,
    swap_pair,
)
from stereodistill.types import Rig, StereoPair, View, collate


def make_pair(height=12, width=20, disparity=4.0, name="a") -> StereoPair:
    def view() -> View:
        return View(
            image=torch.rand(3, height, width),
            disparity=torch.full((1, height, width), disparity),
            valid=torch.rand(1, height, width) > 0.2,
        )

    return StereoPair(left=view(), right=view(), rig=Rig(focal_px=30.0, baseline_m=0.5, width=width), name=name)


def same(a: StereoPair, b: StereoPair) -> bool:
    views = [(a.left, b.left), (a.right, b.right)]
    fields = ("image", "disparity", "valid")
    return a.rig == b.rig and all(torch.equal(getattr(x, f), getattr(y, f)) for x, y in views for f in fields)


@given(st.floats(0.1, 500), st.floats(-3, 3))
def test_depth_round_trip(disparity, doffs):
    rig = Rig(focal_px=700.0, baseline_m=0.5, width=8, doffs_px=doffs)
    start = torch.full((1, 2, 8), disparity)
    depth, valid = disparity_to_depth(start, rig)
    assert valid.all() == (disparity + doffs > 0)
    if valid.all():
        assert depth[0, 0, 0].item() == pytest.approx(350 / (disparity + doffs), rel=1e-4)
        back, known = depth_to_disparity(depth, rig)
        assert known.all() and torch.allclose(back, start, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_no_disparity_is_never_a_finite_depth(bad, dtype):
    rig = Rig(focal_px=700.0, baseline_m=0.5, width=4)
    depth, valid = disparity_to_depth(torch.full((1, 1, 4), bad, dtype=dtype), rig)
    assert not valid.any() and depth.isnan().all()


def test_depth_is_golden_for_a_kitti_rig():
    rig = Rig(focal_px=721.5377, baseline_m=0.532725, width=1242)
    depth, _ = disparity_to_depth(torch.full((1, 1, 1242), 38.4382), rig)
    assert depth[0, 0, 0].item() == pytest.approx(10.0, rel=1e-4)


def test_an_unknown_rig_refuses_metres():
    with pytest.raises(UserError, match="focal length"):
        disparity_to_depth(torch.ones(1, 1, 4), Rig.unknown(4))


def test_depth_does_not_change_under_resize_and_crop():
    pair = make_pair()
    depth, _ = disparity_to_depth(pair.left.disparity, pair.rig)
    resized = resize_pair(pair, (30, 50))
    scaled, _ = disparity_to_depth(resized.left.disparity, resized.rig)
    assert torch.allclose(scaled, torch.full_like(scaled, depth[0, 0, 0].item()), rtol=1e-5)
    cropped = crop_pair(pair, 2, 3, 8, 10)
    cut, _ = disparity_to_depth(cropped.left.disparity, cropped.rig)
    assert cropped.size == (8, 10) and torch.allclose(cut, depth[:, 2:10, 3:13])


def test_swap_and_flip_twice_are_the_identity():
    pair = make_pair()
    assert same(swap_pair(swap_pair(pair)), pair)
    assert same(flip_pair_vertical(flip_pair_vertical(pair)), pair)
    assert not same(swap_pair(pair), pair)


def test_batched_rigs_give_each_sample_its_own_depth():
    batch = collate([make_pair(disparity=4.0), make_pair(disparity=8.0, name="b")])
    assert batch.name == ("a", "b")
    depth, _ = disparity_to_depth(batch.left.disparity, batch.rig)
    assert depth[0, 0, 0, 0] == pytest.approx(3.75) and depth[1, 0, 0, 0] == pytest.approx(1.875)
    assert crop_pair(batch, 0, 0, 4, 6).rig.width.tolist() == [6, 6]
    assert resize_pair(batch, (6, 10)).rig.focal_px.tolist() == [15.0, 15.0]


def test_padding_repeats_the_border():
    image = torch.rand(1, 3, 5, 9)
    padded = pad_to_multiple(image, 8)
    assert padded.shape[-2:] == (8, 16)
    assert torch.equal(padded[..., :5, :9], image) and torch.equal(padded[..., 4, 15], image[..., 4, 8])
