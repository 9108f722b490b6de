"""Promise: `lite_stereo` matches one 1242x375 pair in at most 0.5 s on 2 CPU cores in float32.

And a pixel of a small picture (640x192) costs at most 1.5 times as much as one of that pair. Since hosts differ, the
limit of this one is printed too: the time of matrix products of as many operations.

    python benchmarks/lite_stereo.py [--threads N] [--rounds N]

The time is one forward pass (one view) of the network as the predictor runs it: channels-last, batch norms folded.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from stereodistill.models import build
from stereodistill.models.layers import for_inference

WIDTH, HEIGHT = 1242, 375
SMALL = (640, 192)
PROMISED_S, PROMISED_RATIO = 0.5, 1.5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    network = for_inference(build("lite_stereo"))
    print(
        f"{WIDTH} x {HEIGHT}, {arguments.threads} threads, {sum(p.numel() for p in network.parameters()) / 1e6:.2f} M"
    )
    medians = {}
    for dtype in (torch.float32, torch.bfloat16):
        medians[dtype] = pair_s(network, dtype, arguments.rounds, (WIDTH, HEIGHT))
        print(f"{str(dtype)[6:]:<10}{medians[dtype]:>8.3f} s a pair")
    exact = medians[torch.float32]
    small = pair_s(network, torch.float32, arguments.rounds, SMALL)
    ratio = (small / math.prod(SMALL)) / (exact / (WIDTH * HEIGHT))
    print(f"float32: {exact:.3f} s (promised: at most {PROMISED_S} s)")
    size = "{} x {}".format(*SMALL)
    print(f"{size}: {small:.3f} s, a pixel {ratio:.2f} times as dear (promised: at most {PROMISED_RATIO})")
    limit = operations(network) / operations_per_s(arguments.rounds)
    print(f"limit, as matrix products: {limit:.3f} s; the pair takes {exact / limit:.2f} times that")
    return 0 if exact <= PROMISED_S and ratio <= PROMISED_RATIO else 1


def operations(network: torch.nn.Module) -> int:
    """Additions and multiplications in the convolutions of one pair."""
    views = torch.rand(2, 1, 3, HEIGHT, WIDTH)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*views)
    return counter.get_total_flops()


def operations_per_s(rounds: int, size: int = 3072) -> float:
    """The same of float32 matrix products of SIZE x SIZE."""
    first, second = torch.rand(2, size, size)
    return 2 * size**3 / median_s(lambda: first @ second, rounds)


def pair_s(network: torch.nn.Module, dtype: torch.dtype, rounds: int, size: tuple[int, int]) -> float:
    """Seconds of a pair of SIZE (width, height); bfloat16 by autocast, as in training."""
    views = [torch.rand(1, 3, size[1], size[0]).contiguous(memory_format=torch.channels_last) for _ in range(2)]
    with torch.inference_mode(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        return median_s(lambda: network(*views), rounds)


def median_s(call: Callable[[], object], rounds: int) -> float:
    """Seconds of a call in the median round, after two for warming up."""
    times = []
    for _ in range(rounds + 2):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


if __name__ == "__main__":
    sys.exit(main())
