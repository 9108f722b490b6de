"""What `label` writes is a folder dataset with the teacher's maps, however the pairs came."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import numpy as np
import pytest
import torch

from stereodistill.data import open_dataset
from stereodistill.errors import UserError
from stereodistill.io.disparity import read_disparity, write_disparity
from stereodistill.labels.dataset import LabelledDataset
from stereodistill.labels.files import LabelsHeader, write_label
from stereodistill.labels.make import label

HEIGHT, WIDTH, NUM = 40, 112, 5  # as in conftest.py
BACKGROUND_PX, BLOCK_PX = 4, 9


class Answers:
    """A teacher that answers with fixed maps."""

    name, hash = "answers", "fixed"

    def __init__(self, answer: Callable[[tuple[int, int]], tuple[np.ndarray, np.ndarray]]):
        self._answer = answer

    def match(self, left, right, name=""):
        return self._answer(tuple(left.shape[1:]))

    def match_right(self, left, right, name=""):
        return self._answer(tuple(left.shape[1:]))

    def match_both(self, left, right, name=""):
        return self.match(left, right), self.match_right(left, right)


def test_labels_are_a_folder_dataset_with_the_teachers_disparity(sgbm, dots, pairs, tmp_path):
    summary = label(pairs, sgbm(), tmp_path / "out")
    assert (summary.num_pairs, summary.num_new, summary.num_old) == (NUM, NUM, 0)
    for dataset in (open_dataset(tmp_path / "out"), LabelledDataset(tmp_path / "out")):
        assert list(dataset.names) == [f"{i:03d}" for i in range(NUM)]
        pair, source = dataset.load(1), open_dataset(pairs).load(1)
        assert torch.equal(pair.left.image, source.left.image) and torch.equal(pair.right.image, source.right.image)
        assert pair.rig == source.rig
        truth = torch.from_numpy(dots(1)[2])[None]
        error = (pair.left.disparity - truth).abs()[pair.left.valid]
        assert pair.left.valid.float().mean() > 0.6 and (error < 1).float().mean() > 0.97
        assert pair.right.valid.float().mean() > 0.6
        # The right view's wall and block stand where its own image shows them.
        values = pair.right.disparity[pair.right.valid]
        near = [(values - d).abs() < 1 for d in (BACKGROUND_PX, BLOCK_PX)]
        assert (near[0] | near[1]).float().mean() > 0.97 and near[1].any()


def test_disparity_that_no_png_can_hold_is_stored_as_pfm(tmp_path):
    size = (8, 600)
    disparity = np.tile(np.linspace(1, 400, 600, dtype=np.float32), (8, 1))
    write_label(tmp_path, "far", "left", disparity / 2, np.ones(size, np.float32))
    write_label(tmp_path, "near", "left", disparity, np.ones(size, np.float32))
    assert sorted(p.name for p in (tmp_path / "disparity").iterdir()) == ["far.png", "near.pfm"]
    assert np.array_equal(read_disparity(tmp_path / "disparity" / "near.pfm")[0], disparity)


def test_nonsense_from_a_teacher_becomes_unknown(pairs, tmp_path):
    def answer(size):
        disparity, confidence = np.full(size, 5, np.float32), np.full(size, 0.001, np.float32)
        disparity[0, :5] = [np.nan, np.inf, -3, 0, size[1] + 1]
        confidence[1, :3] = [np.nan, 7, -1]
        return disparity, confidence

    label(pairs, Answers(answer), tmp_path / "out", limit=1)
    dataset = LabelledDataset(tmp_path / "out")
    pair, confidence = dataset.load(0), dataset.load_confidence(0)
    for view, certain in zip((pair.left, pair.right), confidence, strict=True):
        assert not view.valid[0, 0, :5].any() and view.valid[0, 0, 5:].all() and view.valid[0, 1:].all()
        assert (certain[0, 0, :5] == 0).all()
        assert certain[0, 1, :3].tolist() == [0, 1, 0]
        # A confidence above 0 is kept above 0.
        assert (certain[0, 2:] == 1 / 255).all()


def test_confidence_threshold_makes_pixels_unknown(pairs, tmp_path):
    def answer(size):
        confidence = np.full(size, 0.2, np.float32)
        confidence[:, 10:] = 0.9
        return np.full(size, 5, np.float32), confidence

    label(pairs, Answers(answer), tmp_path / "out", limit=1)
    assert LabelledDataset(tmp_path / "out").load(0).left.valid.all()
    view = LabelledDataset(tmp_path / "out", min_confidence=0.5).load(0).left
    assert not view.valid[..., :10].any() and view.valid[..., 10:].all()
    assert torch.equal(view.disparity > 0, view.valid)
    with pytest.raises(UserError, match="min_confidence"):
        LabelledDataset(tmp_path / "out", min_confidence=1.5)


def test_labels_can_be_laid_over_the_original_data(sgbm, pairs, tmp_path):
    out = tmp_path / "out"
    (pairs / "disparity").mkdir()
    for index in range(NUM):
        write_disparity(pairs / "disparity" / f"{index:03d}.png", np.full((HEIGHT, WIDTH), 50, np.float32))
    label(pairs, sgbm(), out, limit=3)
    shutil.rmtree(out / "left")
    shutil.copytree(pairs / "left", out / "left")
    with pytest.raises(UserError, match=r"3 of 5 pairs have labels; run"):
        LabelledDataset(out, data=pairs)
    assert LabelledDataset(out, data=pairs, allow_missing=True).names == ["000", "001", "002"]
    dataset = LabelledDataset(out, data=open_dataset(pairs), names=["002", "000"])
    assert dataset.names == ["002", "000"]
    assert dataset.load(0).left.disparity.max() < 20  # the teacher's, not the ground truth's 50
    with pytest.raises(UserError, match="no pair named 'other'"):
        LabelledDataset(out, data=pairs, names=["other"])


def test_images_take_no_space_and_outlive_the_originals(sgbm, tree, pairs, tmp_path, monkeypatch):
    label(pairs, sgbm(), tmp_path / "linked")
    assert (tmp_path / "linked" / "left" / "000.png").samefile(pairs / "left" / "000.png")

    def no_links(*_, **__):
        raise OSError("another file system")

    monkeypatch.setattr(os, "link", no_links)
    label(pairs, sgbm(), tmp_path / "copied")
    assert not (tmp_path / "copied" / "left" / "000.png").samefile(pairs / "left" / "000.png")
    assert tree(tmp_path / "copied") == tree(tmp_path / "linked")
    shutil.rmtree(pairs)
    assert LabelledDataset(tmp_path / "linked").load(0).left.valid.any()


def test_shipped_teachers_are_found_by_name_and_finished_maps_can_teach(tree, pairs, tmp_path):
    label(pairs, "sgbm", tmp_path / "out")
    header = LabelsHeader.read(tmp_path / "out")
    assert header is not None and header.teacher == "sgbm" and len(header.teacher_hash) >= 16
    label(pairs, tmp_path / "out", tmp_path / "copy")
    assert tree(tmp_path / "copy" / "disparity") == tree(tmp_path / "out" / "disparity")
    (tmp_path / "out" / "disparity" / "002.png").unlink()
    summary = label(pairs, tmp_path / "out", tmp_path / "partial", on_error="skip")
    assert summary.unreadable == ("002",) and summary.num_new == NUM - 1
    with pytest.raises(UserError, match="nothing_like_this"):
        label(pairs, "nothing_like_this", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_pairs_without_files_are_written_as_png(sgbm, in_memory, tmp_path):
    dataset = in_memory()
    label(dataset, sgbm(), tmp_path / "out")
    pair = LabelledDataset(tmp_path / "out").load(1)
    assert torch.allclose(pair.left.image, dataset.load(1).left.image, atol=1e-6) and pair.left.valid.any()
    assert not pair.rig.is_metric and not (tmp_path / "out" / "rig").exists()
