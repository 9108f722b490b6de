"""Distillation from cached labels against the teacher in the loop, as the code of 2018 runs it: same student steps.

Promise: a step at least 3 times as fast, for a 256x512 student (`lite_mono`) and a 384x1280 `dispnet` teacher.

    python benchmarks/cached_labels.py [--threads 2] [--steps 3] [--student lite_mono]

In the loop the teacher answers for one view of each sample; labelling costs two answers a pair, once.  Both read
pairs of 375x1242 from disk and train through the same loop; first steps are not timed.  The student of the paper,
`--student vgg_mono`, is itself as heavy as its teacher: there the ratio is smaller by nature.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from stereodistill.data import open_dataset
from stereodistill.data.writing import write_pair
from stereodistill.engine.stages import load_recipe
from stereodistill.engine.train import train
from stereodistill.io.images import ChooseWindow
from stereodistill.labels.make import label
from stereodistill.models.guo2018.dispnet import DispNet
from stereodistill.models.layers import for_inference
from stereodistill.synth import SynthDataset
from stereodistill.types import Rig, StereoPair, View
from stereodistill.weights import WeightsHeader, load_weights, save_weights

NUM_PAIRS, SIZE, BATCH = 4, (375, 1242), 4
WARM_UP = 1
PROMISE = 3.0


def main() -> int:
    """Print seconds a step of both and the ratio; exit 1 below the promise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--student", default="lite_mono")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        scenes = SynthDataset("flying", NUM_PAIRS, SIZE)
        for index in range(NUM_PAIRS):
            write_pair(work / "pairs", scenes.load(index))
        teacher = saved_teacher(work / "teacher")
        start = time.perf_counter()
        label(work / "pairs", teacher, work / "labels", device="cpu")
        labelling_s = (time.perf_counter() - start) / NUM_PAIRS
        changes = [f"data.path={work / 'pairs'}", f"data.labels={work / 'labels'}", f"model.name={options.student}"]
        cached_s = step_s(work / "cached", changes, options.steps)
        in_loop_s = step_s(work / "loop", changes, options.steps, TeacherInTheLoop(work / "pairs", teacher))
    ratio, whole = in_loop_s / cached_s, whole_run(in_loop_s, cached_s, labelling_s)
    print(f"{options.student}: {in_loop_s:.2f} s a step with the teacher in the loop, {cached_s:.2f} s with its labels")
    print(f"labelling, once: {labelling_s:.2f} s a pair; with it, 50 epochs are {whole:.1f} times as fast")
    print(f"ratio {ratio:.1f} (promised for lite_mono: at least {PROMISE})")
    return 0 if ratio >= PROMISE or options.student != "lite_mono" else 1


class TeacherInTheLoop:
    """Samples whose disparity the teacher works out whenever one is asked for."""

    endless = True

    def __init__(self, pairs: Path, teacher: Path):
        self.data, self.network = open_dataset(pairs), for_inference(load_weights(teacher)[0])

    @property
    def names(self) -> Sequence[str]:
        """Of one round."""
        return self.data.names

    def __len__(self) -> int:
        return 1 << 20

    def rig(self, index: int) -> Rig:
        """Of pair `index`."""
        return self.data.rig(index % len(self.data))

    def size(self, index: int) -> tuple[int, int]:
        """Of pair `index`."""
        return self.data.size(index % len(self.data))

    @torch.inference_mode()
    def load(self, index: int, window: ChooseWindow | None = None) -> StereoPair:
        """Pair `index`, round and round."""
        pair = self.data.load(index % len(self.data), window)
        views = (v.image[None].contiguous(memory_format=torch.channels_last) for v in (pair.left, pair.right))
        disparity = self.network(*views).disparities[0][0].clone()
        left = View(image=pair.left.image, disparity=disparity, valid=disparity > 0)
        return replace(pair, left=left, right=View.unlabelled(pair.right.image))


def saved_teacher(folder: Path) -> Path:
    """A `dispnet` that has learned nothing but positive answers: its time does not depend on them."""
    network = DispNet()
    torch.nn.init.ones_(network.get_parameter("disp0.bias"))
    save_weights(folder, network, WeightsHeader(architecture="dispnet", kind="stereo", options=network.options))
    return folder


def step_s(out: Path, changes: list[str], steps: int, samples: TeacherInTheLoop | None = None) -> float:
    """Seconds a step of `guo2018/mono` without mirroring, so that both ways see the same samples."""
    loop = [f"loop.steps={WARM_UP + steps}", "loop.epochs=null", "loop.workers=0", "loop.log_every=1"]
    recipe = load_recipe("guo2018/mono", [*changes, *loop, f"loop.batch_size={BATCH}", "augment.swap_p=0"])
    train(recipe, out, device="cpu", samples=samples)
    records = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    timed = [record["step_s"] for record in records if "step_s" in record][WARM_UP:]
    return sum(timed) / len(timed)


def whole_run(in_loop_s: float, cached_s: float, labelling_s: float, epochs: int = 50) -> float:
    """How many times faster a run of so many epochs is, labelling included."""
    return epochs * in_loop_s / (epochs * cached_s + BATCH * labelling_s)


if __name__ == "__main__":
    sys.exit(main())
