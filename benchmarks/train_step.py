"""How much of a training step is spent in the network's forward and backward.

Promise: at least 85 %.  Two recipes as they ship, on procedural pairs: the student of `fit` (samples remembered
at their small size after the first epoch) and the shipped teacher (a new scene for every sample).

    python benchmarks/train_step.py [--threads 2] [--steps 40]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch

from stereodistill.engine.stages import load_recipe
from stereodistill.engine.train import train
from stereodistill.synth import SynthDataset

WARM_UP = 12
PROMISE = 0.85
CASES = {
    "fit (lite_mono)": ("fit", ["stage=supervised_mono", "data={source: synth}"], 32),
    "lite_stereo": ("lite_stereo", ["data.worlds={flying: 1}", "data.reuse={}"], None),
}


def main() -> int:
    """Print the share of each recipe; exit 1 when one is below the promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shares = {name: share(*case, options.steps) for name, case in CASES.items()}
    return 0 if min(shares.values()) >= PROMISE else 1


def share(recipe: str, changes: list[str], num: int | None, steps: int) -> float:
    """Forward and backward as a share of the steps after the warm-up."""
    loop = [f"loop.steps={WARM_UP + steps}", "loop.log_every=1", "loop.validate_every=null", "loop.epochs=null"]
    parsed = load_recipe(recipe, [*changes, *loop])
    samples = SynthDataset("flying", num, (192, 640)) if num else None
    with tempfile.TemporaryDirectory() as folder:
        train(parsed, folder, samples=samples)
        records = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
    timed = [record for record in records if "step_s" in record][WARM_UP:]
    compute_s, wait_s, step_s = (sum(r[key] for r in timed) for key in ("compute_s", "wait_s", "step_s"))
    print(
        f"{recipe:12} {step_s / len(timed):6.3f} s a step: forward and backward {compute_s / step_s:5.1%}, "
        f"waiting for data {wait_s / step_s:5.1%}, optimiser and bookkeeping {1 - (compute_s + wait_s) / step_s:5.1%}"
    )
    return compute_s / step_s


if __name__ == "__main__":
    sys.exit(main())
