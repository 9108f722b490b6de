"""What happens at a file that is corrupt or missing: stop with one line that names it, or go on and report it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_args

from stereodistill.data.dataset import Size, StereoDataset
from stereodistill.errors import UserError
from stereodistill.io.images import ChooseWindow
from stereodistill.types import Rig, StereoPair

OnError = Literal["stop", "skip"]
T = TypeVar("T")


@dataclass(frozen=True)
class Skipped:
    """One sample that was left out, and the one line that says why."""

    name: str
    reason: str


class Tolerant:
    """A dataset whose unreadable samples stop the work (`stop`) or are left out and remembered (`skip`).

    Two ways to read: `get` answers None for a sample that is left out (evaluation, labels); `load`, `rig` and `size`
    answer with the next readable one (training).  Which one that is depends on the files alone, so a resumed run
    sees the same samples.

    Args:
        samples: the data set.
        on_error: "stop" or "skip".
        journal: a file that every process adds what it left out to, one line of JSON each; see `read_journal`.
        hint: how to ask for `skip`, for the message.
    """

    def __init__(
        self,
        samples: StereoDataset,
        on_error: OnError = "stop",
        *,
        journal: Path | None = None,
        hint: str = "--on-error skip",
    ):
        check_on_error(on_error)
        self.samples, self.on_error, self.journal, self.hint = samples, on_error, journal, hint
        self._skipped: dict[int, Skipped] = {}

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def names(self) -> Sequence[str]:
        """Of all samples, readable or not."""
        return self.samples.names

    @property
    def skipped(self) -> list[Skipped]:
        """What this object left out so far, in the order of the samples."""
        return [self._skipped[index] for index in sorted(self._skipped)]

    def get(self, index: int, read: Callable[[int], T]) -> T | None:
        """`read(index)`, or None when the sample is left out.

        Raises:
            UserError: `on_error` is "stop"; one line with the sample's name, the file and how to go on without it.
        """
        try:
            return read(index)
        except UserError as error:
            if self.on_error == "stop":
                what = f"pair {self.names[index]}: {error}"
                raise UserError(f"{what}; mend it or leave such pairs out with {self.hint}") from None
            self._note(index, str(error))
            return None

    def rig(self, index: int) -> Rig:
        """Of sample `index`; otherwise as `load`."""
        return self._first_readable(index, self.samples.rig)

    def size(self, index: int) -> Size:
        """Of sample `index`; otherwise as `load`."""
        return self._first_readable(index, self.samples.size)

    def load(self, index: int, window: ChooseWindow | None = None) -> StereoPair:
        """Sample `index`; under "skip" the next one that can be read, the first after the last.

        Raises:
            UserError: as `get`, or no sample can be read at all.
        """
        return self._first_readable(index, lambda found: self.samples.load(found, window))

    def _first_readable(self, index: int, read: Callable[[int], T]) -> T:
        num = len(self.samples)
        for step in range(num):
            found = self.get((index + step) % num, read)
            if found is not None:
                return found
        raise UserError(f"none of the {num} pairs can be read; the first: {self.skipped[0].reason}")

    def _note(self, index: int, reason: str) -> None:
        if index in self._skipped:
            return
        self._skipped[index] = skipped = Skipped(self.names[index], reason)
        if self.journal is not None:
            # One short write at the end of the file: lines of several processes do not mix.
            with self.journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(skipped)) + "\n")


def check_on_error(on_error: str) -> None:
    """Refuse another word than the two."""
    if on_error not in get_args(OnError):
        raise UserError(f"on_error is 'stop' or 'skip', found {on_error!r}")


def read_journal(path: Path) -> list[Skipped]:
    """What all processes of a run left out, each sample once, by name; empty when there is no such file."""
    if not path.is_file():
        return []
    found: dict[str, Skipped] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = Skipped(**{key: str(value) for key, value in json.loads(line).items()})
        except (ValueError, AttributeError, TypeError, RecursionError):
            continue  # a line that a kill cut off
        found[row.name] = row
    return [found[name] for name in sorted(found)]


def skip_report(skipped: Iterable[Skipped]) -> list[str]:
    """Lines for people: how many were left out, then each with its reason; no lines when nothing was."""
    rows = list(skipped)
    if not rows:
        return []
    count = "1 pair was" if len(rows) == 1 else f"{len(rows)} pairs were"
    return [f"{count} left out, unreadable:", *(f"  {row.name}: {row.reason}" for row in rows)]
