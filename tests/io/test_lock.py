"""One process at a time in an output folder, whatever the one before died of."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stereodistill.errors import UserError
from stereodistill.io.lock import NAME, one_per_out, only_process

HOLDER = """
import os, sys, time
from stereodistill.io.lock import only_process
with only_process(sys.argv[1]):
    child = os.fork()  # as a run's loader workers are
    if child == 0:
        time.sleep(60)
        os._exit(0)
    print(child, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path):
    """(process that holds `tmp_path / "run"`, its child)."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    yield process
    os.kill(child, signal.SIGKILL)
    process.kill()
    process.communicate()


def test_a_second_process_is_told_who_is_there(holder: subprocess.Popen, tmp_path: Path):
    with pytest.raises(UserError) as refused, only_process(tmp_path / "run"):
        pass
    assert f"process {holder.pid} on '{socket.gethostname()}' since 20" in str(refused.value)
    assert json.loads((tmp_path / "run" / NAME).read_text())["pid"] == holder.pid


def test_a_link_is_the_same_folder(holder: subprocess.Popen, tmp_path: Path):
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with pytest.raises(UserError, match="link is in use"), only_process(tmp_path / "link"):
        pass


def test_what_a_killed_process_left_is_no_lock(holder: subprocess.Popen, tmp_path: Path):
    holder.kill()
    holder.wait()
    assert (tmp_path / "run" / NAME).exists()
    with only_process(tmp_path / "run"):  # although the dead process's child lives
        assert json.loads((tmp_path / "run" / NAME).read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("content", ["", "[[[", "{}", '{"pid": 1, "host": "elsewhere", "since": 0}', "\udcff"])
def test_a_file_alone_is_no_lock(tmp_path: Path, content: str):
    (tmp_path / NAME).write_bytes(content.encode(errors="surrogateescape"))
    with only_process(tmp_path):
        pass


def test_nothing_is_left(tmp_path: Path):
    out = tmp_path / "a" / "b"
    with only_process(out), only_process(out):  # a run inside a run
        assert (out / NAME).is_file()
    assert not (tmp_path / "a").exists()
    with only_process(out):
        (out / "result").touch()
    assert [path.name for path in out.iterdir()] == ["result"]


def test_processes_of_one_launcher_share_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holder: subprocess.Popen):
    monkeypatch.setenv("RANK", "1")
    with only_process(tmp_path / "run"):
        pass


def test_a_file_in_the_way_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file/run: a part of the path is a file"), only_process(tmp_path / "file/run"):
        pass


def test_a_function_with_an_out(tmp_path: Path):
    @one_per_out
    def run(data: str, out: Path) -> bool:
        return (out / NAME).exists()

    assert run("x", tmp_path)
    assert run("x", out=tmp_path)
    assert not (tmp_path / NAME).exists()
