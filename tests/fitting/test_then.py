"""From large to small: a first student teaches the second one where the stereo teacher is not sure."""

import importlib
import json
import os

import numpy as np
import pytest
import torch

from stereodistill.data.writing import write_pair
from stereodistill.errors import UserError
from stereodistill.fitting import fit
from stereodistill.fitting.plan import Asked, new_plan, training_recipe
from stereodistill.io.disparity import read_disparity
from stereodistill.labels.make import label
from stereodistill.predict import from_pretrained, load_teacher
from stereodistill.synth import SynthDataset
from stereodistill.weights import load_weights, read_header
from stereodistill.weights.model_card import LicenceWarning

OPTIONS = {"teacher": "sgbm", "epochs": 1, "val_fraction": 0.2, "device": "cpu"}


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    """Six procedural streets."""
    root = tmp_path_factory.mktemp("footage")
    world = SynthDataset("street", 6, (64, 128), seed=2)
    for index in range(6):
        write_pair(root, world.load(index))
    return root


@pytest.fixture(autouse=True)
def no_export(monkeypatch):
    """ONNX export has its own tests."""
    monkeypatch.setattr(importlib.import_module("stereodistill.fitting"), "_try_export", lambda out: "")


def test_a_foreign_student_teaches_a_small_one(footage, tiny_transformer, tmp_path, monkeypatch):
    folder, out = tiny_transformer("depth_anything"), tmp_path / "run"
    large = f"hf:{folder}"
    with pytest.raises(UserError, match=r"then lite_mono has .* million parameters, more than its teacher"):
        fit(footage, out, student=large, then="lite_mono", **OPTIONS)
    assert not out.exists()
    monkeypatch.setattr("stereodistill.fitting.course.AGREES", 10.0)  # after one epoch nobody is worth listening to
    summary = fit(footage, out, student="lite_mono", then=large, **OPTIONS)
    assert (summary["student"], summary["first_student"]) == (large, "lite_mono")
    assert {"student", "first student"} <= set(summary["held_out"])
    assert read_header(out / "weights").architecture == "hf_depth" and read_header(out / "weights").licence == "mit"
    assert read_header(out / "first" / "weights").architecture == "lite_mono"
    plan, first = (json.loads((p / "plan.json").read_text()) for p in (out, out / "first"))
    assert plan["val_names"] == first["val_names"] and plan["size"] == [70, 140] and first["size"] == [64, 128]
    assert "not sure of are those of lite_mono" in read_header(out / "weights").notes
    # What fills is what the first student says, written once.
    name = plan["train_names"][0]
    filled, _ = read_disparity(out / "fill" / "disparity" / f"{name}.png")
    photo = next((footage / "left").glob(f"{name}.*"))
    with pytest.warns(UserWarning, match="no camera given"):
        said = from_pretrained(out / "first" / "weights", "cpu").predict(photo).disparity_px
    np.testing.assert_allclose(filled, said, atol=1 / 256)
    written = {p: os.stat(p).st_mtime_ns for p in (out / "fill").rglob("*.png")}
    before = load_weights(out / "weights")[0].state_dict()
    fit(footage, out, student="lite_mono", then=large, resume=True, **OPTIONS)
    assert {p: os.stat(p).st_mtime_ns for p in (out / "fill").rglob("*.png")} == written
    after = load_weights(out / "weights")[0].state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    with pytest.raises(UserError, match="holds a run with then"):
        fit(footage, out, student="lite_mono", resume=True, **OPTIONS)


def test_a_licence_that_binds_the_first_student_binds_the_second(tmp_path, tiny_transformer):
    from stereodistill.fitting.course import inherited
    from stereodistill.weights import WeightsHeader, save_weights
    from stereodistill.weights.transformer import load_transformer

    model = tiny_transformer("resnet")
    for licence, expected in (("mit", None), ("cc-by-nc-4.0", "cc-by-nc-4.0"), ("unknown", "unknown")):
        network = load_transformer(f"hf:{model}")
        network.options["source"]["licence"] = licence
        header = WeightsHeader(architecture=network.name, kind="mono", licence=licence)
        save_weights(tmp_path / "first" / "weights", network, header)
        fields = inherited(tmp_path / "fill")
        assert fields.get("licence") == expected and licence in fields["notes"]


def test_mono_weights_label_but_do_not_teach_unasked(footage, tmp_path, tiny_transformer):
    from stereodistill.weights import WeightsHeader, save_weights
    from stereodistill.weights.transformer import load_transformer

    network = load_transformer(f"hf:{tiny_transformer('resnet')}")
    header = WeightsHeader(architecture=network.name, kind="mono", input_size=(64, 128), licence="mit")
    weights = save_weights(tmp_path / "mono" / "weights", network, header)
    with pytest.raises(UserError, match="give stereo weights"):
        load_teacher(weights, "cpu")
    assert label(footage, weights, tmp_path / "labels", device="cpu").teacher == "mono"
    left, right = np.random.default_rng(0).random((2, 64, 128, 3), dtype=np.float32)
    teacher = load_teacher(weights, "cpu", mono=True)
    (of_left, sure), (of_right, _) = teacher.match_both(left, right)
    assert np.array_equal(of_left, teacher.match(left, right)[0]) and sure.min() == 1
    assert np.array_equal(of_right, teacher.match(right, left)[0])
    assert np.array_equal(of_right, teacher.match_right(left, right)[0])


@pytest.mark.parametrize(
    ("kind", "recipe", "size"), [("dinov2", "fit_hf_backbone", (98, 224)), ("dpt", "fit_hf_depth", (96, 224))]
)
def test_each_kind_of_student_has_its_recipe_and_size(tiny_transformer, tmp_path, kind, recipe, size):
    class Pictures:
        names = [str(i) for i in range(6)]

        def __len__(self):
            return 6

        def size(self, index):
            return 100, 220

    asked = Asked(data="d", teacher="t", student=f"hf:{tiny_transformer(kind)}", seed=0, epochs=1.0)
    plan = new_plan(Pictures(), asked)
    assert (plan.recipe, plan.size) == (recipe, size)
    _, parsed = training_recipe(tmp_path, plan, None, "cpu")
    assert parsed.optimizer.layer_decay == 0.9 and parsed.model.name == asked.student


def test_an_unknown_student_names_the_known_ones(footage, tmp_path):
    for change in ({"student": "vit"}, {"then": "vit"}):
        with pytest.raises(UserError, match=rf"{next(iter(change))} is one of lite_mono.* or hf:MODEL, found 'vit'"):
            fit(footage, tmp_path / "x", **OPTIONS, **change)
    with pytest.raises(UserError, match="no such folder, and no id"):
        fit(footage, tmp_path / "x", student="hf:./nothing", **OPTIONS)
    assert not (tmp_path / "x").exists()


def test_a_licence_that_forbids_is_said_before_anything_is_labelled(footage, tiny_transformer, tmp_path):
    import shutil

    folder = shutil.copytree(tiny_transformer("resnet"), tmp_path / "model")
    (folder / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    with pytest.warns(LicenceWarning, match="forbids commercial use"):
        plan = new_plan(SynthDataset("street", 6, (64, 128), seed=2), Asked(
            data="d", teacher="sgbm", student=f"hf:{folder}", seed=0
        ))  # fmt: skip
    assert plan.recipe == "fit_hf_backbone"
