"""bf16 answers hardly differ, are taken only where they are clearly quicker, and are never mixed with float32 ones."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from stereodistill.errors import UserError
from stereodistill.io.disparity import read_disparity
from stereodistill.labels import label
from stereodistill.predict import load_teacher, precision
from stereodistill.predict.teachers import SgbmTeacher
from stereodistill.synth import SynthDataset


@pytest.fixture(scope="module")
def teacher():
    return load_teacher("lite_stereo", "cpu")


@pytest.fixture(scope="module")
def views():
    pair = SynthDataset("street", 1, (96, 192), seed=2).load(0)
    return [np.ascontiguousarray(view.image.permute(1, 2, 0).numpy()) for view in (pair.left, pair.right)]


def test_bf16_changes_little(teacher, views):
    exact, coarse = (teacher.in_precision(p).match_both(*views) for p in ("f32", "bf16"))
    assert teacher.precision == torch.float32
    for (disparity, sure), (other, other_sure) in zip(exact, coarse, strict=True):
        difference = np.abs(disparity - other)
        assert other.dtype == other_sure.dtype == np.float32
        assert 0 < np.median(difference) < 1 / 128 and difference.mean() < 0.05
        assert np.abs(sure - other_sure).mean() < 0.02


def test_the_right_view_is_the_mirrored_left_one_in_bf16_too(teacher, views):
    predictor = teacher.in_precision("bf16")
    mirrored = [np.ascontiguousarray(view[:, ::-1]) for view in reversed(views)]
    for right, left in zip(predictor.match_right(*views), predictor.match(*mirrored), strict=True):
        assert (right == left[:, ::-1]).all()


@pytest.mark.parametrize(("share", "expected"), [(0.5, "bf16"), (0.9, "f32"), (2.0, "f32")])
def test_bf16_must_be_clearly_quicker(teacher, monkeypatch, share, expected):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    monkeypatch.setattr(precision, "seconds", lambda _, p: {"f32": 1.0, "bf16": share}[p])
    assert precision.settle_precision(teacher, "auto") == expected
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert precision.settle_precision(teacher, "auto") == "f32"


def test_a_network_that_bf16_would_harm_stays_exact(teacher, monkeypatch):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    monkeypatch.setattr(precision, "seconds", lambda _, p: {"f32": 1.0, "bf16": 0.1}[p])
    monkeypatch.setattr(type(teacher.model), "holds_in_bf16", False)
    assert precision.settle_precision(teacher, "auto") == "f32"
    assert precision.settle_precision(teacher, "bf16") == "bf16"


def test_what_cannot_be_is_refused():
    assert precision.settle_precision(SgbmTeacher(), "auto") == "f32"
    with pytest.raises(UserError, match="bf16 is for networks; the teacher sgbm"):
        precision.settle_precision(SgbmTeacher(), "bf16")
    with pytest.raises(UserError, match="auto, f32 or bf16, found 'f16'"):
        precision.settle_precision(SgbmTeacher(), "f16")


def test_labels_of_one_folder_have_one_precision(teacher, views, tmp_path, monkeypatch):
    from stereodistill.io.images import write_image

    for side, view in zip(("left", "right"), views, strict=True):
        write_image(tmp_path / "pairs" / side / "0.png", view)
    label(tmp_path / "pairs", teacher, tmp_path / "out", precision="bf16")
    assert json.loads((tmp_path / "out" / "labels.json").read_text())["precision"] == "bf16"
    stored = [np.rint(view * 255).astype(np.float32) / np.float32(255) for view in views]
    expected = teacher.in_precision("bf16").match(*stored)[0]
    assert np.abs(read_disparity(tmp_path / "out" / "disparity" / "0.png")[0] - expected).max() <= 0.5 / 256 + 1e-6
    monkeypatch.setattr(precision, "seconds", None)
    for view in ("", "_right"):
        (tmp_path / "out" / f"disparity{view}" / "0.png").unlink()
    assert label(tmp_path / "pairs", teacher, tmp_path / "out").num_new == 1  # auto: as it began, not measured again
    assert np.abs(read_disparity(tmp_path / "out" / "disparity" / "0.png")[0] - expected).max() <= 0.5 / 256 + 1e-6
    with pytest.raises(UserError, match="computed in bf16, not f32; give another --out"):
        label(tmp_path / "pairs", teacher, tmp_path / "out", precision="f32")
