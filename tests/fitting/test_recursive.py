"""The stereo network that the joint training of Ye et al. (TIP 2021) leaves, as the teacher of `fit`."""

import importlib

import pytest
import torch

from stereodistill.data.writing import write_pair
from stereodistill.errors import UserError
from stereodistill.fitting import fit
from stereodistill.models import build
from stereodistill.synth import SynthDataset
from stereodistill.weights import WeightsHeader, load_weights, save_weights, weights_hash


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    root, world = tmp_path_factory.mktemp("footage"), SynthDataset("street", 5, (64, 128), seed=2)
    for index in range(5):
        write_pair(root, world.load(index))
    return root


@pytest.fixture(scope="module")
def recursive(tmp_path_factory):
    torch.manual_seed(0)
    header = WeightsHeader(architecture="recursive", kind="stereo", input_size=(32, 64))
    return save_weights(tmp_path_factory.mktemp("joint") / "stereo_weights", build("recursive", base=4), header)


def test_it_labels_the_footage_and_its_student_learns_from_that(footage, recursive, tmp_path, monkeypatch):
    # By its module: `stereodistill.fit` is the function.
    monkeypatch.setattr(importlib.import_module("stereodistill.fitting"), "_try_export", lambda out: "")
    summary = fit(footage, tmp_path / "run", teacher=str(recursive), epochs=1, val_fraction=0.2, device="cpu")
    assert summary["teacher"] == "stereo_weights" and summary["num_val"] == 1
    assert len(list((tmp_path / "run" / "labels" / "disparity").iterdir())) == 5
    student, header = load_weights(tmp_path / "run" / "weights")
    assert student.name == "lite0_mono" and header.teacher_hash == weights_hash(recursive)
    assert summary["held_out"]["teacher"]["ground truth"]["metrics"]["abs_rel"] > 0


def test_it_cannot_be_fine_tuned_by_a_loss_that_needs_visibility(footage, recursive, tmp_path):
    with pytest.raises(UserError, match="needs a network that estimates visibility"):
        fit(footage, tmp_path / "run", teacher=str(recursive), finetune="unsup", epochs=1, device="cpu")
