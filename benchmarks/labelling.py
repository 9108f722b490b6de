"""Where the time of `label` goes, and what bf16 saves of it.

Promise: `precision="auto"` never takes more than 1.05 times the time of float32, half of the bf16 labels differ by less
than 1/128 px from the float32 ones, and reading, judging and writing take less than a tenth beside the network.

    python benchmarks/labelling.py [--pairs 3] [--data FOLDER]

All times are processor time of one thread, so that other programs on the machine do not count.  Without `--data` the
pairs are procedural streets of 375x1242.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from stereodistill.data import open_dataset
from stereodistill.labels.files import write_label
from stereodistill.predict import load_teacher
from stereodistill.predict.precision import quicker_precision
from stereodistill.synth import SynthDataset

SIZE = (375, 1242)
MAX_RATIO, MAX_MEDIAN_PX, MAX_REST = 1.05, 1 / 128, 0.1


def main() -> int:
    """Print seconds a pair of each part and the differences; exit 1 when a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = SynthDataset("street", options.pairs, SIZE) if options.data is None else open_dataset(options.data)
    teacher = load_teacher("lite_stereo", "cpu")
    predictors = {precision: teacher.in_precision(precision) for precision in ("f32", "bf16")}
    taken: dict[str, list[float]] = {}

    def timed(part: str, call: Callable, *arguments: object):
        start = time.thread_time()
        result = call(*arguments)
        taken.setdefault(part, []).append(time.thread_time() - start)
        return result

    differences = []
    with tempfile.TemporaryDirectory() as folder:
        for index in range(options.pairs):
            pair = timed("reading", data.load, index) if options.data else data.load(index)
            views = [np.ascontiguousarray(v.image.permute(1, 2, 0).numpy()) for v in (pair.left, pair.right)]
            labels = {p: timed(p, predictors[p].match_both, *views) for p in predictors}
            for view, label in zip(("left", "right"), labels["f32"], strict=True):
                timed("writing a view", write_label, Path(folder), "0", view, *label)
            differences += [np.abs(a[0] - b[0]) for a, b in zip(labels["f32"], labels["bf16"], strict=True)]
    seconds = {part: statistics.median(times) for part, times in taken.items()}
    for part, median in seconds.items():
        print(f"{part:<16}{median:>8.3f} s   {median / seconds['f32']:.3f} of f32")
    chosen = quicker_precision(teacher)
    ratio = seconds[chosen] / seconds["f32"]
    median_px = float(np.median(np.concatenate([d.ravel() for d in differences])))
    p99_px = float(np.percentile(np.concatenate([d.ravel() for d in differences]), 99))
    rest = (2 * seconds["writing a view"] + seconds.get("reading", 0.0)) / seconds["f32"]
    print(f"auto takes {chosen}: {ratio:.2f} of the time of f32 (promised: at most {MAX_RATIO})")
    print(f"bf16 - f32: median {median_px:.4f} px (promised: below {MAX_MEDIAN_PX:.4f}), 99 % below {p99_px:.3f} px")
    print(f"reading and writing: {rest:.3f} of the network's time in f32 (promised: below {MAX_REST})")
    return 0 if ratio <= MAX_RATIO and median_px < MAX_MEDIAN_PX and rest < MAX_REST else 1


if __name__ == "__main__":
    sys.exit(main())
