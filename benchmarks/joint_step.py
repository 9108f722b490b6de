"""One step of the joint training (Mono-Net, Stereo-Net and distillation) against the sum of its parts; cost of K.

Promise: a joint step takes at most 1.15 times, and at its peak at most 1.15 times the memory, of its parts: a step of
the mono network alone, one of the stereo network alone on a given first estimate, the distillation terms on given
predictions.  Each case runs in a process of its own, so that its peak is its own; on a CPU its own time counts.

    python benchmarks/joint_step.py [--threads 2] [--steps 5] [--size 256 512] [--batch 4] [--base 64] [--device cpu]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from stereodistill import models
from stereodistill.losses import JointLoss, SpacesLoss, ViewSynthesisLoss, joint, spaces, view_synthesis
from stereodistill.models.ye2021.recursive import Recursive
from stereodistill.types import Rig, StereoPair, View

PROMISE = 1.15
WARM_UP = 2
UNSUPERVISED = ViewSynthesisLoss()
SPACES = SpacesLoss(output_weight=1, feature_weight=0.1, long_range_weight=1)
CASES = ("mono", "mono forward", "stereo", "distillation", "joint K=1", "joint K=2", "joint K=3")


def main() -> int:
    """Print seconds and peak memory of each case; exit 1 when the promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--size", type=int, nargs=2, default=(256, 512))
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--base", type=int, default=64)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    found = {}
    for case in CASES:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found[case] = pool.apply(measure, (case, vars(options)))
        print(f"{case:13} {found[case][0]:7.3f} s  peak {found[case][1]:7.0f} MB", flush=True)
    # "stereo" runs the mono network too, without learning: only what it adds is its part.
    parts = [sum(found[p][i] for p in ("mono", "stereo", "distillation")) - found["mono forward"][i] for i in (0, 1)]
    ratios = [found["joint K=2"][i] / parts[i] for i in (0, 1)]
    print(
        f"joint K=2 / (mono + stereo + distillation): time {ratios[0]:.2f}, memory {ratios[1]:.2f} (promise {PROMISE})"
    )
    more = [found[f"joint K={k}"][0] / found["joint K=1"][0] for k in (2, 3)]
    print(f"time of K = 2 and 3 in units of K = 1: {more[0]:.2f}, {more[1]:.2f}")
    return 0 if max(ratios) <= PROMISE else 1


def measure(case: str, options: dict) -> tuple[float, float]:
    """(seconds of a step, peak memory in MB above the network's own) of one case."""
    torch.manual_seed(0)
    torch.set_num_threads(options["threads"])
    network = models.build("recursive", base=options["base"], num_recursions=int(case[-1]) if "K=" in case else 2)
    assert isinstance(network, Recursive)
    network.to(options["device"])
    pair = pair_of(options["batch"], tuple(options["size"]), options["device"])
    step = step_of(case.split()[0], "forward" in case, network, pair)
    before_mb, began = peak_mb(options["device"]), 0.0
    for number in range(WARM_UP + options["steps"]):
        if number == WARM_UP:
            began = now_s(options["device"])
        total = step()
        if total.requires_grad:
            total.backward()
        network.zero_grad(set_to_none=True)
    return (now_s(options["device"]) - began) / options["steps"], peak_mb(options["device"]) - before_mb


def step_of(case: str, forward_only: bool, network: Recursive, pair: StereoPair) -> Callable[[], Tensor]:
    """What is timed, as a function that returns the loss."""
    left, right = pair.left.image, pair.right.image
    if case == "mono":

        def mono() -> Tensor:
            with torch.set_grad_enabled(not forward_only):
                prediction = network.mono(left)
            return (
                prediction.disparities[0].sum()
                if forward_only
                else view_synthesis(prediction, pair, UNSUPERVISED).total
            )

        return mono
    if case == "stereo":
        network.mono.requires_grad_(False)

        def stereo() -> Tensor:
            prediction = network(left, right)
            passes = (*prediction.earlier[1:], prediction)
            return torch.stack([view_synthesis(p, pair, UNSUPERVISED).total for p in passes]).sum()

        return stereo
    if case == "distillation":
        with torch.no_grad():
            prediction = network(left, right)
        features = tuple(f.requires_grad_() for f in prediction.earlier[0].features)
        student = replace(prediction.earlier[0], features=features)
        return lambda: spaces(student, prediction, left.shape[-1], SPACES).total
    return lambda: joint(network(left, right), pair, JointLoss(distillation=SPACES)).total


def pair_of(batch: int, size: tuple[int, int], device: str) -> StereoPair:
    """Noise: what is seen does not change what it costs."""
    left, right = (View.unlabelled(torch.rand(batch, 3, *size, device=device)) for _ in range(2))
    return StereoPair(left=left, right=right, rig=Rig.unknown(size[1]), name=("noise",) * batch)


def peak_mb(device: str) -> float:
    """Largest memory so far."""
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return torch.cuda.max_memory_allocated() / 2**20


def now_s(device: str) -> float:
    """Time of this process on a CPU, whatever else the machine does; the clock of a device that has finished."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    sys.exit(main())
