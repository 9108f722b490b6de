from collections import Counter

import pytest
import torch

from stereodistill.engine.batches import Batches, iterate
from stereodistill.engine.optimizer import learning_rate
from stereodistill.engine.recipe import OptimizerSpec, SynthSource
from stereodistill.engine.samples import Shrunk
from stereodistill.engine.stages import load_recipe, parse_recipe
from stereodistill.engine.worlds import Worlds
from stereodistill.errors import UserError
from stereodistill.types import Rig, StereoPair, View


class Numbered:
    """Sample i is a picture of the number i."""

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def load(self, index):
        view = View.unlabelled(torch.full((3, 4, 8), index / 100))
        return StereoPair(left=view, right=view, rig=Rig.unknown(8), name=str(index))


def jitter(samples, index, rng):
    pair = samples.load(index)
    image = pair.left.image + float(rng.random())
    return StereoPair(left=View.unlabelled(image), right=pair.right, rig=pair.rig, name=pair.name)


def names(batches, numbers):
    return [name for number in numbers for name in batches[number].name]


def test_every_epoch_sees_every_sample_once_in_another_order():
    batches = Batches(Numbered(10), jitter, seed=1, batch_size=5)
    epochs = [names(batches, range(2 * e, 2 * e + 2)) for e in range(3)]
    assert all(Counter(epoch) == Counter(map(str, range(10))) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_batch_is_a_function_of_its_number_alone():
    one = Batches(Numbered(7), jitter, seed=1, batch_size=3)
    other = Batches(Numbered(7), jitter, seed=1, batch_size=3)
    for _ in range(5):
        other[0]
    assert torch.equal(one[4].left.image, other[4].left.image) and one[4].name == other[4].name
    assert not torch.equal(one[4].left.image, Batches(Numbered(7), jitter, seed=2, batch_size=3)[4].left.image)


def test_processes_share_the_global_batch_without_overlap():
    whole = Batches(Numbered(12), jitter, seed=1, batch_size=4)
    halves = [Batches(Numbered(12), jitter, seed=1, batch_size=4, rank=r, num_ranks=2) for r in (0, 1)]
    for number in range(4):
        assert whole[number].name == halves[0][number].name + halves[1][number].name
        together = torch.cat([h[number].left.image for h in halves])
        assert torch.equal(whole[number].left.image, together)


def test_workers_deliver_the_same_batches_in_order():
    batches = Batches(Numbered(9), jitter, seed=1, batch_size=3)
    alone, helped = (list(iterate(batches, 2, 7, workers)) for workers in (0, 2))
    assert len(alone) == 5
    assert all(torch.equal(a.left.image, b.left.image) for a, b in zip(alone, helped, strict=True))


def test_shrinking_remembers_without_changing_anything():
    pairs = Worlds(SynthSource(size=(64, 96), num=3), seed=0)
    kept, made_again = Shrunk(pairs, (32, 64), workers=1), Shrunk(pairs, (32, 64), workers=1, budget_bytes=0)
    for index in (0, 1, 0):
        a, b = kept.load(index), made_again.load(index)
        assert torch.equal(a.left.image, b.left.image) and torch.equal(a.right.disparity, b.right.disparity)
    assert len(kept.kept) == 2 and not made_again.kept


def test_worlds_are_mixed_in_their_shares_and_reuse_scenes():
    source = SynthSource(worlds={"flying": 1.0}, reuse={"flying": 2}, size=(64, 96))
    worlds = Worlds(source, seed=0)
    seen = [worlds.load(index) for index in range(5)]
    assert torch.equal(seen[0].left.image, seen[2].left.image) and not torch.equal(
        seen[0].left.image, seen[1].left.image
    )
    with pytest.raises(UserError, match="shares"):
        Worlds(SynthSource(worlds={"flying": 0.0}), seed=0)


def test_schedules():
    halving = OptimizerSpec(lr=1.0)
    rates = [learning_rate(halving, step, 50) for step in (0, 19, 20, 34, 35, 44, 45, 49)]
    assert rates == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]  # Guo et al. 2018: epochs 20, 35, 45 of 50
    cosine = OptimizerSpec(lr=1.0, schedule="cosine", warmup_steps=10, final_ratio=0.0)
    assert learning_rate(cosine, 0, 100) == pytest.approx(0.1)
    assert learning_rate(cosine, 50, 100) == pytest.approx(0.5)
    assert learning_rate(cosine, 100, 100) == pytest.approx(0.0)
    held = OptimizerSpec(lr=1.0, schedule="cosine", hold=0.6, final_ratio=0.0)
    assert [learning_rate(held, step, 100) for step in (0, 60, 80)] == pytest.approx([1.0, 1.0, 0.5])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stage": "distil"}, "stage: expected one of"),
        ({"loop": {"steps": 1, "epochs": 1}}, "exactly one of steps and epochs"),
        ({"loop": {"steps": 1, "batch_size": 3, "accumulate": 2}}, "must divide"),
        ({"optimizer": {"learning_rate": 1}}, r"optimizer.learning_rate.*known keys here: .*\blr\b"),
        ({"optimizer": {"lr": -1}}, "optimizer.lr"),
        ({"stage": "distill"}, "labels"),
    ],
)
def test_a_wrong_recipe_is_one_clear_line(change, message):
    recipe = {"stage": "supervised_mono", "model": {"name": "lite_mono"}, "loop": {"steps": 1}} | change
    with pytest.raises(UserError, match=message) as error:
        parse_recipe(recipe)
    assert "\n" not in str(error.value)


def test_overrides_reach_nested_keys():
    recipe = load_recipe("lite_stereo", ["optimizer.lr=1e-4", "data.size=[96, 160]", "loop.steps=3"])
    assert recipe.optimizer.lr == 1e-4 and recipe.data.size == (96, 160) and recipe.loop.steps == 3
    with pytest.raises(UserError, match="no recipe 'nonesuch'"):
        load_recipe("nonesuch")
    with pytest.raises(UserError, match="key=value"):
        load_recipe("lite_stereo", ["lr"])


def test_a_batch_takes_one_of_several_preparations_the_same_in_every_process():
    def marked(mark):
        def prepare(samples, index, rng):
            pair = samples.load(index)
            return StereoPair(left=pair.left, right=pair.right, rig=pair.rig, name=f"{pair.name}{mark}")

        return prepare

    ranks = [
        Batches(Numbered(8), [marked("a"), marked("b")], seed=3, batch_size=4, rank=rank, num_ranks=2)
        for rank in range(2)
    ]
    marks = [{name[-1] for rank in ranks for name in rank[number].name} for number in range(40)]
    assert all(len(mark) == 1 for mark in marks)
    assert 10 < sum(mark == {"a"} for mark in marks) < 30
