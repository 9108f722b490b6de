"""Does the shipped teacher know where it is wrong?  Its confidence against its error on pairs with ground truth.

    python benchmarks/confidence.py DATA [DATA ...] [--teacher lite_stereo] [--limit N]

Prints, per data set, the mean over the images of: AUC (0.5 = knows nothing, 1 = knows all), D1 of all pixels, and of
the pixels with confidence >= 0.5 their share, the precision and the recall of right pixels.  Three confidences: the
product that `label` writes, and its two factors.
"""

from __future__ import annotations

import argparse

import numpy as np

from stereodistill.data import open_dataset
from stereodistill.evaluation.confidence import confidence_metrics
from stereodistill.evaluation.metrics import mean_metrics
from stereodistill.predict import StereoPredictor, load_teacher

COLUMNS = ("auc", "d1", "kept", "precision", "recall")


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", nargs="+")
    parser.add_argument("--teacher", default="lite_stereo")
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    teacher = load_teacher(options.teacher, "auto")
    print(f"{'data':24}{'confidence':14}" + "".join(f"{name:>11}" for name in COLUMNS))
    for path in options.data:
        for kind, means in measure(teacher, open_dataset(path, limit=options.limit)).items():
            numbers = "".join(f"{means[name]:11.3f}" if name == "auc" else f"{means[name]:10.1f}%" for name in COLUMNS)
            print(f"{path.rstrip('/').rsplit('/')[-1]:24}{kind:14}{numbers}")


def measure(teacher, dataset) -> dict[str, dict[str, float]]:
    """Kind of confidence -> metrics, means over the images with ground truth."""
    rows: dict[str, list[dict[str, float]]] = {}
    for index in range(len(dataset)):
        pair = dataset.load(index)
        if not pair.left.valid.any():
            continue
        left, right = (view.image.permute(1, 2, 0).numpy() for view in (pair.left, pair.right))
        truth, valid = pair.left.disparity[0].numpy(), pair.left.valid[0].numpy()
        for kind, (disparity, confidence) in confidences(teacher, left, right).items():
            rows.setdefault(kind, []).append(confidence_metrics(disparity, confidence, truth, valid))
    return {kind: mean_metrics(metrics) for kind, metrics in rows.items()}


def confidences(teacher, left: np.ndarray, right: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The teacher's own confidence and, of a network, its two factors."""
    disparity, product = teacher.match(left, right)
    kinds = {"as labelled": (disparity, product)}
    if isinstance(teacher, StereoPredictor):
        visible = teacher.visibility(left, right)
        kinds["visibility"] = (disparity, visible)
        kinds["left-right"] = (disparity, product / np.maximum(visible, 1e-6))
    return kinds


if __name__ == "__main__":
    main()
