import pytest

from stereodistill.data.stretches import split_stretches
from stereodistill.errors import UserError


def runs(indices):
    """Number of contiguous runs."""
    return sum(1 for a, b in zip([-2, *indices], indices, strict=False) if b != a + 1)


@pytest.mark.parametrize("length", [2, 3, 10, 51, 122, 1000])
@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.33, 0.9])
def test_train_and_val_are_disjoint_complete_and_few_stretches(length, fraction):
    for seed in range(5):
        train, val = split_stretches(length, fraction, seed)
        assert sorted(train + val) == list(range(length))
        assert train and val
        assert abs(len(val) - length * fraction) <= 5.5
        assert runs(val) <= 5
        assert train == sorted(train) and val == sorted(val)


def test_frames_of_one_scene_stay_together():
    names = [f"{scene:06d}_{frame}" for scene in range(61) for frame in (10, 11)]
    for seed in range(10):
        train, val = split_stretches(names, 0.15, seed)
        assert not {names[i][:6] for i in train} & {names[i][:6] for i in val}
        assert 14 <= len(val) <= 22


def test_names_that_only_look_like_scenes_are_not_merged():
    names = [f"frame_{index:02d}" for index in range(20)]
    train, val = split_stretches(names, 0.2, 0)
    assert len(train) == 16 and len(val) == 4


def test_the_seed_moves_the_stretches_and_repeats_them():
    splits = {tuple(split_stretches(200, 0.1, seed)[1]) for seed in range(8)}
    assert len(splits) > 4
    assert split_stretches(200, 0.1, 3) == split_stretches(200, 0.1, 3)


def test_nothing_is_held_out_at_zero_or_of_a_single_frame():
    assert split_stretches(7, 0.0) == (list(range(7)), [])
    assert split_stretches(1, 0.5) == ([0], [])


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 2])
def test_an_impossible_fraction_is_refused(fraction):
    with pytest.raises(UserError, match="val_fraction"):
        split_stretches(10, fraction)
