import importlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from stereodistill.data import Subset, open_dataset
from stereodistill.data.writing import write_pair
from stereodistill.engine.optimizer import make_optimizer
from stereodistill.errors import UserError
from stereodistill.fitting import fit
from stereodistill.fitting.judge import LABELS, TRUTH, with_truth
from stereodistill.fitting.page import score_tables
from stereodistill.fitting.plan import Asked, keep_plan, make_plan, student_size, training_recipe
from stereodistill.models import MONO, build
from stereodistill.ops.geometry import swap_pair
from stereodistill.synth import SynthDataset
from stereodistill.types import StereoPair, View
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
    monkeypatch.setattr(importlib.import_module("stereodistill.fitting"), "_try_export", lambda out: "")


def test_the_ground_truth_in_the_footage_is_not_trained_on(footage, tmp_path, no_export, monkeypatch):
    # Which precision is the quicker one may be measured differently in two runs.
    monkeypatch.setattr("stereodistill.engine.precision.possible", lambda device: ("f32",))
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
    assert not (tmp_path / "x").exists()


class Pictures:
    """Pictures of which only the size is asked."""

    def __init__(self, *sizes):
        self.sizes, self.names = sizes, [str(i) for i in range(len(sizes))]

    def __len__(self):
        return len(self.sizes)

    def size(self, index):
        return self.sizes[index]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([(375, 1242)] * 3, (192, 640)), ([(480, 640)] * 2, (288, 416)), ([(96, 128)], (96, 128))],
)
def test_the_students_input_has_the_shape_of_the_pictures(sizes, expected):
    assert student_size(Pictures(*sizes)) == expected
    height, width = expected
    assert abs(np.log((width / height) / (sizes[0][1] / sizes[0][0]))) < 0.15


def _asked(**changes) -> Asked:
    return Asked.parse(
        {"data": "d", "teacher": "t", "student": "lite_mono", "seed": 0, "val_fraction": 0.25, **changes}
    )


def test_a_plan_is_kept_and_found_again(tmp_path):
    pictures = Pictures(*[(96, 128)] * 8)
    plan, is_new = make_plan(tmp_path, pictures, _asked(), False)
    assert len(plan.val_names) == 2 and is_new
    assert list(tmp_path.iterdir()) == []
    keep_plan(tmp_path, plan)
    assert make_plan(tmp_path, pictures, _asked(), True) == (plan, False)
    with pytest.raises(UserError, match="--resume"):
        make_plan(tmp_path, pictures, _asked(), False)


@pytest.mark.parametrize("student", MONO)
def test_every_student_gets_an_optimizer_that_takes_its_layers(tmp_path, student):
    plan, _ = make_plan(tmp_path, Pictures(*[(96, 128)] * 8), _asked(student=student, epochs=1.0), False)
    _, recipe = training_recipe(tmp_path, plan, None, "cpu")
    assert recipe.optimizer.name == ("muon" if student == "lite_mono" else "adamw")
    make_optimizer(recipe.optimizer, build(student))


@pytest.mark.parametrize(
    "change",
    [{"data": "e"}, {"teacher": "u"}, {"student": "vgg_mono"}, {"seed": 1}, {"layout": "csv"}, {"finetune": "unsup"},
     {"minutes": 3.0}, {"epochs": 2.0}, {"val_fraction": 0.5},
     {"rig": {"focal_px": 1.0, "baseline_m": 1.0, "width": 1.0, "doffs_px": 0.0}}],
)  # fmt: skip
def test_resuming_with_another_wish_is_refused_by_its_name(tmp_path, change):
    keep_plan(tmp_path, make_plan(tmp_path, Pictures(*[(96, 128)] * 8), _asked(), False)[0])
    with pytest.raises(UserError, match=f"holds a run with {next(iter(change))} .*, not .*: choose another --out"):
        make_plan(tmp_path, Pictures(*[(96, 128)] * 8), _asked(**change), True)


@pytest.mark.parametrize(
    "mistake",
    [{"teacher": "nonsense"}, {"student": "nonsense"}, {"student": "lite_stereo"}, {"finetune": "much"},
     {"finetune": "unsup"}, {"val_fraction": 1.0}, {"minutes": 0.0}, {"epochs": float("nan")}],
)  # fmt: skip
def test_a_mistake_leaves_no_run_behind(footage, tmp_path, mistake):
    with pytest.raises(UserError):
        fit(footage, tmp_path / "out", **{"teacher": "sgbm", "device": "cpu", **mistake})
    assert not (tmp_path / "out").exists()


def test_footage_that_is_unfit_stays_so_with_resume(tmp_path):
    world = SynthDataset("street", 3, (64, 128), seed=2)
    for index in range(3):
        write_pair(tmp_path / "data", world.load(index))
    broken = sorted((tmp_path / "data" / "right").iterdir())[1]
    broken.write_bytes(broken.read_bytes()[:500])
    for resume in (False, True, True):
        with pytest.raises(UserError, match=broken.name):
            fit(tmp_path / "data", tmp_path / "out", teacher="sgbm", epochs=1, device="cpu", resume=resume)
    assert not (tmp_path / "out").exists()


def test_without_a_rig_the_report_has_numbers_too(footage, tmp_path, no_export):
    for view in ("left", "right"):
        shutil.copytree(footage / view, tmp_path / "bare" / view)
    options = {"teacher": "sgbm", "epochs": 0.2, "val_fraction": 0.2, "device": "cpu"}
    summary = fit(tmp_path / "bare", tmp_path / "out", **options)
    scores = summary["held_out"]["student"]["teacher's labels"]["metrics"]
    assert "epe" in scores and "abs_rel" not in scores
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert f"{scores['epe']:.2f}</td>" in html and "EPE [px]" in html and "Held-out pairs: teacher" in html
    assert load_weights(tmp_path / "out" / "weights")[1].rig is None


def test_only_pairs_with_ground_truth_are_scored_against_it(footage):
    class Half:
        names = [str(i) for i in range(4)]

        def load(self, index, window=None):
            pair = open_dataset(footage).load(index)
            return pair if index % 2 else replace(pair, left=View.unlabelled(pair.left.image))

    assert with_truth(Subset(Half(), ["0", "1", "3"])).names == ["1", "3"]
    assert len(with_truth(Subset(Half(), ["0", "2"]))) == 0


def test_one_table_for_each_truth_the_truer_one_first():
    def result(**metrics):
        return {"protocol": "depth", "num_images": 2, "metrics": metrics}

    held_out = {
        "student": {LABELS: result(abs_rel=0.3), TRUTH: result(abs_rel=0.4)},
        "teacher": {TRUTH: result(abs_rel=0.1)},
    }
    first, second = score_tables(held_out)
    assert "ground truth" in first.title and "labels" in second.title
    assert [row.name for row in first.rows] == ["student", "teacher"] and [r.name for r in second.rows] == ["student"]
    assert first.rows[1].reference
    assert score_tables({}) == []
