"""Every command does what its help says, on small pairs."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from stereodistill.io.disparity import read_disparity
from stereodistill.io.images import read_image, write_image

NUM_PAIRS = 6


def _names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_synth_is_the_same_for_every_num_and_again(cli, tmp_path):
    for out, num in (("few", 2), ("more", 5)):
        done = cli("synth", "flying", "--num", num, "--size", 64, 96, "--seed", 7, "--out", tmp_path / out)
        assert done.code == 0
        assert str(tmp_path / out) in done.out
    for name in _names(tmp_path / "few"):
        assert (tmp_path / "few" / name).read_bytes() == (tmp_path / "more" / name).read_bytes(), name
    assert len(_names(tmp_path / "more")) == 5 * 5  # two images, two maps, one rig
    done = cli("synth", "flying", "--num", 1, "--size", 64, 96, "--out", tmp_path / "few")
    assert "holds pairs already" in done.complaint


def test_synth_uses_photos(cli, tmp_path, rendered):
    plain = ("synth", "flying", "--num", 2, "--size", 64, 96, "--seed", 1, "--out")
    assert cli(*plain, tmp_path / "a").code == 0
    assert cli(*plain, tmp_path / "b", "--photos", rendered / "left").code == 0
    assert _names(tmp_path / "a") == _names(tmp_path / "b")
    assert "no such folder" in cli(*plain, tmp_path / "c", "--photos", tmp_path / "none").complaint


def test_check_of_good_pairs(cli, rendered, tmp_path):
    done = cli("check", rendered, "--json", tmp_path / "findings.json")
    assert done.code == 0
    assert f"{NUM_PAIRS} pairs" in done.out
    assert json.loads((tmp_path / "findings.json").read_text())["ok"] is True


def test_what_check_proposes_opens_the_same_pairs(cli, rendered):
    command = ("check", rendered, "--layout", "folder", "--focal-px", 90, "--baseline-m", 0.1, "--width", 160)
    done = cli(*command, "--limit", 6)
    options = "--layout folder --focal-px 90.0 --baseline-m 0.1 --width 160"
    assert f"Next: stereodistill fit {rendered} {options} --out runs/mine" in done.out
    assert f"Next: stereodistill fit {rendered} --out runs/mine" in cli("check", rendered).out


def test_check_of_swapped_views(cli, tmp_path):
    world = tmp_path / "world"
    assert cli("synth", "flying", "--num", 4, "--size", 256, 448, "--seed", 5, "--out", world).code == 0
    assert cli("check", world).code == 0
    (world / "left").rename(world / "other")
    (world / "right").rename(world / "left")
    (world / "other").rename(world / "right")
    for truth in ("disparity", "disparity_right"):
        for path in (world / truth).iterdir():
            path.unlink()
    done = cli("check", world)
    assert done.code == 1
    assert "swapped" in done.out
    assert "must not be trained on" in done.out


def test_match(cli, rendered, tmp_path):
    name = _names(rendered / "left")[0]
    views = rendered / "left" / name, rendered / "right" / name
    sgbm = ("--teacher", "sgbm")
    done = cli("match", *views, *sgbm, "--out", tmp_path / "d.png", "--confidence", tmp_path / "c.png")
    assert done.code == 0
    disparity, valid = read_disparity(tmp_path / "d.png")
    truth, known = read_disparity(rendered / "disparity" / name)
    assert disparity.shape == truth.shape
    assert np.median(np.abs(disparity - truth)[valid & known]) < 2
    assert (read_image(tmp_path / "c.png")[~valid] == 0).all()
    assert cli("match", *views, *sgbm, "--right", "--out", tmp_path / "r.pfm").code == 0
    right, right_valid = read_disparity(tmp_path / "r.pfm")
    right_truth, right_known = read_disparity(rendered / "disparity_right" / name)
    assert np.median(np.abs(right - right_truth)[right_valid & right_known]) < 2


def test_label_goes_on_where_it_stopped_and_feeds_evaluate(cli, rendered, tmp_path):
    command = ("label", rendered, "--teacher", "sgbm", "--out", tmp_path / "labels")
    assert "2 pairs labelled" in cli(*command, "--shard", "0/3").out
    done = cli(*command)
    assert done.code == 0
    assert f"{NUM_PAIRS - 2} pairs labelled" in done.out
    assert "2 were there" in done.out
    score = ("evaluate", "--data", rendered, "--protocol", "stereo", "--json", tmp_path / "e.json")
    assert cli(*score, "--predictions", tmp_path / "labels").code == 0
    from_files = json.loads((tmp_path / "e.json").read_text())
    assert cli(*score, "--weights", "sgbm").code == 0
    direct = json.loads((tmp_path / "e.json").read_text())
    contract = {"protocol", "num_images", "metrics", "weights", "per_image"}
    assert set(direct) == contract | {"options", "data", "num_expected", "skipped"}
    assert from_files["num_images"] == direct["num_images"] == NUM_PAIRS
    assert from_files["metrics"]["d1"] == pytest.approx(direct["metrics"]["d1"], abs=0.1)  # rounding to 1/256 px


def test_predict_keeps_names_and_folders_apart(cli, rendered, mono_weights, tmp_path):
    photo = read_image(next((rendered / "left").iterdir()))
    for name in ("a/x.png", "b/x.png", "b/x.jpg"):
        write_image(tmp_path / "photos" / name, photo)
    for source, expected in (
        (tmp_path / "photos", ["a/x.npy", "b/x.jpg.npy", "b/x.png.npy"]),
        (tmp_path / "photos" / "*" / "x.png", ["a/x.npy", "b/x.npy"]),
        (tmp_path / "photos" / "a" / "x.png", ["x.npy"]),
    ):
        out = tmp_path / f"out_{len(expected)}"
        done = cli("predict", source, "--weights", mono_weights, "--focal-px", 100, "--out", out, "--save", "npy")
        assert (done.code, done.err) == (0, "")
        assert _names(out / "npy") == expected


def test_predict_follows_the_focal_rule_and_warns_without_a_camera(cli, rendered, mono_weights, tmp_path):
    photo = next((rendered / "left").iterdir())
    command = ("predict", photo, "--weights", mono_weights, "--save", "npy", "--out")
    assert cli(*command, tmp_path / "one", "--focal-px", 100).err == ""
    assert cli(*command, tmp_path / "two", "--focal-px", 100, "--width", 80).code == 0
    done = cli(*command, tmp_path / "none")
    assert done.code == 0
    assert done.err.startswith("stereodistill: warning: no camera given")
    assert len(done.err.splitlines()) == 1
    one, two, none = (np.load(tmp_path / d / "npy" / f"{photo.stem}.npy") for d in ("one", "two", "none"))
    np.testing.assert_allclose(two, 2 * one, rtol=1e-6)
    np.testing.assert_allclose(none, 1.2 * one, rtol=1e-6)  # the weights' own camera: 120 px


def test_predict_on_a_video(cli, mono_weights, tmp_path):
    video = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 96))
    for value in (40, 120, 200, 250):
        video.write(np.full((96, 160, 3), value, np.uint8))
    video.release()
    command = ("predict", tmp_path / "v.avi", "--weights", mono_weights, "--focal-px", 100, "--out", tmp_path / "out")
    assert cli(*command, "--save", "depth16,color", "--limit", 3).code == 0
    assert _names(tmp_path / "out" / "depth16") == [f"v_{number:06d}.png" for number in range(3)]
    assert len(_names(tmp_path / "out" / "color")) == 3


def test_weights_show_and_list(cli, mono_weights):
    header = json.loads(cli("weights", "show", mono_weights).out)
    assert (header["architecture"], header["kind"], len(header["hash"])) == ("lite_mono", "mono", 64)
    done = cli("weights", "list")
    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()] == ["lite0_mono", "lite_stereo"]


def test_export_says_what_it_wrote(cli, tmp_path, monkeypatch):
    # The export itself takes long and is tested in test_export.py.
    asked = []

    def write(weights: str, out: Path, *, progress: bool) -> Path:
        asked.append((weights, out, progress))
        return out

    monkeypatch.setattr(importlib.import_module("stereodistill.onnx_export"), "export", write)
    done = cli("export", "--weights", "lite_stereo", "--out", tmp_path / "m.onnx")
    assert done.code == 0
    assert asked == [("lite_stereo", tmp_path / "m.onnx", True)]
    assert str(tmp_path / "m.json") in done.out


def test_fit_passes_its_options_on_and_tells_the_scores(cli, rendered, tmp_path, monkeypatch):
    # The real thing runs in test_readme.py.
    asked = {}

    def fit(data: Path, out: Path, **options: object) -> dict:
        asked.update(options, data=data, out=out)
        scores = {"labels": {"metrics": {"abs_rel": 0.1234}}, "truth": {"metrics": {"epe": None}}}
        return {"onnx": "model.onnx", "held_out": {"student": scores}}

    monkeypatch.setattr(importlib.import_module("stereodistill.fitting"), "fit", fit)
    command = ("fit", rendered, "--out", tmp_path / "run", "--teacher", "sgbm", "--epochs", 2, "--seed", 4)
    done = cli(*command, "--focal-px", 700, "--baseline-m", 0.5, "--width", 320, "--val-fraction", 0.2)
    assert done.code == 0
    assert "student                  abs_rel 0.123 against labels" in done.out
    assert "epe - against truth" in done.out
    assert str(tmp_path / "run" / "model.onnx") in done.out
    rig = asked["rig"]
    assert (rig.focal_px, rig.baseline_m, rig.width) == (700, 0.5, 320)
    assert (asked["teacher"], asked["student"], asked["finetune"]) == ("sgbm", "lite0_mono", "none")
    assert (asked["minutes"], asked["epochs"], asked["val_fraction"], asked["seed"]) == (None, 2, 0.2, 4)
    assert (asked["layout"], asked["resume"], asked["device"], asked["progress"]) == ("auto", False, "auto", True)


def test_demo_says_where_the_report_is(cli, tmp_path, monkeypatch):
    # `make demo` itself takes minutes.
    asked = []
    monkeypatch.setattr(
        importlib.import_module("stereodistill.demo"), "run_demo", lambda out, **options: asked.append((out, options))
    )
    done = cli("demo", "--out", tmp_path / "demo", "--seed", 3, "--device", "cpu")
    assert done.code == 0
    assert asked == [(tmp_path / "demo", {"device": "cpu", "seed": 3})]
    assert str(tmp_path / "demo" / "report.html") in done.out
