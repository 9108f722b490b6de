"""Pipes, closed streams and Ctrl-C: the exit codes that a shell expects, and no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from stereodistill.cli import entry
from stereodistill.cli.entry import run

COMMAND = [sys.executable, "-m", "stereodistill"]


def shell(line: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "SD": " ".join(COMMAND)}
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=environment, timeout=120)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("$SD --help | true; exit ${PIPESTATUS[0]}", 141),
        ("$SD --version >&-", 0),
        ("$SD --version 2>&-", 0),
        ("$SD no-such-verb 2>&-", 2),
        ("$SD no-such-verb 2>/dev/full", 2),
        ("$SD --version >/dev/full", 2),
        ("$SD --version <&-", 0),
    ],
)
def test_streams(line, code):
    done = shell(line)
    assert done.returncode == code
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


def test_ctrl_c_while_the_program_is_loaded():
    """As early as Python lets a program have it: in the first import of the command line."""
    code = (
        "import sys\n"
        "class Stop:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'stereodistill.cli.entry': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stop())\n"
        "from stereodistill.cli import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "stereodistill: stopped; nothing was begun\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt, lambda: KeyboardInterrupt("stopped; 3 are saved")])
def test_a_second_ctrl_c_changes_nothing(monkeypatch, capsys, error):
    def stopped(*_, **__):
        raise error()

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(entry, "app", stopped)
    try:
        assert run(["check", "x"]) == 130
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
        ),
        MemoryError(),
        UnicodeEncodeError("utf-8", "caf\udce9", 3, 4, "surrogates not allowed"),
    ],
)
def test_what_a_file_or_an_option_said_is_no_bug(monkeypatch, capsys, error):
    def failing(*_, **__):
        raise error

    monkeypatch.setattr(entry, "app", failing)
    assert run(["check", "x"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["check", ""], ["predict", "x", "--weights", "", "--out", "o"],
                                       ["predict", "x", "--weights=", "--out", "o"]])  # fmt: skip
def test_an_empty_argument_is_not_the_current_folder(cli, arguments):
    assert "empty" in cli(*arguments).complaint
