"""The whole method in minutes, on procedural worlds: from `flying` shapes to a `street` whose depth nobody labelled.

`street` plays the user's own world: other looks, other cameras, no labels for training.  Compared on streets that
were never seen: a monocular network trained on the ground truth of `flying`, and the same network distilled from
the stereo teacher's labels of the streets (Guo et al. 2018, claims 1 to 3 in small).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from stereodistill.data import open_dataset
from stereodistill.data.writing import write_pair
from stereodistill.engine.common_baseline import CommonBaseline
from stereodistill.engine.stages import load_recipe
from stereodistill.evaluation import constant_baseline, evaluate, load_source
from stereodistill.fitting.judge import typical_rig
from stereodistill.fitting.page import learning_curves
from stereodistill.fitting.show import say, train_shown
from stereodistill.io.files import write_bytes
from stereodistill.io.lock import one_per_out
from stereodistill.labels.dataset import LabelledDataset
from stereodistill.labels.make import label
from stereodistill.report import GalleryRow, Table, gallery_row, write_report
from stereodistill.synth import SynthDataset

NUM_TRAIN, NUM_TEST, SIZE = 96, 48, (192, 640)
NUM_FLYING = 256
STREET = {
    "driving_rig": 1.0,
    "rig_spread": 0.0,
    "largest_disparity": (0.3, 0.3),
    "sensor": {"grey_share": 0.0},
}
"""The user has one rig: that of driving data, the same on every street."""
PROTOCOL = "depth"
TARGET = "unseen streets"
DIRECT, DISTILLED = "mono, trained on flying shapes", "mono, distilled from the stereo teacher"
ADAPTED = "mono, distilled from the fine-tuned teacher"
TEACHER, TUNED = "stereo teacher (two cameras)", "stereo teacher, fine-tuned without labels"


@one_per_out
def run_demo(out: str | Path, device: str = "auto", seed: int = 0, progress: bool = True) -> dict[str, Any]:
    """Run the comparison and write `report.html`, `table.json` and the weights `mono/`; returns the table.

    A stopped run goes on where it was: finished stages in `out` are found again.
    """
    out = Path(out)
    say("1/6 rendering streets", progress)
    streets, test = _streets(out, seed)
    say("2/6 the stereo teacher labels the training streets", progress)
    label(streets, "lite_stereo", out / "labels", device=device, progress=progress)
    say("3/6 fine-tuning the teacher on the streets, without labels", progress)
    tuned = _train("finetune", out / "teacher", _tuning(seed), streets, device, progress)
    label(streets, tuned, out / "labels_tuned", device=device, progress=progress)
    rig = typical_rig(streets)
    header = {"rig": rig}
    say("4/6 a student from flying shapes, with their ground truth", progress)
    flying = SynthDataset("flying", NUM_FLYING, SIZE, seed)
    changes = ["stage=supervised_mono", "data={source: synth}", f"loop.seed={seed}"]
    weights = {DIRECT: _train("demo", out / "direct", changes, flying, device, progress, header)}
    say("5/6 students from the teachers' labels", progress)
    for name, folder, labels in ((DISTILLED, "distilled", "labels"), (ADAPTED, "adapted", "labels_tuned")):
        labelled = CommonBaseline(LabelledDataset(out / labels, streets), rig["baseline_m"] if rig else None)
        weights[name] = _train("demo", out / folder, [f"loop.seed={seed}"], labelled, device, progress, header)
    shutil.copytree(weights[DISTILLED], out / "mono", dirs_exist_ok=True)
    say("6/6 judging on unseen streets", progress)
    constant = constant_baseline(LabelledDataset(out / "labels", streets))
    sources = {constant.name: constant}
    sources |= {name: load_source(path, device) for name, path in weights.items()}
    sources |= {TEACHER: load_source("lite_stereo", device), TUNED: load_source(tuned, device)}
    return _report(out, test, sources)


def _streets(out: Path, seed: int):
    """Training and test streets on disk, in the folder layout, rendered once."""
    world = SynthDataset("street", NUM_TRAIN + NUM_TEST, SIZE, seed, config=STREET)
    for index, name in enumerate(world.names):
        folder = out / "streets" / ("train" if index < NUM_TRAIN else "test")
        # The left image is written last, so it stands for a finished pair.
        if not (folder / "left" / f"{name}.png").exists():
            write_pair(folder, world.load(index))
    return tuple(open_dataset(out / "streets" / part) for part in ("train", "test"))


def _tuning(seed: int) -> list[str]:
    return [f"loop.seed={seed}", "loop.steps=40", "loop.batch_size=2", "augment.size=[160, 512]"]


def _train(
    recipe: str,
    out: Path,
    changes: list[str],
    samples: Any,
    device: str,
    progress: bool,
    header: dict[str, Any] | None = None,
) -> Path:
    parsed = load_recipe(recipe, changes)
    return train_shown(
        "training", parsed, out, shown=progress, resume=True, device=device, samples=samples, header=header
    )


def _report(out: Path, test: Any, sources: dict[str, Any]) -> dict[str, Any]:
    results = {name: {TARGET: evaluate(data=test, protocol=PROTOCOL, source=s)} for name, s in sources.items()}
    table = Table.from_results("Depth on unseen streets", results, references=[TEACHER, TUNED])
    write_bytes(out / "table.json", json.dumps(table.to_json(), indent=1).encode())
    gallery = [_row(test, index, sources) for index in range(0, len(test), len(test) // 4)]
    write_report(
        out / "report.html",
        title="One camera learns from two",
        intro=(
            "A stereo teacher from procedural worlds labelled streets (its own training had others). From "
            "these labels a small network learned depth from a single picture. The same network trained directly on "
            "the shapes knows their depth, but not that of streets."
        ),
        facts=[("training streets", str(NUM_TRAIN)), ("test streets", str(len(test))), ("labels used", "none")],
        tables=[table],
        curves=learning_curves(out / "distilled" / "log.jsonl"),
        gallery=[*gallery, *_real_pair(sources[TEACHER])],
    )
    print(table.to_markdown())
    return table.to_json()


def _row(test: Any, index: int, sources: dict[str, Any]) -> GalleryRow:
    pair = test.load(index)
    maps = {name: sources[name](pair)[0] for name in (DIRECT, DISTILLED, TEACHER)}
    truth = pair.left.disparity[0].numpy()
    return gallery_row(str(pair.name), pair.left.image.permute(1, 2, 0).numpy(), maps=maps, truth_px=truth)


def _real_pair(teacher: Any) -> list[GalleryRow]:
    """The teacher on the one real pair that a Python package carries, where it is installed."""
    try:
        from skimage.data import stereo_motorcycle
    except ImportError:
        return []
    import torch

    from stereodistill.types import Rig, StereoPair, View

    left, right, truth = stereo_motorcycle()
    views = [View.unlabelled(torch.from_numpy(image).permute(2, 0, 1).float() / 255) for image in (left, right)]
    pair = StereoPair(left=views[0], right=views[1], rig=Rig.unknown(left.shape[1]), name="motorcycle")
    known = np.where(np.isfinite(truth), truth, 0.0).astype(np.float32)
    caption = "a real photo pair (Middlebury 2014); the teacher saw none in training"
    return [gallery_row("motorcycle", left, maps={"teacher": teacher(pair)[0]}, truth_px=known, caption=caption)]
