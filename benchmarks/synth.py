"""Pairs per second of the procedural worlds: one process, two processes, and a GPU if there is one.

    python benchmarks/synth.py [--kinds flying street room] [--num 32] [--batch 8] [--size 384 640]

Promise: `flying` at 384 x 640 gives at least 20 pairs/s on 2 CPU cores and 500 pairs/s on a large GPU.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor

import torch

from stereodistill import synth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", default=["flying"], choices=list(synth.KINDS))
    parser.add_argument("--num", type=int, default=32)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, nargs=2, default=(384, 640), metavar=("HEIGHT", "WIDTH"))
    args = parser.parse_args()
    size = tuple(args.size)
    for kind in args.kinds:
        single = pairs_per_s(kind, args.num, args.batch, size, "cpu", seed=0)
        with ProcessPoolExecutor(2) as pool:
            jobs = [pool.submit(pairs_per_s, kind, args.num, args.batch, size, "cpu", seed) for seed in (1, 2)]
            double = sum(job.result() for job in jobs)
        print(f"{kind:8} {size[0]}x{size[1]}  1 process {single:7.1f} pairs/s   2 processes {double:7.1f} pairs/s")
        if torch.cuda.is_available():
            on_gpu = pairs_per_s(kind, 512, 64, size, "cuda", seed=3)
            print(f"{kind:8} {size[0]}x{size[1]}  {torch.cuda.get_device_name()} {on_gpu:7.1f} pairs/s")


def pairs_per_s(kind: str, num: int, batch: int, size: tuple[int, int], device: str, seed: int) -> float:
    """Steady rate on one thread (CPU) or one device, after a first batch that fills the texture bank."""
    torch.set_num_threads(1)
    synth.render(kind, seed=seed, indices=range(batch), size=size, device=device)
    _wait(device)
    start = time.perf_counter()
    for low in range(0, num, batch):
        synth.render(kind, seed=seed, indices=range(low, min(low + batch, num)), size=size, device=device)
    _wait(device)
    return num / (time.perf_counter() - start)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
