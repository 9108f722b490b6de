"""Weights of a mono network know the rig of the pairs that they learned from."""

from dataclasses import replace

import pytest
import torch

from stereodistill.data.writing import write_pair
from stereodistill.engine.preflight import rig_field
from stereodistill.engine.stages import parse_recipe
from stereodistill.engine.train import train
from stereodistill.predict import from_pretrained
from stereodistill.synth import SynthDataset
from stereodistill.types import Rig
from stereodistill.weights import read_header

KITTI = Rig(focal_px=721.5, baseline_m=0.54, width=1242)
PAIRS = {"source": "pairs", "path": "somewhere"}
MONO = {"name": "recursive_mono", "options": {"base": 4}}
BOTH = {"name": "recursive", "options": {"base": 4, "num_recursions": 1}}


def recipe(stage="unsupervised_mono", model=MONO, data=PAIRS):
    loop = {"steps": 1, "batch_size": 1, "workers": 0}
    return parse_recipe({"stage": stage, "model": model, "data": data, "augment": {"size": [32, 64]}, "loop": loop})


class Rigs:
    """Samples of which only the rig is asked."""

    def __init__(self, *rigs):
        self.rigs, self.asked = rigs, []

    def __len__(self):
        return len(self.rigs)

    def rig(self, index):
        self.asked.append(index)
        return self.rigs[index]


def test_it_is_that_of_most_pairs_and_few_are_looked_at():
    wide = replace(KITTI, focal_px=730.0, baseline_m=0.5327)
    samples = Rigs(*([KITTI] * 70 + [wide] * 30))
    assert rig_field(recipe(), samples) == {
        "rig": {"focal_px": 721.5, "baseline_m": 0.54, "width": 1242.0, "doffs_px": 0}
    }
    assert len(samples.asked) <= 20 and len(set(samples.asked)) == len(samples.asked)
    assert rig_field(recipe("joint", BOTH), Rigs(KITTI)) != {}


@pytest.mark.parametrize(
    ("asked", "samples"),
    [
        (recipe(), Rigs(KITTI, Rig.unknown(1242))),
        (recipe(), Rigs(KITTI, replace(KITTI, baseline_m=0.27))),
        (recipe("supervised_stereo", {"name": "lite_stereo"}), Rigs(KITTI)),
        (recipe(data={"source": "synth", "num": 2}), Rigs(KITTI)),
    ],
)
def test_there_is_none_where_nobody_could_tell_metres(asked, samples):
    assert rig_field(asked, samples) == {}


def test_a_trained_network_predicts_metres_of_its_own_camera(tmp_path):
    scene = SynthDataset("street", 1, (48, 96), seed=1).load(0)
    rig = replace(scene.rig, focal_px=60.0, baseline_m=0.5)
    write_pair(tmp_path / "pairs", replace(scene, rig=rig))
    data = {"source": "pairs", "path": str(tmp_path / "pairs")}
    weights = train(recipe("joint", BOTH, data), tmp_path / "run", device="cpu")
    for folder in ("weights", "stereo_weights"):
        found = read_header(tmp_path / "run" / folder).rig
        assert found is not None and (found["focal_px"], found["baseline_m"], found["width"]) == (60.0, 0.5, 96)
    depth = from_pretrained(weights, "cpu").predict(torch.rand(3, 48, 96), focal_px=60.0)
    torch.testing.assert_close(torch.from_numpy(depth.depth_m), torch.from_numpy(60 * 0.5 / depth.disparity_px))


def test_worlds_seen_with_one_baseline_give_their_network_metres():
    data = {"source": "synth", "worlds": {"street": 1.0}, "num": 2, "baseline_m": 0.3}
    assert rig_field(recipe(data=data), Rigs())["rig"]["baseline_m"] == 0.3
    assert rig_field(recipe(data={**data, "baseline_m": None}), Rigs()) == {}
