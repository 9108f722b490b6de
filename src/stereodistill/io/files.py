"""Reading and writing files so that nothing is left half written and every failure is one clear line."""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stereodistill.errors import UserError

MAX_FILE_BYTES = 1 << 30
"""No single image, map or table of stereo footage is larger; protects from devices and mistaken files."""

_WRITE_REASONS = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another folder",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.EACCES: "no permission to write there; choose another folder",
    errno.EPERM: "no permission to write there; choose another folder",
    errno.ENAMETOOLONG: "the file name is too long",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "a part of the path is a file, not a folder",
}


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path in the folder of `path`, renamed to `path` on success and removed on failure.

    Parent folders are made.  The temporary name starts with a dot and keeps the suffix, so writers that look
    at it do the right thing and folder scans can skip leftovers of a killed process.  A link is followed.
    Raises `UserError` for a full or read-only disk, a missing permission, a folder in place of the file.
    """
    temporary: Path | None = None
    try:
        target = Path(os.path.realpath(path))
        if target.is_dir():
            raise UserError(f"cannot write {shown(path)}: it is a folder; give the name of a file")
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".tmp-{secrets.token_hex(8)}{target.suffix[:16]}")
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        reason = _WRITE_REASONS.get(error.errno or 0, error.strerror or str(error))
        raise UserError(f"cannot write {shown(path)}: {reason}") from None
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a whole file or nothing; errors as `atomic_path`."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def make_folder(path: str | Path) -> None:
    """The folder `path` with its parents, unless it is there; `UserError` where disk or a file stands against it."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        code = getattr(error, "errno", None) or 0
        reason = _WRITE_REASONS.get(code, getattr(error, "strerror", None) or str(error))
        raise UserError(f"cannot write to {shown(path)}: {reason}") from None


def read_bytes(path: str | Path, *, limit: int = MAX_FILE_BYTES) -> bytes:
    """The content of a file; `UserError` when it is absent, a folder, unreadable, empty or over `limit` bytes."""
    data, _ = _read(path, limit + 1)
    if len(data) > limit:
        raise _too_large(path, limit)
    return data


def read_part(path: str | Path, start: int, num_bytes: int) -> tuple[bytes, int]:
    """(at most `num_bytes` from byte `start` on, the size of the whole file); errors as `read_bytes`."""
    data, size = _read(path, num_bytes, start)
    if size > MAX_FILE_BYTES:
        raise _too_large(path, MAX_FILE_BYTES)
    return data, size


def check_readable(path: str | Path) -> None:
    """`UserError` when a file is absent, a folder, unreadable or empty; for files that another library opens."""
    _read(path, 1)


def _too_large(path: str | Path, limit: int) -> UserError:
    return UserError(f"{shown(path)} is larger than {limit / 2**20:.0f} MB: not a file of the expected kind")


def _read(path: str | Path, num_bytes: int, start: int = 0) -> tuple[bytes, int]:
    """(bytes from `start` on, size of the file)."""
    try:
        if stat.S_ISFIFO(os.stat(path).st_mode):  # opening it would wait for a writer without end
            raise UserError(f"{shown(path)} is a pipe: give a file")
        with open(path, "rb") as file:
            # Asked for a gigabyte, Python takes a gigabyte of memory first; a device has no size to ask for.
            size = os.fstat(file.fileno()).st_size
            if start:
                file.seek(start)
            data = file.read(min(size, num_bytes) if size else num_bytes)
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"no file {shown(path)}: check the path") from None
    except IsADirectoryError:
        raise UserError(f"{shown(path)} is a folder: give a file") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"cannot read {shown(path)}: {reason}") from None
    if not data and not start:
        raise UserError(f"{shown(path)} is empty (0 bytes): copy or download it again")
    return data, size


def read_text(path: str | Path, *, limit: int = 1 << 20) -> str:
    """The content of a small UTF-8 text file without a byte-order mark; errors as `read_bytes`."""
    data = read_bytes(path, limit=limit)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{shown(path)} is not a text file (UTF-8 expected)") from None


def read_json(path: str | Path, remedy: str, *, limit: int = 1 << 20) -> dict[str, Any]:
    """The object in a small JSON file; `remedy` says what to do when it is damaged.  Errors as `read_bytes`."""
    text = read_text(path, limit=limit)
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of more digits than Python reads
        raise UserError(f"{shown(path)}: not readable as JSON ({_first_line(error)}); {remedy}") from None
    if not isinstance(values, dict):
        raise UserError(f"{shown(path)}: expected a JSON object, found {type(values).__name__}; {remedy}")
    return values


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def shown(path: str | Path) -> str:
    """The path for a message: unchanged, or quoted when it would break the single line."""
    text = str(path)
    return text if text.isprintable() else ascii(text)
