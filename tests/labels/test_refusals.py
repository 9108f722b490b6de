"""Labels are never mixed, nothing else is overwritten, and what makes no sense is one clear line."""

from __future__ import annotations

import numpy as np
import pytest

from stereodistill.errors import UserError
from stereodistill.io.disparity import write_disparity
from stereodistill.labels.dataset import LabelledDataset
from stereodistill.labels.files import label_name
from stereodistill.labels.make import label

HEIGHT, WIDTH = 40, 112  # as in conftest.py


def test_labels_of_another_teacher_are_refused(sgbm, tree, pairs, tmp_path):
    label(pairs, sgbm("a"), tmp_path / "out")
    before = tree(tmp_path / "out")
    with pytest.raises(UserError, match=r"teacher sgbm \(a\), not of sgbm \(b\).*another --out"):
        label(pairs, sgbm("b"), tmp_path / "out")
    assert tree(tmp_path / "out") == before


def test_labels_of_other_pictures_are_refused(sgbm, write_pairs, pairs, tmp_path):
    label(pairs, sgbm(), tmp_path / "out")
    other = write_pairs(tmp_path / "other", seed=50)
    with pytest.raises(UserError, match="another picture 000.png"):
        label(other, sgbm(), tmp_path / "out")


def test_ground_truth_is_never_overwritten(sgbm, tree, pairs):
    (pairs / "disparity").mkdir()
    write_disparity(pairs / "disparity" / "000.png", np.full((HEIGHT, WIDTH), 7, np.float32))
    before = tree(pairs)
    with pytest.raises(UserError, match=r"no labels.json.*another --out"):
        label(pairs, sgbm(), pairs)
    assert tree(pairs) == before


def test_labels_of_another_size_are_refused(sgbm, pairs, tmp_path):
    label(pairs, sgbm(), tmp_path / "out")
    write_disparity(tmp_path / "out" / "disparity" / "000.png", np.full((HEIGHT, WIDTH + 1), 5, np.float32))
    with pytest.raises(UserError, match=f"{WIDTH}x{HEIGHT}, its label {WIDTH + 1}x{HEIGHT}"):
        LabelledDataset(tmp_path / "out").load(0)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"teacher": 1}', '{"teacher": "a", "teacher_hash": "b", "x": 1}'])
def test_damaged_header_is_one_clear_line(sgbm, pairs, tmp_path, text):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "labels.json").write_text(text)
    for act in (lambda: label(pairs, sgbm(), tmp_path / "out"), lambda: LabelledDataset(tmp_path / "out")):
        with pytest.raises(UserError, match="labels.json") as caught:
            act()
        assert "\n" not in str(caught.value)


def test_a_folder_without_labels_is_refused(pairs):
    with pytest.raises(UserError, match=r"no labels.json.*stereodistill label"):
        LabelledDataset(pairs)


def test_names_that_point_elsewhere_stay_inside(sgbm, tree, pairs, tmp_path):
    folder = tmp_path / "lists"
    folder.mkdir()
    absolute = pairs / "left" / "001.png", pairs / "right" / "001.png"
    rows = ["../pairs/left/000.png,../pairs/right/000.png", ",".join(map(str, absolute))]
    (folder / "list.csv").write_text("\n".join(["left,right", *rows]))
    before = tree(pairs)
    label(folder / "list.csv", sgbm(), tmp_path / "out")
    assert tree(pairs) == before
    dataset = LabelledDataset(tmp_path / "out", data=folder / "list.csv")
    assert len(dataset) == 2 and dataset.load(1).left.valid.any()
    assert len(LabelledDataset(tmp_path / "out")) == 2
    assert label_name("/a/../b/./c.d") == "a/b/c.d"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shard": (4, 4)}, "k/n"),
        ({"shard": (-1, 2)}, "k/n"),
        ({"workers": 0}, "workers"),
        ({"on_error": "ignore"}, "on_error"),
        ({"limit": 0}, "limit"),
    ],
)
def test_options_that_make_no_sense_are_refused(sgbm, pairs, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        label(pairs, sgbm(), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_two_pairs_of_one_name_are_refused(sgbm, in_memory, tmp_path):
    with pytest.raises(UserError, match="same name"):
        label(in_memory(("a/b", "../a/b")), sgbm(), tmp_path / "out")


def test_a_file_in_place_of_the_folder_is_refused(sgbm, pairs, tmp_path):
    (tmp_path / "out").write_text("not a folder")
    with pytest.raises(UserError, match="out"):
        label(pairs, sgbm(), tmp_path / "out")
