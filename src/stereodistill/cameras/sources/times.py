"""Pairing pictures by the moments at which they were taken."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stereodistill.errors import UserError

_WAITING = 64
"""Pictures of one camera that wait for their partner; a camera that is silent for longer has dropped them."""
_LEAST_TOLERANCE_NS = 1_000_000
_DIGITS_OF_UNIT = {19: 1, 16: 1_000, 13: 1_000_000, 10: 1_000_000_000}


def stamp_of_name(stem: str) -> int | None:
    """Nanoseconds, from a name that is a time stamp: 19 digits (ns), 16 (us), 13 (ms), or seconds with a point."""
    whole, point, part = stem.partition(".")
    if not (whole.isdigit() and (part.isdigit() or not point)) or len(whole) not in _DIGITS_OF_UNIT:
        return None
    unit = _DIGITS_OF_UNIT[len(whole)]
    return int(whole) * unit + (int(part.ljust(9, "0")[:9]) if point else 0)


def default_tolerance_ns(interval_ns: float) -> int:
    """A quarter of the time between two pictures: nearer than any wrong partner, wide enough for a trigger's jitter."""
    return max(_LEAST_TOLERANCE_NS, round(interval_ns / 4))


def typical_interval_ns(stamps: Sequence[int]) -> float:
    """The median time between two pictures; 0 for fewer than two."""
    return float(np.median(np.diff(np.sort(np.asarray(stamps, np.int64))))) if len(stamps) > 1 else 0.0


@dataclass
class StampMatcher:
    """Two streams of stamped pictures to one of pairs, in a memory that does not grow.

    `num_pairs`, `num_alone` and `nearest_ns` (the smallest distance seen between two pictures) say how it went.
    """

    tolerance_ns: int
    num_pairs: int = 0
    num_alone: int = 0
    nearest_ns: int | None = None
    _waiting: tuple[deque, deque] = field(default_factory=lambda: (deque(), deque()))

    def match(self, stream: Iterable[tuple[int, int, Any]]) -> Iterator[tuple[int, Any, Any]]:
        """(side 0 or 1, stamp in ns, picture) in any interleaving, in order on each side -> (left stamp, left, right).

        A picture whose time is not within the tolerance of one on the other side is left out and counted.
        """
        for side, stamp, picture in stream:
            mine = self._waiting[side]
            mine.append((stamp, picture))
            if len(mine) > _WAITING:
                mine.popleft()
                self.num_alone += 1
            yield from self._settle()
        self.num_alone += sum(len(side) for side in self._waiting)

    def refuse_none(self, what: str) -> None:
        """Raise `UserError` when nothing was matched."""
        if self.num_pairs:
            return
        if self.nearest_ns is None:
            raise UserError(f"{what}: one of the two cameras has no pictures")
        raise UserError(
            f"{what}: no matching time stamps: the nearest pictures of both cameras are {self.nearest_ns / 1e6:.1f} ms "
            f"apart, the tolerance is {self.tolerance_ns / 1e6:.1f} ms; --tolerance-ms sets another one"
        )

    def _settle(self) -> Iterator[tuple[int, Any, Any]]:
        left, right = self._waiting
        while left and right:
            apart = left[0][0] - right[0][0]
            self.nearest_ns = abs(apart) if self.nearest_ns is None else min(self.nearest_ns, abs(apart))
            if abs(apart) <= self.tolerance_ns:
                (stamp, first), (_, second) = left.popleft(), right.popleft()
                self.num_pairs += 1
                yield stamp, first, second
            else:
                (right if apart > 0 else left).popleft()
                self.num_alone += 1


def match_lists(
    left: Sequence[tuple[int, Any]], right: Sequence[tuple[int, Any]], tolerance_ms: float | None, what: str
) -> tuple[list[tuple[int, Any, Any]], str]:
    """Pairs (left stamp, left, right) of two lists of (stamp in ns, picture), and a note on how they were matched."""
    left, right = sorted(left, key=lambda item: item[0]), sorted(right, key=lambda item: item[0])
    interval_ns = typical_interval_ns([stamp for stamp, _ in left])
    tolerance_ns = default_tolerance_ns(interval_ns) if tolerance_ms is None else round(tolerance_ms * 1e6)
    matcher = StampMatcher(tolerance_ns)
    merged = sorted([(stamp, 0, p) for stamp, p in left] + [(stamp, 1, p) for stamp, p in right], key=lambda e: e[:2])
    pairs = list(matcher.match((side, stamp, picture) for stamp, side, picture in merged))
    matcher.refuse_none(what)
    return pairs, matched_note(matcher)


def matched_note(matcher: StampMatcher) -> str:
    """How time stamps were matched, for people."""
    alone = f", {matcher.num_alone} pictures without a partner left out" if matcher.num_alone else ""
    return f"matched by time stamp within {matcher.tolerance_ns / 1e6:.1f} ms{alone}"
