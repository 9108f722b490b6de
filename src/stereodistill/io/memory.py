"""Whether something fits into memory, asked before it is allocated."""

from __future__ import annotations

import os
from pathlib import Path

from stereodistill.errors import UserError


def refuse_larger_than_memory(num_bytes: float, what: str, remedy: str) -> None:
    """UserError when `what` needs more memory than this process can get; `remedy` says what to do instead."""
    free = free_bytes()
    if num_bytes > free:
        raise UserError(f"{what} needs {num_bytes / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free: {remedy}")


def free_bytes() -> float:
    """Memory that this process can still get, by the machine, its container and its own limit; inf where unknown."""
    return min(_of_machine(), _of_container(), _of_process())


def _of_machine() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        values = {line.split(":")[0]: float(line.split()[1]) * 1024 for line in lines if len(line.split()) > 1}
        return values["MemAvailable"] + values.get("SwapFree", 0.0)
    except (OSError, ValueError, LookupError):
        return float("inf")


def _of_container() -> float:
    try:
        limit, used = (float(Path(f"/sys/fs/cgroup/memory.{name}").read_text()) for name in ("max", "current"))
    except (OSError, ValueError):  # no container, or the word "max"
        return float("inf")
    try:
        # Pages of files that are only kept for speed are given up when memory is asked for.
        stat = dict(line.split() for line in Path("/sys/fs/cgroup/memory.stat").read_text().splitlines())
        used -= float(stat.get("inactive_file", 0))
    except (OSError, ValueError):
        pass
    return max(0.0, limit - used)


def _of_process() -> float:
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return float("inf")
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        return max(0.0, float(limit - used))
    except (ImportError, OSError, ValueError):
        return float("inf")
