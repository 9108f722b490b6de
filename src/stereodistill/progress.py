"""Progress on stderr: a bar on a terminal, a few plain lines where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[..., None]
"""Called as `report(done, total, note="")`; `total` 0 = not known."""
QUIET_S = 2.0
"""Work that is done sooner needs no lines in a log file."""


@contextmanager
def progress(doing: str, shown: bool = True) -> Iterator[Report]:
    """Show how far `doing` ("training") is, from the calls of the yielded function; nothing unless `shown`."""
    if not shown:
        yield lambda done, total, note="": None
        return
    if not sys.stderr.isatty():
        yield _Lines(doing)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(doing),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(doing, total=None, note="")
        yield lambda done, total, note="": bar.update(task, completed=done, total=total or None, note=note)


class _Lines:
    """One line at each quarter of the work, none in the first seconds."""

    def __init__(self, doing: str):
        self.doing, self.began_s, self.next_share = doing, time.monotonic(), 0.25

    def __call__(self, done: int, total: int, note: str = "") -> None:
        if not total or done < self.next_share * total:
            return
        self.next_share = done / total // 0.25 * 0.25 + 0.25
        if time.monotonic() - self.began_s >= QUIET_S:
            print(f"{self.doing}: {done} of {total}{note and f' ({note})'}", file=sys.stderr, flush=True)
