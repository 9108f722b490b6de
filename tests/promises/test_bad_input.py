"""Whatever is wrong with the input: one clear line on stderr, exit code 2, no traceback, and nothing half written."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from stereodistill.errors import UserError
from stereodistill.io.disparity import write_pfm
from stereodistill.io.images import read_image, write_image

TRAIN_SMALL = ("loop.steps=1", "loop.batch_size=1", "loop.workers=0", "data.size=[64,128]", "augment.size=[64,128]",
               "data.worlds={flying: 1.0}", "data.reuse={}")  # fmt: skip
VERBS_ON_DATA = {
    "check": lambda data, out: ("check", data),
    "fit": lambda data, out: ("fit", data, "--out", out, "--teacher", "sgbm"),
    "label": lambda data, out: ("label", data, "--out", out, "--teacher", "sgbm"),
    "evaluate": lambda data, out: ("evaluate", "--data", data, "--weights", "sgbm", "--protocol", "stereo"),
    "predict": lambda data, out: ("predict", data, "--weights", "lite_mono", "--out", out),
}


def _one(folder: Path) -> Path:
    return sorted(folder.iterdir())[0]


@pytest.mark.parametrize("verb", VERBS_ON_DATA)
def test_wrong_path(cli, tmp_path, verb):
    done = cli(*VERBS_ON_DATA[verb](tmp_path / "nowhere", tmp_path / "out"))
    assert done.code == 2
    assert "nowhere" in done.complaint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", VERBS_ON_DATA)
def test_no_pairs(cli, tmp_path, verb):
    (tmp_path / "empty").mkdir()
    done = cli(*VERBS_ON_DATA[verb](tmp_path / "empty", tmp_path / "out"))
    assert done.code == 2
    assert "no stereo pairs" in done.complaint or "no images" in done.complaint


@pytest.mark.parametrize("verb", ["fit", "label", "evaluate"])
def test_one_view_missing(cli, pairs, tmp_path, verb):
    lonely = _one(pairs / "right")
    lonely.unlink()
    done = cli(*VERBS_ON_DATA[verb](pairs, tmp_path / "out"))
    assert done.code == 2
    assert lonely.name in done.complaint


def test_one_view_missing_is_a_finding_of_check(cli, pairs):
    _one(pairs / "right").unlink()
    done = cli("check", pairs)
    assert (done.code, done.err) == (1, "")
    assert "missing_view" in done.out


def test_truncated_image(cli, pairs, tmp_path):
    victim = _one(pairs / "left")
    victim.write_bytes(victim.read_bytes()[:2000])
    assert cli("check", pairs).code == 1
    for done in (
        cli("match", victim, _one(pairs / "right"), "--teacher", "sgbm", "--out", tmp_path / "d.png"),
        cli("label", pairs, "--teacher", "sgbm", "--out", tmp_path / "labels"),
        cli("evaluate", "--data", pairs, "--weights", "sgbm", "--protocol", "stereo"),
    ):
        assert done.code == 2
        assert victim.name in done.err
        assert "Traceback" not in done.err
    assert not (tmp_path / "d.png").exists()


def test_unreadable_image_in_a_folder_of_photos(cli, pairs, mono_weights, tmp_path):
    last = sorted((pairs / "left").iterdir())[-1]
    last.write_bytes(b"this is no image")
    done = cli("predict", pairs / "left", "--weights", mono_weights, "--focal-px", 100, "--out", tmp_path / "out")
    assert done.code == 2
    assert last.name in done.complaint
    assert len(list((tmp_path / "out" / "color").iterdir())) == len(list((pairs / "left").iterdir())) - 1


def test_sizes_that_differ(cli, pairs, mono_weights, tmp_path):
    victim = _one(pairs / "right")
    write_image(victim, read_image(victim)[:, :-8])
    done = cli("match", _one(pairs / "left"), victim, "--teacher", "sgbm", "--out", tmp_path / "d.png")
    assert done.code == 2
    assert "160x96 and 152x96" in done.complaint
    assert cli("check", pairs).code == 1


def test_ground_truth_that_is_no_disparity(cli, pairs):
    victim = _one(pairs / "disparity")
    values = np.full((96, 160), -3.0, np.float32)
    victim.unlink()
    for spoilt in (values, values * -1000):
        write_pfm(victim.with_suffix(".pfm"), spoilt)
        done = cli("evaluate", "--data", pairs, "--weights", "sgbm", "--protocol", "stereo")
        assert done.code == 2
        assert victim.stem in done.err.splitlines()[-1]
        assert "Traceback" not in done.err


def test_nan_in_ground_truth_is_unknown(cli, pairs, tmp_path):
    for path in sorted((pairs / "disparity").iterdir()):
        path.unlink()
    truth = np.full((96, 160), np.nan, np.float32)
    truth[:10] = 5.0
    write_pfm(pairs / "disparity" / f"{_one(pairs / 'left').stem}.pfm", truth)
    done = cli("evaluate", "--data", pairs, "--weights", "sgbm", "--protocol", "stereo", "--json", tmp_path / "e.json")
    assert done.code == 0
    result = json.loads((tmp_path / "e.json").read_text())
    assert result["num_images"] == 1
    assert result["per_image"][0]["num_pixels"] == 10 * 160


def test_metres_without_a_rig_are_refused(cli, pairs, rigless_weights, tmp_path):
    photo = _one(pairs / "left")
    done = cli("predict", photo, "--weights", rigless_weights, "--out", tmp_path / "out", "--save", "depth16")
    assert done.code == 2
    assert "rig" in done.complaint
    assert not (tmp_path / "out").exists()
    done = cli("predict", photo, "--weights", rigless_weights, "--out", tmp_path / "out")
    assert done.code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["color", "disparity"]
    shutil.rmtree(pairs / "rig")
    done = cli("evaluate", "--data", pairs, "--weights", "sgbm", "--protocol", "depth")
    assert done.code == 2
    assert "rig" in done.err


def test_half_a_rig(cli, pairs):
    assert "--baseline-m" in cli("check", pairs, "--focal-px", 700).complaint
    assert "positive" in cli("check", pairs, "--focal-px", 700, "--baseline-m", -0.1).complaint
    assert "--focal-px" in cli("check", pairs, "--width", 640).complaint


def test_a_width_without_a_focal_length_says_nothing_about_a_camera(cli, pairs, mono_weights, tmp_path):
    done = cli("predict", pairs / "left", "--weights", mono_weights, "--out", tmp_path / "out", "--width", 640)
    assert (done.code, (tmp_path / "out").exists()) == (2, False)
    assert "--focal-px" in done.complaint


def test_findings_are_told_even_where_they_cannot_be_written(cli, pairs, tmp_path):
    done = cli("check", pairs, "--json", tmp_path)
    assert done.code == 2
    assert "it is a folder" in done.complaint
    assert "pairs, 6 readable" in done.out


def test_views_of_which_nothing_can_be_measured_are_not_recommended(cli, tmp_path):
    ramp = np.broadcast_to(np.linspace(0, 1, 320, dtype=np.float32)[None, :, None], (160, 320, 3))
    for view, shift_px in (("left", 0), ("right", -3)):
        write_image(tmp_path / "plain" / view / "a.png", np.roll(ramp, shift_px, axis=1))
    done = cli("check", tmp_path / "plain")
    assert done.code == 0
    assert "enough to judge" in done.out and "can be trained on" not in done.out


def test_weights_of_another_architecture(cli, pairs, mono_weights, tmp_path):
    weights = Path(shutil.copytree(mono_weights, tmp_path / "weights"))
    header = json.loads((weights / "config.json").read_text())
    (weights / "config.json").write_text(json.dumps({**header, "architecture": "lite_stereo", "kind": "stereo"}))
    done = cli("predict", pairs / "left", "--weights", weights, "--out", tmp_path / "out")
    assert done.code == 2
    assert "option" in done.complaint or "architecture" in done.complaint


def test_hostile_pickle_is_never_run(cli, pairs, tmp_path):
    marker = tmp_path / "it_ran"

    class Hostile:
        def __reduce__(self):
            return Path.touch, (marker,)

    torch.save({"x": Hostile()}, tmp_path / "zip.safetensors")
    (tmp_path / "plain.safetensors").write_bytes(pickle.dumps(Hostile()))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "pytorch_model.bin").write_bytes(pickle.dumps(Hostile()))
    pickle.loads(pickle.dumps(Hostile()))
    assert marker.exists(), "the payload is harmless: this test proves nothing"
    marker.unlink()
    for weights in ("zip.safetensors", "plain.safetensors", "folder"):
        done = cli("predict", pairs / "left", "--weights", tmp_path / weights, "--out", tmp_path / "out")
        assert done.code == 2
        assert "pickle" in done.complaint
        assert cli("weights", "show", tmp_path / weights).code == 2
        assert not marker.exists()


def test_stereo_weights_cannot_look_at_one_photo(cli, pairs, stereo_weights, tmp_path):
    done = cli("predict", pairs / "left", "--weights", stereo_weights, "--out", tmp_path / "out")
    assert done.code == 2
    assert "stereodistill match" in done.complaint


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_refuses(cli, pairs, tmp_path, monkeypatch, code):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", refuse)
    left, right = _one(pairs / "left"), _one(pairs / "right")
    for arguments in (
        ("match", left, right, "--teacher", "sgbm", "--out", tmp_path / "d.png"),
        ("label", pairs, "--teacher", "sgbm", "--out", tmp_path / "labels"),
        ("synth", "flying", "--num", 1, "--size", 64, 96, "--out", tmp_path / "world"),
        ("check", pairs, "--json", tmp_path / "findings.json"),
        ("train", "lite_stereo", *TRAIN_SMALL, "--out", tmp_path / "run"),
    ):
        done = cli(*arguments)
        assert done.code == 2, arguments[0]
        last = done.err.strip().splitlines()[-1]
        assert last.startswith("stereodistill: error: cannot write"), done.err
        assert "Traceback" not in done.err
    assert not (tmp_path / "d.png").exists()


def test_an_output_path_below_a_file(cli, pairs, tmp_path):
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "out"
    for arguments in (
        ("label", pairs, "--teacher", "sgbm", "--out", out),
        ("fit", pairs, "--teacher", "sgbm", "--out", out),
        ("train", "lite_stereo", *TRAIN_SMALL, "--out", out),
        ("synth", "flying", "--num", 1, "--size", 64, 96, "--out", out),
    ):
        done = cli(*arguments)
        assert done.code == 2, arguments[0]
        assert "out" in done.err.strip().splitlines()[-1]
        assert "Traceback" not in done.err


def test_an_error_of_many_lines_becomes_one(cli, monkeypatch, tmp_path):
    def fail(*_: object, **__: object) -> None:
        raise UserError("first\nsecond")

    monkeypatch.setattr("stereodistill.data.check_dataset", fail)
    assert cli("check", tmp_path).complaint == "stereodistill: error: first second"


def test_our_own_mistakes_keep_their_traceback(cli, monkeypatch, tmp_path):
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("stereodistill.data.check_dataset", fail)
    done = cli("check", tmp_path)
    assert done.code == 70
    assert "Traceback" in done.err
    assert "internal error: ZeroDivisionError: ours" in done.err.splitlines()[-1]


def test_debug_lets_the_traceback_through(cli, monkeypatch, tmp_path):
    monkeypatch.setenv("STEREODISTILL_DEBUG", "1")
    with pytest.raises(UserError, match="nowhere"):
        cli("check", tmp_path / "nowhere")
