"""The nouns: what is known about a rig, a view, a pair, a batch and a loss."""

import math
from dataclasses import FrozenInstanceError

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stereodistill.types import Loss, Rig, StereoPair, View, collate

positive = st.floats(1e-3, 1e4)
widths = st.integers(1, 10_000)


def _pair(name: str = "a", focal_px: float = 700.0, size: tuple[int, int] = (4, 6)) -> StereoPair:
    views = [View.unlabelled(torch.full((3, *size), value)) for value in (0.25, 0.75)]
    rig = Rig(focal_px=focal_px, baseline_m=0.5, width=size[1], doffs_px=1.5)
    return StereoPair(left=views[0], right=views[1], rig=rig, name=name)


@given(positive, positive, st.floats(0, 100), widths, widths, st.floats(0.1, 500))
def test_depth_does_not_change_when_rig_and_disparity_are_resized(
    focal_px, baseline_m, doffs_px, width, other, disparity
):
    rig = Rig(focal_px=focal_px, baseline_m=baseline_m, width=width, doffs_px=doffs_px)
    resized = rig.at_width(other)
    before = rig.focal_px * rig.baseline_m / (disparity + rig.doffs_px)
    after = resized.focal_px * resized.baseline_m / (disparity * other / width + resized.doffs_px)
    assert after == pytest.approx(before, rel=1e-9)
    assert resized.width == other


@given(positive, widths, widths)
def test_a_rig_comes_back_from_another_width(focal_px, width, other):
    back = Rig(focal_px=focal_px, baseline_m=1.0, width=width).at_width(other).at_width(width)
    assert back.focal_px == pytest.approx(focal_px, rel=1e-12)


@pytest.mark.parametrize(
    ("focal_px", "baseline_m", "metric"),
    [
        (700.0, 0.5, True),
        (math.nan, math.nan, False),
        (700.0, math.nan, False),
        (0.0, 0.5, False),
        (700.0, -0.5, False),
    ],
)
def test_metres_need_focal_length_and_baseline(focal_px, baseline_m, metric):
    assert Rig(focal_px=focal_px, baseline_m=baseline_m, width=10).is_metric is metric


def test_an_unknown_rig_stays_unknown():
    rig = Rig.unknown(640)
    assert not rig.is_metric
    assert not rig.at_width(320).is_metric
    assert rig.at_width(320).width == 320


def test_a_batch_of_rigs_is_metric_only_when_all_are():
    good, bad = _pair(focal_px=700.0), _pair(focal_px=math.nan)
    assert collate([good, good]).rig.is_metric
    assert not collate([good, bad]).rig.is_metric


def test_an_unlabelled_view_knows_nothing():
    view = View.unlabelled(torch.rand(2, 3, 4, 5))
    assert view.disparity.shape == view.valid.shape == (2, 1, 4, 5)
    assert view.valid.dtype == torch.bool
    assert not view.valid.any()
    assert not view.disparity.any()


def test_collate_stacks_everything_in_order():
    batch = collate([_pair("a", 700.0), _pair("b", 800.0)])
    assert batch.name == ("a", "b")
    assert batch.size == (4, 6)
    assert batch.left.image.shape == (2, 3, 4, 6)
    assert batch.right.image[1].unique().tolist() == [0.75]
    assert batch.rig.focal_px.tolist() == [700.0, 800.0]
    assert batch.rig.doffs_px.tolist() == [1.5, 1.5]


def test_moving_a_batch_moves_all_of_it_and_leaves_the_original():
    batch = collate([_pair()])
    moved = batch.to("meta")
    tensors = [moved.left.image, moved.left.disparity, moved.right.valid, moved.rig.focal_px, moved.rig.width]
    assert all(tensor.device.type == "meta" for tensor in tensors)
    assert batch.left.image.device.type == "cpu"
    assert moved.name == batch.name


def test_moving_one_pair_keeps_its_plain_numbers():
    assert _pair(focal_px=700.0).to("cpu").rig.focal_px == 700.0


def test_the_nouns_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        _pair().name = "b"  # type: ignore[misc]


def test_a_total_hides_nothing():
    terms = {"a": torch.tensor(1.5, requires_grad=True), "b": torch.tensor(2.0, dtype=torch.float64)}
    total = Loss(terms=terms).total
    assert total.item() == 3.5
    total.backward()
    assert terms["a"].grad == 1.0
