import torch

from stereodistill.engine.recipe import SynthSource
from stereodistill.engine.samples import open_samples
from stereodistill.engine.worlds import Worlds, pack, unpack
from stereodistill.ops.geometry import disparity_to_depth


def worlds(folder=None, seed=1, **options):
    source = SynthSource(reuse={"flying": 3}, size=(48, 80), cache=folder and str(folder), options={"flying": options})
    return Worlds(source, seed)


def test_a_cached_scene_is_the_one_in_memory(tmp_path):
    plain, cached, again = worlds(), worlds(tmp_path), worlds(tmp_path)
    for index in (0, 4, 2):
        expected = plain.load(index)
        for pair in (cached.load(index), again.load(index)):
            for side in ("left", "right"):
                a, b = getattr(pair, side), getattr(expected, side)
                assert torch.equal(a.image, b.image) and torch.equal(a.disparity, b.disparity)
                assert torch.equal(a.valid, b.valid)
            assert pair.rig == expected.rig and pair.name == expected.name
    assert sorted(again.kept) == [("flying", 0), ("flying", 1), ("flying", 2)] and len(again.kept) == 3


def test_another_world_has_a_folder_of_its_own(tmp_path):
    first, other = worlds(tmp_path), worlds(tmp_path, num_shapes=[5, 6])
    first.load(0)
    assert first.kept.folder != other.kept.folder and len(other.kept) == 0
    assert worlds(tmp_path, seed=2).kept.folder != first.kept.folder


def test_a_damaged_scene_is_rendered_again(tmp_path):
    expected = worlds(tmp_path).load(0)
    file = next(tmp_path.rglob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:1000])
    assert torch.equal(worlds(tmp_path).load(0).left.image, expected.left.image)
    assert ("flying", 0) in worlds(tmp_path).kept


def test_a_pair_in_eight_bits_survives_packing():
    pair = worlds().load(1)
    again = unpack(pack(pair), pair.name)
    assert torch.equal(again.left.image, pair.left.image) and torch.equal(again.right.disparity, pair.right.disparity)
    assert again.rig == pair.rig and again.name == pair.name
    assert (pair.left.image * 255 - (pair.left.image * 255).round()).abs().max() < 1e-4


def test_worlds_seen_with_one_baseline_keep_their_depth_and_their_own_sizes():
    asked = {"worlds": {"street": 0.5, "room": 0.5}, "size": (32, 64), "sizes": {"room": (32, 48)}, "num": 6}
    plain, common = (open_samples(SynthSource(**asked, **more), seed=0) for more in ({}, {"baseline_m": 0.54}))
    baselines, sizes = set(), set()
    for index in range(6):
        before, after = plain.load(index), common.load(index)
        baselines.add(float(before.rig.baseline_m))
        sizes.add(after.size)
        assert float(after.rig.baseline_m) == 0.54
        depths = [disparity_to_depth(p.left.disparity, p.rig)[0][p.left.valid] for p in (before, after)]
        torch.testing.assert_close(*depths, rtol=1e-4, atol=0)
    assert len(baselines) > 3 and sizes == {(32, 64), (32, 48)}
