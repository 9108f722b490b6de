"""How far a study is, and about how long the rest takes, from the stages that are done."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

Job = tuple[str, int]
"""A stage and its seed."""


class Pace:
    """Counts the stages of a run.

    Args:
        jobs: all that the run needs, in any order.
        elapsed_s: those that were finished before, with the seconds that they took.
    """

    def __init__(self, jobs: Sequence[Job], elapsed_s: Mapping[Job, float]):
        self.jobs = list(jobs)
        self.elapsed_s = {job: elapsed_s[job] for job in self.jobs if job in elapsed_s}

    def finished(self, job: Job, elapsed_s: float) -> None:
        """Stage `job` took so long."""
        self.elapsed_s[job] = elapsed_s

    def describe(self, job: Job) -> str:
        """`[3/64, about 31 min left] mono_noft (seed 1)`."""
        place = f"{len(self.elapsed_s) + 1}/{len(self.jobs)}" if job in self.jobs else "-"
        left_s = self.left_s()
        left = "" if left_s is None else f", about {max(1, round(left_s / 60))} min left"
        return f"[{place}{left}] {job[0]} (seed {job[1]})"

    def left_s(self) -> float | None:
        """Seconds that the unfinished stages take: each as its other seeds took, else as the stages did on average."""
        if not self.elapsed_s:
            return None
        mean = statistics.fmean(self.elapsed_s.values())
        alike: dict[str, list[float]] = {}
        for (name, _), seconds in self.elapsed_s.items():
            alike.setdefault(name, []).append(seconds)
        return sum(statistics.fmean(alike.get(job[0], [mean])) for job in self.jobs if job not in self.elapsed_s)
