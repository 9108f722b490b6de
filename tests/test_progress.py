"""Without a terminal, progress is a few plain lines on stderr, and none for quick work."""

import pytest

import stereodistill.progress
from stereodistill.progress import progress


def test_quick_work_says_nothing(capsys):
    with progress("working") as report:
        for done in range(10):
            report(done + 1, 10)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("total", "num_lines"), [(100, 4), (1000, 4), (2, 2), (1, 1)])
def test_long_work_says_a_line_each_quarter(capsys, monkeypatch, total, num_lines):
    monkeypatch.setattr(stereodistill.progress, "QUIET_S", 0.0)
    with progress("working") as report:
        for done in range(total):
            report(done + 1, total, "loss 1")
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert len(lines) == num_lines
    assert lines[-1] == f"working: {total} of {total} (loss 1)"


def test_work_of_unknown_length_is_silent(capsys, monkeypatch):
    monkeypatch.setattr(stereodistill.progress, "QUIET_S", 0.0)
    with progress("working") as report:
        report(5, 0)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress("working") as report:
        report(3, 4, "nearly")
    assert "working" in capsys.readouterr().err
