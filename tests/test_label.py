"""`label`: a folder dataset comes out, runs can be killed, resumed and shared out, and labels are never mixed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from stereodistill.data import open_dataset
from stereodistill.data.label_files import LabelsHeader, label_name, write_label
from stereodistill.data.labelled import LabelledDataset
from stereodistill.errors import UserError
from stereodistill.io.disparity import read_disparity, write_disparity
from stereodistill.label import label
from stereodistill.models.sgbm import SGBM
from stereodistill.predict import teachers
from stereodistill.predict.teachers import Match
from stereodistill.types import Rig, StereoPair, View

HEIGHT, WIDTH, NUM = 40, 112, 5
BACKGROUND_PX, BLOCK_PX = 4, 9


class SgbmTeacher(teachers.SgbmTeacher):
    """OpenCV's matcher, fitted to small pictures; `calls` counts how often it was asked."""

    def __init__(self, version: str = "a"):
        super().__init__(SGBM(max_disparity_px=16, speckle_px=0))
        self.hash, self.calls = version, 0

    def match_both(self, left: np.ndarray, right: np.ndarray, name: str = "") -> tuple[Match, Match]:
        self.calls += 1
        return super().match_both(left, right)


class Answers:
    """A teacher that answers with fixed maps."""

    name, hash = "answers", "fixed"

    def __init__(self, answer: Callable[[tuple[int, int]], tuple[np.ndarray, np.ndarray]]):
        self._answer = answer

    def match(self, left, right, name=""):
        return self._answer(left.shape[:2])

    def match_right(self, left, right, name=""):
        return self._answer(left.shape[:2])

    def match_both(self, left, right, name=""):
        return self.match(left, right), self.match_right(left, right)


