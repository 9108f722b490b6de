"""Which files lie below a folder: links are followed, circles and pipes are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stereodistill.errors import UserError
from stereodistill.io.files import read_bytes
from stereodistill.io.listing import files_below


def test_what_is_found(tmp_path: Path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "folder.png").mkdir()
    for name in ("x.png", "a/y.PNG", "a/b/z.png", "a/b/z.txt", "a/._y.png", ".hidden/h.png", "folder.png/w.png"):
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "a" / "pipe.png")
    found = sorted(path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path, (".png",)))
    assert found == ["a/b/z.png", "a/y.PNG", "folder.png/w.png", "x.png"]
    assert files_below(tmp_path / "nowhere", (".png",)) == []


def test_links_to_folders_are_followed_but_not_in_a_circle(tmp_path: Path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.png").touch()
    root = tmp_path / "root"
    root.mkdir()
    (root / "seq").symlink_to(tmp_path / "outside")
    (root / "same").symlink_to(tmp_path / "outside")
    (root / "circle").symlink_to(root)
    (tmp_path / "outside" / "up").symlink_to(root)
    (root / "itself").symlink_to("itself")
    found = sorted(path.relative_to(root).as_posix() for path in files_below(root, (".png",)))
    assert found == ["same/x.png", "seq/x.png"]


def test_a_pipe_is_no_file(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UserError, match=r"pipe\.png is a pipe"):
        read_bytes(tmp_path / "pipe.png")
