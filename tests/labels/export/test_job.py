"""Exports go on where they stopped, are never half there, and never touch what is not theirs."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from stereodistill.errors import UserError
from stereodistill.labels.export import export_labels
from stereodistill.labels.export.job import _Job
from stereodistill.types import Rig

KINDS = ("ultralytics", "kitti-depth", "npy", "hf-datasets")
STARTS = {"ultralytics": "data.yaml", "kitti-depth": "names.csv", "npy": "pairs.csv", "hf-datasets": "README.md"}


def tree(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_export_goes_on(labels, tmp_path, monkeypatch, kind):
    export_labels(labels.root, kind, tmp_path / "whole", val_fraction=0.25)
    write, calls = _Job.write, []

    def stop_at_the_fifth(self, sample):
        calls.append(sample)
        if len(calls) == 5:
            raise KeyboardInterrupt
        write(self, sample)

    with monkeypatch.context() as patch:
        patch.setattr(_Job, "write", stop_at_the_fifth)
        with pytest.raises(KeyboardInterrupt, match=r"of 12 pairs are exported to .*the same command goes on") as stop:
            export_labels(labels.root, kind, tmp_path / "out", val_fraction=0.25, workers=1)
    num_saved = int(re.search(r"(\d+) of 12", str(stop.value))[1])
    assert 4 <= num_saved < 12
    assert not (tmp_path / "out" / kind / STARTS[kind]).exists()
    assert json.loads((tmp_path / "out" / kind / "export.json").read_text())["finished"] is False
    done = export_labels(labels.root, kind, tmp_path / "out", val_fraction=0.25)
    assert (done.num_new, done.num_train + done.num_val) == (12 - num_saved, 12)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
    assert export_labels(labels.root, kind, tmp_path / "out", val_fraction=0.25).num_new == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_rig_nothing_is_written(write_labels, tmp_path, kind):
    made = write_labels(tmp_path / "labels", with_rig=False)
    with pytest.raises(UserError, match=r"a/000000: .*metres.*--focal-px and --baseline-m") as caught:
        export_labels(made.root, kind, tmp_path / "out")
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()
    (made.root / "rig.json").write_text('{"focal_px": 90, "baseline_m": 0.1, "width": 48}')
    assert export_labels(made.root, kind, tmp_path / "out").num_new == 12


def test_one_pair_without_a_rig_is_enough(write_labels, tmp_path):
    made = write_labels(tmp_path / "labels")
    (made.root / "rig" / "b" / "000003.json").unlink()
    with pytest.raises(UserError, match=r"b/000003: an export holds metres"):
        export_labels(made.root, "npy", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_of_others_stay(labels, tmp_path):
    root = tmp_path / "ultralytics"
    (root / "images").mkdir(parents=True)
    (root / "images" / "mine.png").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"no export.json.*another --out"):
        export_labels(labels.root, "ultralytics", tmp_path)
    assert tree(root) == {"images/mine.png": b"mine"}
    (tmp_path / "npy").write_text("a file")
    with pytest.raises(UserError, match="is a file"):
        export_labels(labels.root, "npy", tmp_path)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"min_confidence": 0.5}, r"min_confidence 0.0, not min_confidence 0.5"),
        ({"val_fraction": 0.5}, r"9 train pairs from a/000000, not 6 train pairs"),
        ({"rig": Rig(focal_px=90.0, baseline_m=0.1, width=0)}, r"cameras \(100.0, 0.5, 0.0, 48\); .*not cameras"),
    ],
)
def test_another_export_is_refused(labels, tmp_path, other, message):
    export_labels(labels.root, "npy", tmp_path, val_fraction=0.25)
    before = tree(tmp_path)
    with pytest.raises(UserError, match=message):
        export_labels(labels.root, "npy", tmp_path, **{"val_fraction": 0.25, **other})
    assert tree(tmp_path) == before


def test_labels_of_another_teacher_are_refused(write_labels, tmp_path):
    made = write_labels(tmp_path / "labels")
    export_labels(made.root, "npy", tmp_path)
    header = made.root / "labels.json"
    header.write_text(header.read_text().replace("0123", "4567"))
    with pytest.raises(UserError, match="teacher_hash 0123, not teacher_hash 4567"):
        export_labels(made.root, "npy", tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": "npy"}'])
def test_a_damaged_header_is_one_clear_line(labels, tmp_path, text):
    (tmp_path / "npy").mkdir()
    (tmp_path / "npy" / "export.json").write_text(text)
    with pytest.raises(UserError, match=r"export\.json") as caught:
        export_labels(labels.root, "npy", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("coco", {}, "ultralytics, kitti-depth, npy, hf-datasets, found 'coco'"),
        ("ultralytics", {"val_fraction": 0.0}, "wants pairs to validate on"),
        ("npy", {"val_fraction": 1.0}, "val_fraction"),
        ("npy", {"min_confidence": 2.0}, "min_confidence"),
    ],
)
def test_what_makes_no_sense_is_refused(labels, tmp_path, kind, options, message):
    with pytest.raises(UserError, match=message):
        export_labels(labels.root, kind, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_no_labels_no_export(tmp_path):
    with pytest.raises(UserError, match="no such labels folder"):
        export_labels(tmp_path / "none", "npy", tmp_path / "out")
    (tmp_path / "left").mkdir()
    with pytest.raises(UserError, match="no stereo pairs|no labels.json"):
        export_labels(tmp_path, "npy", tmp_path / "out")


def test_names_that_become_one_are_refused(write_labels, tmp_path):
    made = write_labels(tmp_path / "labels", names=("a/x__y", "a__x/y", "c/z"))
    with pytest.raises(UserError, match="both be exported as a__x__y"):
        export_labels(made.root, "npy", tmp_path / "out")


def test_pairs_without_labels_do_not_move_the_others_between_the_splits(write_labels, tmp_path):
    made = write_labels(tmp_path / "labels")
    export_labels(made.root, "npy", tmp_path / "all", val_fraction=0.25)
    names = sorted({name for name, _ in made.depth_m})
    for view in ("left", "right"):
        (made.root / view / "a" / "000002.png").unlink()
    done = export_labels(made.root, "npy", tmp_path / "some", names=names, val_fraction=0.25)
    assert done.num_missing == 1
    headers = [json.loads((tmp_path / d / "npy/export.json").read_text()) for d in ("all", "some")]
    for split in ("train", "val"):
        assert [name for name in headers[0][split] if name != "a/000002"] == headers[1][split]


def test_photos_of_a_folder_that_cannot_be_linked_are_copied(labels, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    export_labels(labels.root, "npy", tmp_path, val_fraction=0.25)
    (photo,) = (tmp_path / "npy").rglob("images/*/a__000000.png")
    assert photo.read_bytes() == (labels.root / "left/a/000000.png").read_bytes()
    assert photo.stat().st_nlink == 1


def test_a_full_disk_leaves_whole_files_only(labels, tmp_path, monkeypatch):
    saved, calls = np.save, []

    def full(stream, array, **options):
        calls.append(1)
        if len(calls) > 3:
            raise OSError(28, "No space left on device")
        saved(stream, array, **options)

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(OSError):
            export_labels(labels.root, "npy", tmp_path, val_fraction=0.25, workers=1)
    written = list((tmp_path / "npy" / "depth").rglob("*"))
    assert not [p for p in written if p.name.startswith(".tmp")]
    assert all(np.load(p).size for p in written if p.suffix == ".npy")
    assert not (tmp_path / "npy" / "pairs.csv").exists()