def random_dots(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A block in front of a wall, both of random dots: left, right (H, W, 3) uint8 and the left disparity (H, W)."""
    rng = np.random.default_rng(seed)
    wall, block = (rng.integers(0, 256, (HEIGHT, WIDTH + 32), dtype=np.uint8) for _ in range(2))
    wall, block = cv2.GaussianBlur(wall, (3, 3), 0.8), cv2.GaussianBlur(block, (3, 3), 0.8)
    top, left_edge = int(rng.integers(5, 12)), int(rng.integers(40, 60))
    truth = np.full((HEIGHT, WIDTH), BACKGROUND_PX, np.float32)
    truth[top : top + 20, left_edge : left_edge + 30] = BLOCK_PX
    views = []
    for shift in (0, 1):
        view = wall[:, BACKGROUND_PX * shift :][:, :WIDTH].copy()
        window = slice(top, top + 20), slice(left_edge - BLOCK_PX * shift, left_edge - BLOCK_PX * shift + 30)
        view[window] = block[top : top + 20, :30]
        views.append(np.repeat(view[..., None], 3, axis=2))
    return views[0], views[1], truth


def write_pairs(root: Path, num: int = NUM, seed: int = 0) -> Path:
    for side in ("left", "right"):
        (root / side).mkdir(parents=True)
    for index in range(num):
        left, right, _ = random_dots(seed + index)
        cv2.imwrite(str(root / "left" / f"{index:03d}.png"), left)
        cv2.imwrite(str(root / "right" / f"{index:03d}.png"), right)
    (root / "rig.json").write_text(json.dumps({"focal_px": 100.0, "baseline_m": 0.5, "width": WIDTH}))
    return root


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write_pairs(tmp_path / "pairs")


def tree(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_labels_are_a_folder_dataset_with_the_teachers_disparity(pairs, tmp_path):
    summary = label(pairs, SgbmTeacher(), tmp_path / "out")
    assert (summary.num_pairs, summary.num_new, summary.num_old) == (NUM, NUM, 0)
    for dataset in (open_dataset(tmp_path / "out"), LabelledDataset(tmp_path / "out")):
        assert list(dataset.names) == [f"{i:03d}" for i in range(NUM)]
        pair, source = dataset.load(1), open_dataset(pairs).load(1)
        assert torch.equal(pair.left.image, source.left.image) and torch.equal(pair.right.image, source.right.image)
        assert pair.rig == source.rig
        truth = torch.from_numpy(random_dots(1)[2])[None]
        error = (pair.left.disparity - truth).abs()[pair.left.valid]
        assert pair.left.valid.float().mean() > 0.6 and (error < 1).float().mean() > 0.97
        assert pair.right.valid.float().mean() > 0.6
        # The right view's wall and block stand where its own image shows them.
        values = pair.right.disparity[pair.right.valid]
        near = [(values - d).abs() < 1 for d in (BACKGROUND_PX, BLOCK_PX)]
        assert (near[0] | near[1]).float().mean() > 0.97 and near[1].any()


def test_header_says_what_made_the_labels(pairs, tmp_path):
    label(pairs, SgbmTeacher(), tmp_path / "out", limit=3)
    header = LabelsHeader.read(tmp_path / "out")
    assert header is not None
    assert (header.teacher, header.teacher_hash, header.data, header.right) == ("sgbm", "a", str(pairs), True)
    assert (header.num_pairs, header.num_labelled) == (3, 3) and header.version
    label(pairs, SgbmTeacher(), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "labels.json").read_text())["num_labelled"] == NUM


def test_finished_pairs_are_skipped_and_damage_is_made_good(pairs, tmp_path):
    out = tmp_path / "out"
    label(pairs, SgbmTeacher(), out)
    before = tree(out)
    teacher = SgbmTeacher()
    again = label(pairs, teacher, out)
    assert (again.num_new, again.num_old, teacher.calls) == (0, NUM, 0)
    (out / "disparity" / "002.png").unlink()
    (out / "right" / "004.png").unlink()
    assert label(pairs, teacher, out).num_new == 2
    assert teacher.calls == 1
    assert tree(out) == before


KILLED = """
    import sys, time
    sys.path.insert(0, {tests!r})
    from importlib import util
    spec = util.spec_from_file_location("test_label", {file!r})
    test_label = util.module_from_spec(spec); spec.loader.exec_module(test_label)
    class Slow(test_label.SgbmTeacher):
        def match_both(self, left, right, name=""):
            time.sleep(0.3)
            return super().match_both(left, right)
    if __name__ == "__main__":
        test_label.label({pairs!r}, Slow(), {out!r}, workers=1)
"""


def test_a_killed_run_goes_on_to_the_same_labels(pairs, tmp_path):
    out, script = tmp_path / "out", tmp_path / "run.py"
    names = {"tests": str(Path(__file__).parent), "file": __file__, "pairs": str(pairs), "out": str(out)}
    script.write_text(textwrap.dedent(KILLED).format(**names))
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(out.glob("left/0*.png")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    stderr = process.communicate(timeout=30)[1]
    assert process.returncode != 0
    finished = len(list(out.glob("left/0*.png")))
    assert 0 < finished < NUM, stderr
    assert len(LabelledDataset(out)) == finished
    summary = label(pairs, SgbmTeacher(), out)
    assert summary.num_old == finished and summary.num_new == NUM - finished
    label(pairs, SgbmTeacher(), tmp_path / "whole")
    assert {k: v for k, v in tree(out).items() if "/.tmp-" not in k} == tree(tmp_path / "whole")


def test_ctrl_c_keeps_what_is_done_and_says_so(pairs, tmp_path):
    class Interrupted(SgbmTeacher):
        def match_both(self, left, right, name=""):
            if self.calls == 2:
                raise KeyboardInterrupt
            return super().match_both(left, right)

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt, match=f"2 of {NUM} pairs are labelled in .*out; the same command goes on"):
        label(pairs, Interrupted(), out)
    header = LabelsHeader.read(out)
    assert header is not None and (header.num_labelled, header.num_pairs) == (2, NUM)
    assert label(pairs, SgbmTeacher(), out).num_new == NUM - 2


def test_shards_together_equal_one_run(pairs, tmp_path):
    label(pairs, SgbmTeacher(), tmp_path / "whole")
    shards = [(k, 3) for k in range(3)]
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(label, pairs, SgbmTeacher(), tmp_path / "parts", shard=shard) for shard in shards]
    summaries = [run.result() for run in runs]
    assert sum(s.num_new for s in summaries) == NUM and all(s.num_new > 0 for s in summaries)
    assert tree(tmp_path / "parts") == tree(tmp_path / "whole")


def test_more_shards_than_pairs_cover_each_pair_once(pairs, tmp_path):
    numbers = [label(pairs, SgbmTeacher(), tmp_path / "out", shard=(k, 8)).num_new for k in range(8)]
    assert sum(numbers) == NUM and max(numbers) == 1


def test_right_view_can_be_added_later(pairs, tmp_path):
    out, teacher = tmp_path / "out", SgbmTeacher()
    label(pairs, teacher, out, right=False)
    assert teacher.calls == NUM and not (out / "disparity_right").exists()
    pair = LabelledDataset(out).load(0)
    assert pair.left.valid.any() and not pair.right.valid.any()
    left_only = tree(out / "disparity")
    label(pairs, teacher, out)
    assert teacher.calls == 2 * NUM and tree(out / "disparity") == left_only
    assert LabelledDataset(out).load(0).right.valid.any()
    label(pairs, SgbmTeacher(), tmp_path / "whole")
    assert tree(out) == tree(tmp_path / "whole")


def test_labels_of_another_teacher_are_refused(pairs, tmp_path):
    label(pairs, SgbmTeacher("a"), tmp_path / "out")
    before = tree(tmp_path / "out")
    with pytest.raises(UserError, match=r"teacher sgbm \(a\), not of sgbm \(b\).*another --out"):
        label(pairs, SgbmTeacher("b"), tmp_path / "out")
    assert tree(tmp_path / "out") == before


def test_labels_of_other_pictures_are_refused(pairs, tmp_path):
    label(pairs, SgbmTeacher(), tmp_path / "out")
    other = write_pairs(tmp_path / "other", seed=50)
    with pytest.raises(UserError, match="another picture 000.png"):
        label(other, SgbmTeacher(), tmp_path / "out")


def test_ground_truth_is_never_overwritten(pairs):
    (pairs / "disparity").mkdir()
    write_disparity(pairs / "disparity" / "000.png", np.full((HEIGHT, WIDTH), 7, np.float32))
    before = tree(pairs)
    with pytest.raises(UserError, match=r"no labels.json.*another --out"):
        label(pairs, SgbmTeacher(), pairs)
    assert tree(pairs) == before


def test_an_unreadable_pair_stops_or_is_left_out(pairs, tmp_path):
    good = (pairs / "right" / "003.png").read_bytes()
    (pairs / "right" / "003.png").write_bytes(good[: len(good) // 2])
    with pytest.raises(UserError, match=r"pair 003: .*003\.png.*--on-error skip"):
        label(pairs, SgbmTeacher(), tmp_path / "out")
    header = LabelsHeader.read(tmp_path / "out")
    assert header is not None and header.num_labelled == 3
    summary = label(pairs, SgbmTeacher(), tmp_path / "out", on_error="skip")
    assert summary.unreadable == ("003",) and (summary.num_old, summary.num_new) == (3, 1)
    (pairs / "right" / "003.png").write_bytes(good)
    assert label(pairs, SgbmTeacher(), tmp_path / "out").num_new == 1


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


def test_labels_can_be_laid_over_the_original_data(pairs, tmp_path):
    out = tmp_path / "out"
    (pairs / "disparity").mkdir()
    for index in range(NUM):
        write_disparity(pairs / "disparity" / f"{index:03d}.png", np.full((HEIGHT, WIDTH), 50, np.float32))
    label(pairs, SgbmTeacher(), out, limit=3)
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


def test_labels_of_another_size_are_refused(pairs, tmp_path):
    label(pairs, SgbmTeacher(), tmp_path / "out")
    write_disparity(tmp_path / "out" / "disparity" / "000.png", np.full((HEIGHT, WIDTH + 1), 5, np.float32))
    with pytest.raises(UserError, match=f"{WIDTH}x{HEIGHT}, its label {WIDTH + 1}x{HEIGHT}"):
        LabelledDataset(tmp_path / "out").load(0)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"teacher": 1}', '{"teacher": "a", "teacher_hash": "b", "x": 1}'])
def test_damaged_header_is_one_clear_line(pairs, tmp_path, text):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "labels.json").write_text(text)
    for act in (lambda: label(pairs, SgbmTeacher(), tmp_path / "out"), lambda: LabelledDataset(tmp_path / "out")):
        with pytest.raises(UserError, match="labels.json") as caught:
            act()
        assert "\n" not in str(caught.value)


def test_a_folder_without_labels_is_refused(pairs):
    with pytest.raises(UserError, match=r"no labels.json.*stereodistill label"):
        LabelledDataset(pairs)


def test_images_take_no_space_and_outlive_the_originals(pairs, tmp_path, monkeypatch):
    label(pairs, SgbmTeacher(), tmp_path / "linked")
    assert (tmp_path / "linked" / "left" / "000.png").samefile(pairs / "left" / "000.png")

    def no_links(*_, **__):
        raise OSError("another file system")

    monkeypatch.setattr(os, "link", no_links)
    label(pairs, SgbmTeacher(), tmp_path / "copied")
    assert not (tmp_path / "copied" / "left" / "000.png").samefile(pairs / "left" / "000.png")
    assert tree(tmp_path / "copied") == tree(tmp_path / "linked")
    shutil.rmtree(pairs)
    assert LabelledDataset(tmp_path / "linked").load(0).left.valid.any()


def test_names_that_point_elsewhere_stay_inside(pairs, tmp_path):
    folder = tmp_path / "lists"
    folder.mkdir()
    absolute = pairs / "left" / "001.png", pairs / "right" / "001.png"
    rows = ["../pairs/left/000.png,../pairs/right/000.png", ",".join(map(str, absolute))]
    (folder / "list.csv").write_text("\n".join(["left,right", *rows]))
    before = tree(pairs)
    label(folder / "list.csv", SgbmTeacher(), tmp_path / "out")
    assert tree(pairs) == before
    dataset = LabelledDataset(tmp_path / "out", data=folder / "list.csv")
    assert len(dataset) == 2 and dataset.load(1).left.valid.any()
    assert len(LabelledDataset(tmp_path / "out")) == 2
    assert label_name("/a/../b/./c.d") == "a/b/c.d"


def test_shipped_teachers_are_found_by_name_and_finished_maps_can_teach(pairs, tmp_path):
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


class InMemory:
    """Pairs that come from no file, like frames of a video."""

    def __init__(self, names: tuple[str, ...] = ("clip_000000", "clip_000001")):
        self.names = list(names)

    def __len__(self) -> int:
        return len(self.names)

    def load(self, index: int) -> StereoPair:
        images = [torch.from_numpy(v.transpose(2, 0, 1).copy()).float() / 255 for v in random_dots(index)[:2]]
        left, right = (View.unlabelled(image) for image in images)
        return StereoPair(left=left, right=right, rig=Rig.unknown(WIDTH), name=self.names[index])


def test_pairs_without_files_are_written_as_png(tmp_path):
    dataset = InMemory()
    label(dataset, SgbmTeacher(), tmp_path / "out")
    pair = LabelledDataset(tmp_path / "out").load(1)
    assert torch.allclose(pair.left.image, dataset.load(1).left.image, atol=1e-6) and pair.left.valid.any()
    assert not pair.rig.is_metric and not (tmp_path / "out" / "rig").exists()


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
def test_options_that_make_no_sense_are_refused(pairs, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        label(pairs, SgbmTeacher(), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_two_pairs_of_one_name_are_refused(tmp_path):
    with pytest.raises(UserError, match="same name"):
        label(InMemory(("a/b", "../a/b")), SgbmTeacher(), tmp_path / "out")


def test_a_file_in_place_of_the_folder_is_refused(pairs, tmp_path):
    (tmp_path / "out").write_text("not a folder")
    with pytest.raises(UserError, match="out"):
        label(pairs, SgbmTeacher(), tmp_path / "out")
