"""Ctrl-C: exit code 130, one line that names what is saved, and the run goes on from there."""

from __future__ import annotations

import importlib
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

label_module = importlib.import_module("stereodistill.labels.make")  # `stereodistill.label` itself is the function
TIMEOUT_S = 120
RECIPE = ("lite_stereo", "loop.steps=100000", "loop.batch_size=1", "loop.workers=0", "loop.precision=f32",
          "loop.log_every=1", "data.worlds={flying: 1.0}", "data.reuse={}", "data.size=[64,96]",
          "augment.size=[64,96]")  # fmt: skip


def test_train_saves_the_step_it_has_reached(cli, tmp_path):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "stereodistill", "train", *RECIPE, "--out", str(out), "--device", "cpu"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_hears_ctrl_c
    )
    try:
        _wait_for_lines(out / "log.jsonl", 2, process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in errors
    said = re.fullmatch(r"stereodistill: stopped; step (\d+) is saved in (\S+); .*--resume.*", errors.splitlines()[-1])
    assert said, errors
    assert Path(said[2]) == out / "checkpoints" / f"step_{int(said[1]):08d}"
    assert (Path(said[2]) / "state.safetensors").is_file()
    assert "--resume" in cli("train", *RECIPE, "--out", out).complaint


def _hears_ctrl_c() -> None:
    """A shell lets the commands it starts in the background ignore Ctrl-C, and so do theirs; not so this one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_label_says_how_many_pairs_are_done(cli, rendered, tmp_path, monkeypatch):
    real, seen = label_module.write_label, []

    def stop_at_the_fifth(*arguments: object) -> None:
        seen.append(arguments)
        if len(seen) == 5:
            raise KeyboardInterrupt
        real(*arguments)

    command = ("label", rendered, "--teacher", "sgbm", "--out", tmp_path / "labels")
    with monkeypatch.context() as patch:
        patch.setattr(label_module, "write_label", stop_at_the_fifth)
        done = cli(*command)
    assert done.code == 130
    assert re.search(r"stopped; \d of 6 pairs are labelled in \S+; the same command goes on", done.err.splitlines()[-1])
    assert cli(*command).code == 0


def test_commands_without_a_state_stop_in_one_line(cli, tmp_path, monkeypatch):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stereodistill.data.check_dataset", stop)
    done = cli("check", tmp_path)
    assert done.code == 130
    assert done.err == "stereodistill: stopped; every file written so far is whole\n"


def _wait_for_lines(path: Path, num: int, process: subprocess.Popen) -> None:
    until_s = time.monotonic() + TIMEOUT_S
    while not (path.exists() and len(path.read_text().splitlines()) >= num):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until_s, "training did not start"
        time.sleep(0.1)
