"""One process at a time writes into an output folder."""

from __future__ import annotations

import inspect
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from stereodistill.errors import UserError
from stereodistill.io.files import make_folder, shown

if TYPE_CHECKING:
    from filelock import BaseFileLock

P = ParamSpec("P")
R = TypeVar("R")

NAME = ".lock"
"""In the folder while it is in use: who uses it, as JSON."""
_held: set[Path] = set()


def one_per_out(function: Callable[P, R]) -> Callable[P, R]:
    """A function with an argument `out` that runs inside `only_process(out)`."""
    signature = inspect.signature(function)

    @wraps(function)
    def locked(*args: P.args, **kwargs: P.kwargs) -> R:
        with only_process(signature.bind(*args, **kwargs).arguments["out"]):
            return function(*args, **kwargs)

    return locked


@contextmanager
def only_process(out: str | Path) -> Iterator[None]:
    """The folder `out`, made if it is absent, belongs to this process inside; it may be asked for again there.

    The lock is the operating system's (see `filelock`), so it ends with the process that holds it, however that ends:
    a file that a killed process left means nothing.  Of several processes that a launcher started for one run the
    first holds the lock for all.  A folder that was made here and stays empty is removed again.

    Raises:
        UserError: another process has the folder, named with its host; the disk refuses.
    """
    folder = Path(os.path.realpath(out))
    if folder in _held or os.environ.get("RANK", "0") != "0":
        yield
        return
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    make_folder(out)
    lock = _taken(folder, out)
    _held.add(folder)
    try:
        yield
    finally:
        _held.discard(folder)
        with suppress(OSError):  # before the release: whoever waits for this name would hold a lock without a name
            (folder / NAME).unlink()
        lock.release()
        with suppress(OSError):
            for path in new:
                path.rmdir()


def _taken(folder: Path, out: str | Path) -> BaseFileLock:
    from filelock import FileLock, Timeout

    file = folder / NAME
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
        file.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}))
    except Timeout:
        raise UserError(f"{shown(out)} is in use by {_holder(file)}: wait for it, or give another --out") from None
    except OSError as error:
        lock.release()
        raise UserError(f"cannot write to {shown(out)}: {error.strerror}; give another --out") from None
    return lock


def _holder(file: Path) -> str:
    """Who wrote the lock file; it may be half written or gone."""
    try:
        who = json.loads(file.read_text())
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(who["since"])))
        return f"process {int(who['pid'])} on {who['host']!a} since {since}"
    except (OSError, ValueError, TypeError, LookupError):
        return "another process"
