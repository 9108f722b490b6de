"""The training log at a resume: cut to the checkpoint, whatever stands in it, and never half of it."""

from __future__ import annotations

import json

import pytest

from stereodistill.engine.log import LOG, TrainLog
from stereodistill.errors import UserError
from stereodistill.report import read_log

LINES = ['{"step": 1, "loss": 4.0}', '{"step": 2, "loss": 3.0}', '{"step": 3, "loss": 2.0}']
ODD = ["5", "[]", "null", '{"step": "x"}', "{}", "[" * 100_000, "1" * 5000, '{"step": 2, "lo', "\udcff"]


def test_it_is_cut_to_the_step_and_to_what_are_records(tmp_path):
    text = "\n".join([LINES[0], *ODD, *LINES[1:]])
    (tmp_path / LOG).write_bytes(text.encode(errors="surrogateescape"))
    TrainLog(tmp_path).rewind(2)
    assert (tmp_path / LOG).read_text().splitlines() == LINES[:2]
    assert read_log(tmp_path / LOG)["loss"].values == [4.0, 3.0]


def test_a_kill_or_a_full_disk_at_the_resume_leaves_the_old_one(tmp_path, monkeypatch):
    (tmp_path / LOG).write_text("\n".join(LINES))

    def killed(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", killed)
    with pytest.raises(UserError, match="full"):
        TrainLog(tmp_path).rewind(1)
    assert (tmp_path / LOG).read_text() == "\n".join(LINES)
    assert [path.name for path in tmp_path.iterdir()] == [LOG]


def test_records_are_added(tmp_path):
    TrainLog(tmp_path).write({"step": 1})
    TrainLog(tmp_path).write({"step": 2})
    assert [json.loads(line)["step"] for line in (tmp_path / LOG).read_text().splitlines()] == [1, 2]
