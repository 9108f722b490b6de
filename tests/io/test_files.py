"""A file is written whole or not at all, and every failure is one line."""

import errno
import os

import pytest

from stereodistill.errors import UserError
from stereodistill.io.files import atomic_path, check_readable, read_bytes, read_text, shown, write_bytes


def test_content_appears_under_the_final_name_only(tmp_path):
    with atomic_path(tmp_path / "new" / "a.txt") as temporary:
        temporary.write_text("whole")
        assert temporary.parent == tmp_path / "new" and temporary.suffix == ".txt" and temporary.name[0] == "."
        assert not (tmp_path / "new" / "a.txt").exists()
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.txt"]
    assert (tmp_path / "new" / "a.txt").read_text() == "whole"


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_failure_keeps_the_old_content_and_leaves_nothing_behind(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(error), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise error
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize(
    ("code", "word"),
    [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"), (errno.EACCES, "permission"), (errno.EIO, "error")],
)
def test_operating_system_errors_are_told_in_one_line(tmp_path, code, word):
    with pytest.raises(UserError, match=word) as caught, atomic_path(tmp_path / "a.txt"):
        raise OSError(code, os.strerror(code))
    assert "\n" not in str(caught.value) and "a.txt" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_folder_or_file_in_the_way(tmp_path):
    with pytest.raises(UserError, match="it is a folder"):
        write_bytes(tmp_path, b"x")
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(UserError, match="not a folder"):
        write_bytes(tmp_path / "file" / "below.txt", b"x")
    with pytest.raises(UserError, match="name is too long"):
        write_bytes(tmp_path / ("n" * 300), b"x")


def test_link_is_followed(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "store" / "real.txt")
    write_bytes(tmp_path / "link.txt", b"x")
    assert (tmp_path / "link.txt").is_symlink() and (tmp_path / "store" / "real.txt").read_bytes() == b"x"


@pytest.mark.parametrize("read", [read_bytes, read_text, check_readable])
def test_unreadable_files(tmp_path, read):
    (tmp_path / "empty").touch()
    cases = {
        tmp_path / "absent": "no file",
        tmp_path: "is a folder",
        tmp_path / "empty": "0 bytes",
        "a\0b": "null byte",
    }
    for path, word in cases.items():
        with pytest.raises(UserError, match=word):
            read(path)


def test_size_limit_bounds_what_is_read(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", limit=5) == b"12345"
    with pytest.raises(UserError, match="larger than"):
        read_bytes(tmp_path / "a", limit=4)
    if os.path.exists("/dev/zero"):
        with pytest.raises(UserError, match="larger than"):
            read_bytes("/dev/zero", limit=1000)


def test_text_is_utf8_with_or_without_mark(tmp_path):
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfhi")
    assert read_text(tmp_path / "a") == "hi"
    (tmp_path / "a").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not a text file"):
        read_text(tmp_path / "a")


def test_names_never_break_the_line():
    assert shown("dir/bild ä.png") == "dir/bild ä.png"
    assert "\n" not in shown("a\nb.png")
