"""Every stereo protocol against plain loops, written here from the definitions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from stereodistill.evaluation import evaluate, find_protocol
from stereodistill.types import Rig, StereoPair, View


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@dataclass
class Maps:
    """Frames with dense disparity."""

    truths: list[np.ndarray]
    names: list[str] = field(default_factory=lambda: ["a", "b"])
    objects: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.truths)

    def load(self, index: int) -> StereoPair:
        disparity = torch.from_numpy(self.truths[index])[None]
        view = View(image=torch.zeros(3, *disparity.shape[1:]), disparity=disparity, valid=disparity > 0)
        right, rig = View.unlabelled(view.image), Rig.unknown(disparity.shape[2])
        return StereoPair(left=view, right=right, rig=rig, name=self.names[index])

    def foreground(self, index: int) -> np.ndarray:
        assert self.objects is not None
        return self.objects


def expected_stereo(truth, prediction, *, max_disparity=math.inf, counts=lambda row, column: True) -> dict[str, float]:
    """EPE over what was predicted; D1 and bad-n in percent of all true pixels, a hole being wrong."""
    num, errors = 0, []
    wrong = {"d1": 0, "bad1": 0, "bad2": 0, "bad3": 0, "bad4": 0}
    for row in range(truth.shape[0]):
        for column in range(truth.shape[1]):
            true, said = float(truth[row, column]), float(prediction[row, column])
            if not 0 < true < max_disparity or not counts(row, column):
                continue
            num += 1
            hole = not (math.isfinite(said) and said > 0)
            error = math.inf if hole else abs(said - true)
            if not hole:
                errors.append(error)
            for n in (1, 2, 3, 4):
                wrong[f"bad{n}"] += error > n
            wrong["d1"] += error > 3 and error > 0.05 * true
    return {"epe": mean(errors), "density": 100 * len(errors) / num, **{k: 100 * v / num for k, v in wrong.items()}}


@pytest.fixture
def dense(tmp_path) -> tuple:
    random = np.random.default_rng(5)
    truths, guesses = [], []
    for _ in range(2):
        truth = random.uniform(1, 260, (40, 300)).astype(np.float32)
        truth[random.random(truth.shape) < 0.2] = 0
        guess = truth + random.normal(0, 4, truth.shape).astype(np.float32)
        guess[random.random(truth.shape) < 0.1] = random.choice([0, -5, np.nan, np.inf])
        guess[0, :4], truth[0, :4] = (63, 105, 104, 4), (60, 100, 100, 1)  # just on the thresholds
        truths.append(truth)
        guesses.append(guess)
    np.save(tmp_path / "px.npy", np.stack(guesses))
    objects = np.zeros((40, 300), dtype=bool)
    objects[10:30, 50:200] = True
    return Maps(truths, objects=objects), tmp_path / "px.npy", guesses


@pytest.mark.parametrize(
    ("protocol", "keys", "options"),
    [
        ("kitti-stereo", ("epe", "d1", "bad1", "bad2", "bad3", "density"), {}),
        ("kitti-stereo:region=fg", ("epe", "d1"), {"counts": lambda r, c: 10 <= r < 30 and 50 <= c < 200}),
        ("kitti-stereo:region=bg", ("epe", "d1"), {"counts": lambda r, c: not (10 <= r < 30 and 50 <= c < 200)}),
        ("stereo", ("epe", "d1", "bad1", "bad2", "bad3", "density"), {}),
        ("sceneflow-192", ("epe", "bad1", "bad3", "density"), {"max_disparity": 192}),
        ("sceneflow", ("epe", "bad1", "bad3", "density"), {}),
        ("middlebury", ("epe", "bad1", "bad2", "bad4", "density"), {}),
    ],
)
def test_stereo_protocols(dense, protocol, keys, options):
    data, path, guesses = dense
    result = evaluate(data=data, protocol=protocol, predictions=path, unit="disparity-px")
    expected = [expected_stereo(t, g, **options) for t, g in zip(data.truths, guesses, strict=True)]
    for key in keys:
        found = [row[key] for row in result["per_image"]]
        assert found == pytest.approx([numbers[key] for numbers in expected], rel=1e-6), key
        assert result["metrics"][key] == pytest.approx(mean([numbers[key] for numbers in expected]), rel=1e-6), key
    assert {key for key in result["metrics"] if not key.endswith("_pooled")} == set(find_protocol(protocol).metrics)
