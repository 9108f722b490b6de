import importlib
import json

import numpy as np
import pytest
import torch

from stereodistill.data import open_dataset
from stereodistill.data.writing import write_pair
from stereodistill.errors import UserError
from stereodistill.fit import fit
from stereodistill.fit.plan import make_plan, student_size
from stereodistill.ops.geometry import swap_pair
from stereodistill.synth import SynthDataset
from stereodistill.types import Rig, StereoPair, View
from stereodistill.weights import load_weights


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    """Ten procedural streets in the folder layout, ground truth included (`fit` must not train on it)."""
    root = tmp_path_factory.mktemp("footage")
    world = SynthDataset("street", 10, (128, 256), seed=2)
    for index in range(10):
        write_pair(root, world.load(index))
    return root


@pytest.fixture(scope="module")
def run(footage, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "mine"
    return out, fit(footage, out, teacher="sgbm", epochs=4, val_fraction=0.2, device="cpu")


def test_one_call_writes_everything_that_was_promised(run):
    out, summary = run
    for name in ("weights/model.safetensors", "weights/config.json", "model.onnx", "report.html", "metrics.json"):
        assert (out / name).stat().st_size > 0, name
    assert summary == json.loads((out / "metrics.json").read_text())
    assert len(list((out / "labels" / "disparity").iterdir())) == 10


def test_the_weights_know_their_rig_their_size_and_their_teacher(run, footage):
    out, summary = run
    _, header = load_weights(out / "weights")
    rig = open_dataset(footage).load(0).rig
    assert header.rig is not None and header.rig["width"] == 256
    assert header.rig["baseline_m"] > 0 and header.input_size == tuple(summary["input_size"])
    assert header.teacher_hash and rig.is_metric


def test_the_student_is_judged_on_pairs_it_has_not_seen(run):
    out, summary = run
    plan = json.loads((out / "plan.json").read_text())
    assert summary["num_val"] == 2 and not set(plan["train_names"]) & set(plan["val_names"])
    judged = [row["name"] for row in summary["held_out"]["student"]["teacher's labels"]["per_image"]]
    assert judged == plan["val_names"]
    assert set(summary["held_out"]) == {"student", "median-depth constant", "teacher"}
    assert "ground truth" in summary["held_out"]["student"]


@pytest.fixture
def no_export(monkeypatch):
    """ONNX export takes longer than everything else here, and has its own tests."""
    # By its module: `stereodistill.fit` is the function.
    monkeypatch.setattr(importlib.import_module("stereodistill.fit"), "_try_export", lambda out: "")


def test_the_ground_truth_in_the_footage_is_not_trained_on(footage, tmp_path, no_export):
    blind = tmp_path / "blind"
    world = SynthDataset("street", 10, (128, 256), seed=2)
    for index in range(10):
        pair = world.load(index)
        bare = StereoPair(
            left=View.unlabelled(pair.left.image), right=View.unlabelled(pair.right.image), rig=pair.rig, name=pair.name
        )
        write_pair(blind, bare)
    outs = []
    for data, name in ((footage, "a"), (blind, "b")):
        fit(data, tmp_path / name, teacher="sgbm", epochs=1, val_fraction=0.2, device="cpu")
        outs.append(load_weights(tmp_path / name / "weights")[0].state_dict())
    assert all(torch.equal(outs[0][k], outs[1][k]) for k in outs[0])


def test_a_finished_run_is_not_overwritten_and_resuming_it_changes_nothing(run, footage):
    out, summary = run
    with pytest.raises(UserError, match="--resume"):
        fit(footage, out, teacher="sgbm", epochs=4, val_fraction=0.2, device="cpu")
    before = load_weights(out / "weights")[0].state_dict()
    again = fit(footage, out, teacher="sgbm", epochs=4, val_fraction=0.2, device="cpu", resume=True)
    after = load_weights(out / "weights")[0].state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert again["held_out"] == summary["held_out"]
    with pytest.raises(UserError, match="teacher"):
        fit(footage, out, teacher="lite_stereo", epochs=4, val_fraction=0.2, device="cpu", resume=True)


def test_swapped_views_are_refused_with_the_remedy(footage, tmp_path):
    world = open_dataset(footage)
    for index in range(6):
        pair = swap_pair(world.load(index))
        # Mirrored back, so that only the order of the views is wrong.
        left, right = (view.map(lambda t: t.flip(-1)) for view in (pair.left, pair.right))
        bare = StereoPair(
            left=View.unlabelled(left.image), right=View.unlabelled(right.image), rig=pair.rig, name=f"{index}"
        )
        write_pair(tmp_path / "swapped", bare)
    with pytest.raises(UserError, match=r"(?i)swap|left.*right") as error:
        fit(tmp_path / "swapped", tmp_path / "out", teacher="sgbm", epochs=1, device="cpu")
    assert "\n" not in str(error.value)


def test_minutes_become_steps(footage, tmp_path, no_export):
    summary = fit(footage, tmp_path / "timed", teacher="sgbm", minutes=1.2, val_fraction=0.2, device="cpu")
    assert summary["steps"] >= 1 and summary["minutes"] < 3


def test_minutes_and_epochs_together_are_refused(footage, tmp_path):
    with pytest.raises(UserError, match="not both"):
        fit(footage, tmp_path / "x", minutes=1, epochs=1)


class Pictures:
    """A dataset of blank pictures of given sizes."""

    def __init__(self, *sizes):
        self.sizes, self.names = sizes, [str(i) for i in range(len(sizes))]

    def __len__(self):
        return len(self.sizes)

    def load(self, index):
        view = View.unlabelled(torch.zeros(3, *self.sizes[index]))
        return StereoPair(left=view, right=view, rig=Rig.unknown(self.sizes[index][1]), name=self.names[index])


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([(375, 1242)] * 3, (192, 640)), ([(480, 640)] * 2, (288, 416)), ([(96, 128)], (96, 128))],
)
def test_the_students_input_has_the_shape_of_the_pictures(sizes, expected):
    assert student_size(Pictures(*sizes)) == expected
    height, width = expected
    assert abs(np.log((width / height) / (sizes[0][1] / sizes[0][0]))) < 0.15


def test_a_plan_is_written_once(tmp_path):
    options = {"data": "d", "teacher": "t", "student": "lite_mono", "seed": 0}
    plan = make_plan(tmp_path, Pictures(*[(96, 128)] * 8), 0.25, False, **options)
    assert len(plan.val_names) == 2
    assert make_plan(tmp_path, Pictures(*[(96, 128)] * 8), 0.25, True, **options) == plan
