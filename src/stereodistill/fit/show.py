"""What a run tells while it works, on stderr, when it is asked to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stereodistill.progress import Report, progress


@contextmanager
def shown(doing: str, enabled: bool) -> Iterator[Report]:
    """`progress(doing)`, or nothing."""
    if enabled:
        with progress(doing) as report:
            yield report
    else:
        yield lambda done, total, note="": None


def say(text: str, enabled: bool) -> None:
    """One line about what happens next."""
    if enabled:
        print(text, file=sys.stderr, flush=True)
