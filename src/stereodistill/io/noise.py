"""What C libraries print past Python: kept off the terminal, and heard where it says that a file is damaged."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_STDERR = 2
_turn = threading.Lock()


@contextmanager
def overheard() -> Iterator[list[str]]:
    """Lines that libraries write to the process's stderr inside; the list is filled at the end.

    What Python code writes meanwhile in another thread is passed on.  Threads take turns.
    """
    lines: list[str] = []
    with _turn, tempfile.TemporaryFile() as heard:
        try:
            kept = os.dup(_STDERR)
        except OSError:  # stderr is closed: nothing is printed
            yield lines
            return
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()
        os.dup2(heard.fileno(), _STDERR)
        try:
            yield lines
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)
            heard.seek(0)
            lines += heard.read(1 << 16).decode(errors="replace").splitlines()
            for line in lines:
                if line.startswith("stereodistill: "):
                    with suppress(OSError, ValueError, AttributeError):
                        print(line, file=sys.stderr, flush=True)
