"""1-D correlation against the loop that stacks shifted slices, forward and backward on the CPU.

Promise: at most half of its time and half of its peak memory, at the size of Guo et al. 2018's training.

    python benchmarks/correlation.py [--threads 2] [--rounds 5]

Either one runs in a process of its own; its memory is the highest resident size above that before the first call.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import sys
import time

import torch
from torch import Tensor

from stereodistill.ops.correlation import correlation_1d

SIZE = (4, 128, 96, 192)
"""conv2 of `dispnet` for a batch of 4 crops of 384x768."""
NUM_DISPLACEMENTS = 41
PROMISE = 0.5


def main() -> int:
    """Print time and memory of both and the ratios; exit 1 when one is above the promise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    found = {}
    for name in ("stacked slices", "correlation_1d"):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found[name] = pool.apply(measured, (name, options.threads, options.rounds))
        seconds, megabytes = found[name]
        print(f"{name:16} {seconds:7.3f} s {megabytes:7.0f} MB")
    ratios = [ours / theirs for ours, theirs in zip(found["correlation_1d"], found["stacked slices"], strict=True)]
    print(f"ratio: time {ratios[0]:.2f}, memory {ratios[1]:.2f} (promised: at most {PROMISE})")
    return 0 if max(ratios) <= PROMISE else 1


def stacked_slices(left: Tensor, right: Tensor, num_displacements: int) -> Tensor:
    """(B, D, H, W) by one product of shifted maps per displacement, as the code of 2018 does it."""
    maps = []
    for d in range(num_displacements):
        product = (left[..., d:] * right[..., : right.shape[-1] - d]).mean(dim=1)
        maps.append(torch.nn.functional.pad(product, (d, 0)))
    return torch.stack(maps, dim=1)


def measured(name: str, threads: int, rounds: int) -> tuple[float, float]:
    """(median seconds, megabytes) of one forward and backward pass."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    left, right = (torch.randn(SIZE, requires_grad=True) for _ in range(2))
    slope = torch.randn(SIZE[0], NUM_DISPLACEMENTS, *SIZE[2:])
    _once(name, *(t.detach()[..., :8, :64].clone().requires_grad_() for t in (left, right)))  # what torch sets up once
    before, times = _peak_mb(), []
    for _ in range(rounds):
        left.grad = right.grad = None
        start = time.perf_counter()
        _once(name, left, right, slope)
        times.append(time.perf_counter() - start)
    return statistics.median(times), _peak_mb() - before


def _once(name: str, left: Tensor, right: Tensor, slope: Tensor | None = None) -> None:
    if name == "correlation_1d":
        scores = correlation_1d(left, right, NUM_DISPLACEMENTS).squeeze(1)
    else:
        scores = stacked_slices(left, right, NUM_DISPLACEMENTS)
    scores.backward(torch.ones_like(scores) if slope is None else slope)


def _peak_mb() -> float:
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    sys.exit(main())
