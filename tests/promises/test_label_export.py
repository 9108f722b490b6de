"""`label --export`: one call from pairs to what another trainer reads, and complaints that come before the work."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest

KINDS = ("ultralytics", "kitti-depth", "npy", "hf-datasets")


def test_pairs_are_labelled_and_exported_in_one_call(cli, rendered, tmp_path):
    command = ("label", rendered, "--teacher", "sgbm", "--out", tmp_path, "--export", "npy", "--val-fraction", 0.3)
    done = cli(*command)
    assert (done.code, done.err) == (0, "")
    assert "6 pairs labelled by sgbm" in done.out
    assert f"4 pairs to train on and 2 to validate, for npy: {tmp_path / 'npy'}" in done.out
    for path in (tmp_path / "npy" / "depth").rglob("*.npy"):
        rig = json.loads((rendered / "rig" / f"{path.stem}.json").read_text())
        disparity = cv2.imread(str(tmp_path / "disparity" / f"{path.stem}.png"), cv2.IMREAD_UNCHANGED) / 256
        expected = np.where(
            disparity > 0, rig["focal_px"] * rig["baseline_m"] / np.maximum(disparity + rig["doffs_px"], 1e-6), 0
        )
        np.testing.assert_allclose(np.load(path), expected, rtol=1e-5)
    again = cli(*command)
    assert "0 pairs labelled" in again.out and "6 were there" in again.out
    assert "holds an export" in cli(*command[:-1], 0.5).complaint


@pytest.mark.parametrize("kind", KINDS)
def test_a_labels_folder_is_exported_without_its_teacher(cli, rendered, tmp_path, kind):
    assert cli("label", rendered, "--teacher", "sgbm", "--out", tmp_path / "labels").code == 0
    command = (
        "label",
        tmp_path / "labels",
        "--teacher",
        tmp_path / "gone",
        "--export",
        kind,
        "--out",
        tmp_path / "out",
    )
    done = cli(*command, "--limit", 5)
    assert done.code == 0
    assert f"4 pairs to train on and 1 to validate, for {kind}" in done.out
    assert "Next: " in done.out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [kind]


def test_no_rig_is_said_before_the_work(cli, rendered, tmp_path):
    pairs = tmp_path / "pairs"
    for view in ("left", "right"):
        shutil.copytree(rendered / view, pairs / view)
    command = ("label", pairs, "--teacher", "sgbm", "--out", tmp_path / "out", "--export", "kitti-depth")
    assert "--focal-px and --baseline-m" in cli(*command).complaint
    assert not (tmp_path / "out").exists()
    assert cli(*command, "--focal-px", 100, "--baseline-m", 0.2).code == 0


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--export", "coco"), "ultralytics, kitti-depth, npy, hf-datasets, found 'coco'"),
        (("--export", "npy", "--shard", "0/2"), "without --shard"),
        (("--export", "npy", "--min-confidence", "2"), "--min-confidence is a number from 0 to 1"),
        (("--export", "npy", "--val-fraction", "1"), "val_fraction must be at least 0 and less than 1"),
        (("--export", "ultralytics", "--val-fraction", "0"), "wants pairs to validate on"),
    ],
)
def test_options_that_make_no_sense_cost_nothing(cli, rendered, tmp_path, options, complaint):
    done = cli("label", rendered, "--teacher", "sgbm", "--out", tmp_path / "out", *options)
    assert (done.code, complaint in done.complaint) == (2, True)
    assert not (tmp_path / "out").exists()
