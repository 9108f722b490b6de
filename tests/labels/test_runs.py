"""Labelling can be killed, resumed and shared out."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stereodistill.errors import UserError
from stereodistill.labels.dataset import LabelledDataset
from stereodistill.labels.files import LabelsHeader
from stereodistill.labels.make import label

NUM = 5  # pairs in the fixture `pairs`


def test_header_says_what_made_the_labels(sgbm, pairs, tmp_path):
    label(pairs, sgbm(), tmp_path / "out", limit=3)
    header = LabelsHeader.read(tmp_path / "out")
    assert header is not None
    assert (header.teacher, header.teacher_hash, header.data, header.right) == ("sgbm", "a", str(pairs), True)
    assert (header.num_pairs, header.num_labelled) == (3, 3) and header.version
    label(pairs, sgbm(), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "labels.json").read_text())["num_labelled"] == NUM


def test_finished_pairs_are_skipped_and_damage_is_made_good(sgbm, tree, pairs, tmp_path):
    out = tmp_path / "out"
    label(pairs, sgbm(), out)
    before = tree(out)
    teacher = sgbm()
    again = label(pairs, teacher, out)
    assert (again.num_new, again.num_old, teacher.calls) == (0, NUM, 0)
    (out / "disparity" / "002.png").unlink()
    (out / "right" / "004.png").unlink()
    assert label(pairs, teacher, out).num_new == 2
    assert teacher.calls == 1
    assert tree(out) == before


KILLED = """
    import time
    from importlib import util
    spec = util.spec_from_file_location("label_conftest", {file!r})
    conftest = util.module_from_spec(spec); spec.loader.exec_module(conftest)
    from stereodistill.labels.make import label
    class Slow(conftest.SgbmTeacher):
        def match_both(self, left, right, name=""):
            time.sleep(0.3)
            return super().match_both(left, right)
    if __name__ == "__main__":
        label({pairs!r}, Slow(), {out!r}, workers=1)
"""


def test_a_killed_run_goes_on_to_the_same_labels(sgbm, tree, pairs, tmp_path):
    out, script = tmp_path / "out", tmp_path / "run.py"
    names = {"file": str(Path(__file__).with_name("conftest.py")), "pairs": str(pairs), "out": str(out)}
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
    summary = label(pairs, sgbm(), out)
    assert summary.num_old == finished and summary.num_new == NUM - finished
    label(pairs, sgbm(), tmp_path / "whole")
    assert {k: v for k, v in tree(out).items() if "/.tmp-" not in k} == tree(tmp_path / "whole")


def test_ctrl_c_keeps_what_is_done_and_says_so(sgbm, pairs, tmp_path):
    class Interrupted(sgbm):
        def match_both(self, left, right, name=""):
            if self.calls == 2:
                raise KeyboardInterrupt
            return super().match_both(left, right)

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt, match=f"2 of {NUM} pairs are labelled in .*out; the same command goes on"):
        label(pairs, Interrupted(), out)
    header = LabelsHeader.read(out)
    assert header is not None and (header.num_labelled, header.num_pairs) == (2, NUM)
    assert label(pairs, sgbm(), out).num_new == NUM - 2


def test_shards_together_equal_one_run(sgbm, tree, pairs, tmp_path):
    label(pairs, sgbm(), tmp_path / "whole")
    shards = [(k, 3) for k in range(3)]
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(label, pairs, sgbm(), tmp_path / "parts", shard=shard) for shard in shards]
    summaries = [run.result() for run in runs]
    assert sum(s.num_new for s in summaries) == NUM and all(s.num_new > 0 for s in summaries)
    assert tree(tmp_path / "parts") == tree(tmp_path / "whole")


def test_more_shards_than_pairs_cover_each_pair_once(sgbm, pairs, tmp_path):
    numbers = [label(pairs, sgbm(), tmp_path / "out", shard=(k, 8)).num_new for k in range(8)]
    assert sum(numbers) == NUM and max(numbers) == 1


def test_right_view_can_be_added_later(sgbm, tree, pairs, tmp_path):
    out, teacher = tmp_path / "out", sgbm()
    label(pairs, teacher, out, right=False)
    assert teacher.calls == NUM and not (out / "disparity_right").exists()
    pair = LabelledDataset(out).load(0)
    assert pair.left.valid.any() and not pair.right.valid.any()
    left_only = tree(out / "disparity")
    label(pairs, teacher, out)
    assert teacher.calls == 2 * NUM and tree(out / "disparity") == left_only
    assert LabelledDataset(out).load(0).right.valid.any()
    label(pairs, sgbm(), tmp_path / "whole")
    assert tree(out) == tree(tmp_path / "whole")


def test_an_unreadable_pair_stops_or_is_left_out(sgbm, pairs, tmp_path):
    good = (pairs / "right" / "003.png").read_bytes()
    (pairs / "right" / "003.png").write_bytes(good[: len(good) // 2])
    with pytest.raises(UserError, match=r"pair 003: .*003\.png.*--on-error skip"):
        label(pairs, sgbm(), tmp_path / "out")
    header = LabelsHeader.read(tmp_path / "out")
    assert header is not None and header.num_labelled == 3
    summary = label(pairs, sgbm(), tmp_path / "out", on_error="skip")
    assert summary.unreadable == ("003",) and (summary.num_old, summary.num_new) == (3, 1)
    (pairs / "right" / "003.png").write_bytes(good)
    assert label(pairs, sgbm(), tmp_path / "out").num_new == 1
