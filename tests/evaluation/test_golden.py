"""Every depth protocol against a second implementation, written here from the definitions with plain loops.

Nothing of the package is used to compute what is expected: crops come from tables of pixels, bilinear samples,
medians and means are written out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pytest
import torch

from stereodistill.evaluation import PROTOCOLS, crop_box, evaluate, find_protocol
from stereodistill.types import Rig, StereoPair, View

KITTI_SIZES = [(375, 1242), (370, 1226), (374, 1238), (376, 1241), (370, 1224)]
# First and last row and column that are scored, counted from 0.  Worked out by hand from the published fractions,
# for example 0.40810811 * 375 = 153.04 -> 153 and 0.99189189 * 375 = 371.96 -> 371 is the first row below.
GARG = {
    (375, 1242): (153, 370, 44, 1196),
    (370, 1226): (151, 365, 44, 1180),
    (374, 1238): (152, 369, 44, 1192),
    (376, 1241): (153, 371, 44, 1195),
    (370, 1224): (151, 365, 43, 1179),
}
EIGEN = {
    (375, 1242): (124, 341, 44, 1196),
    (370, 1226): (122, 336, 44, 1180),
    (374, 1238): (124, 340, 44, 1192),
    (376, 1241): (124, 342, 44, 1195),
    (370, 1224): (122, 336, 43, 1179),
}
FOCAL_PX, BASELINE_M = 720.0, 0.54


@dataclass
class Scans:
    """Frames with sparse ground truth in metres at their own size, and without pictures worth looking at."""

    truths: list[np.ndarray]
    title: str = "kitti_raw:eigen_test"
    lidar_shift_m: float = 0.27
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = [f"frame{index}" for index in range(len(self))]

    def __len__(self) -> int:
        return len(self.truths)

    def load(self, index: int) -> StereoPair:
        height, width = self.truths[index].shape
        view = View.unlabelled(torch.zeros(3, height, width))
        rig = Rig(focal_px=FOCAL_PX, baseline_m=BASELINE_M, width=width)
        return StereoPair(left=view, right=view, rig=rig, name=self.names[index])

    def depth(self, index: int, view: str = "camera") -> tuple[np.ndarray, np.ndarray]:
        truth = self.truths[index]
        shift = self.lidar_shift_m if view == "lidar" else 0.0
        return np.where(truth > 0, truth + np.float32(shift), 0).astype(np.float32), truth > 0

    @cached_property
    def points(self) -> list[list[tuple[int, int, float]]]:
        return [[(int(r), int(c), float(t[r, c])) for r, c in np.argwhere(t > 0)] for t in self.truths]


def sparse_truth(size: tuple[int, int], seed: int) -> np.ndarray:
    """A few thousand points, also on both sides of every border of both crops, and some out of range."""
    random = np.random.default_rng(seed)
    height, width = size
    truth = np.zeros(size, dtype=np.float32)
    rows, columns = random.integers(0, height, 1500), random.integers(0, width, 1500)
    truth[rows, columns] = random.uniform(2, 60, 1500)
    for first_row, last_row, first_column, last_column in (GARG[size], EIGEN[size]):
        for row in (first_row - 1, first_row, last_row, last_row + 1):
            for column in (first_column - 1, first_column, last_column, last_column + 1):
                truth[row, column] = random.uniform(60, 79)
    truth[200, 300:330] = random.uniform(80.5, 120, 30)
    truth[210, 300], truth[210, 301] = 80.0, 5e-4
    return truth


def smooth_map(size: tuple[int, int], low: float, high: float, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    rows, columns = np.linspace(0, 1, size[0])[:, None], np.linspace(0, 1, size[1])[None]
    waves = np.sin(5 * columns + random.uniform(0, 6)) * np.cos(4 * rows + random.uniform(0, 6))
    return (low + (high - low) * (0.5 + 0.5 * waves) * (0.3 + 0.7 * rows)).astype(np.float32)


def sample(values: np.ndarray, row: int, column: int, size: tuple[int, int]) -> float:
    """The bilinear value that a resize to `size` puts at a pixel: pixel centres, borders repeated."""

    def place(index: int, new: int, old: int) -> tuple[int, int, float]:
        position = (index + 0.5) * old / new - 0.5
        position = min(max(position, 0.0), old - 1.0)
        below = min(math.floor(position), old - 1)
        return below, min(below + 1, old - 1), position - below

    top, bottom, down = place(row, size[0], values.shape[0])
    left, right, across = place(column, size[1], values.shape[1])
    upper = float(values[top, left]) * (1 - across) + float(values[top, right]) * across
    lower = float(values[bottom, left]) * (1 - across) + float(values[bottom, right]) * across
    return upper * (1 - down) + lower * down


def middle(values: list[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def depth_scores(pairs: list[tuple[float, float]]) -> dict[str, float]:
    """The definitions of Eigen et al. 2014, and the Make3D ones, over (predicted, true)."""
    ratios = [max(p / t, t / p) for p, t in pairs]
    return {
        "abs_rel": mean([abs(p - t) / t for p, t in pairs]),
        "sq_rel": mean([(p - t) ** 2 / t for p, t in pairs]),
        "rmse": math.sqrt(mean([(p - t) ** 2 for p, t in pairs])),
        "rmse_log": math.sqrt(mean([(math.log(p) - math.log(t)) ** 2 for p, t in pairs])),
        "a1": mean([float(r < 1.25) for r in ratios]),
        "a2": mean([float(r < 1.5625) for r in ratios]),
        "a3": mean([float(r < 1.953125) for r in ratios]),
        "log10": mean([abs(math.log10(p) - math.log10(t)) for p, t in pairs]),
        "rmse_log10": math.sqrt(mean([(math.log10(p) - math.log10(t)) ** 2 for p, t in pairs])),
    }


def expected_depth(
    points, size, prediction, *, box, cap_m, shift_m=0.0, median=False, keep_far=False, kind="share", floor_m=1e-3
) -> tuple[dict[str, float], int]:
    """One image: which points count, what is predicted there, scale, then clamp, then the numbers."""
    counted = []
    for row, column, camera_m in points:
        true_m = float(np.float32(camera_m + shift_m))
        if box is not None and not (box[0] <= row <= box[1] and box[2] <= column <= box[3]):
            continue
        if not keep_far and not floor_m < true_m < cap_m:
            continue
        value = sample(prediction, row, column, size)
        if kind == "share":
            predicted_m = FOCAL_PX * BASELINE_M / (value * size[1])
        else:
            predicted_m = 1 / value if kind == "inverse" else value
        counted.append((predicted_m, true_m))
    factor = middle([t for _, t in counted]) / middle([p for p, _ in counted]) if median else 1.0
    clamped = [(min(max(p * factor, floor_m), cap_m), t) for p, t in counted]
    return depth_scores(clamped), len(counted)


def check(result: dict, expected: list[tuple[dict[str, float], int]], keys) -> None:
    for row, (numbers, count) in zip(result["per_image"], expected, strict=True):
        assert row["num_pixels"] == count
        for key in keys:
            assert row[key] == pytest.approx(numbers[key], rel=2e-5), key
    for key in keys:
        assert result["metrics"][key] == pytest.approx(mean([numbers[key] for numbers, _ in expected]), rel=2e-5), key


@pytest.fixture(scope="module")
def scans() -> Scans:
    return Scans([sparse_truth(size, seed) for seed, size in enumerate(KITTI_SIZES[:4])])


@pytest.fixture(scope="module")
def shares(tmp_path_factory) -> tuple:
    """A `disparities.npy` as the field writes it, of another size than the pictures."""
    maps = np.stack([smooth_map((96, 320), 0.004, 0.12, seed) for seed in range(4)])
    path = tmp_path_factory.mktemp("field") / "disparities.npy"
    np.save(path, maps)
    return path, maps


@pytest.mark.parametrize("size", KITTI_SIZES)
@pytest.mark.parametrize(("name", "table"), [("garg", GARG), ("eigen", EIGEN)])
def test_crops_to_the_pixel(name, table, size):
    top, bottom, left, right = crop_box(name, size)
    assert (top, bottom - 1, left, right - 1) == table[size]
    truth = np.full(size, 10.0, dtype=np.float32)
    scored = find_protocol(f"depth:crop={name}").scored_pixels(truth)
    rows, columns = np.flatnonzero(scored.any(1)), np.flatnonzero(scored.any(0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == table[size]
    assert scored.sum() == len(rows) * len(columns)


@pytest.mark.parametrize(
    ("protocol", "options"),
    [
        ("eigen", {"cap_m": 80, "crops": GARG}),
        ("eigen:crop=eigen", {"cap_m": 80, "crops": EIGEN}),
        ("eigen:crop=none,cap=60", {"cap_m": 60, "crops": None}),
        ("eigen:scaling=median", {"cap_m": 80, "crops": GARG, "median": True}),
        ("eigen-50m", {"cap_m": 50, "crops": GARG}),
        ("eigen-50m:crop=eigen,scaling=median", {"cap_m": 50, "crops": EIGEN, "median": True}),
        ("eigen-lidar-view", {"cap_m": 80, "crops": GARG, "shift_m": 0.27}),
        ("eigen-improved", {"cap_m": 80, "crops": None, "keep_far": True}),
        ("eigen-improved:crop=garg,far=dropped", {"cap_m": 80, "crops": GARG}),
        ("depth:crop=garg", {"cap_m": 80, "crops": GARG}),
    ],
)
def test_depth_protocols(scans, shares, protocol, options):
    path, maps = shares
    options = dict(options)
    crops = options.pop("crops")
    expected = [
        expected_depth(points, truth.shape, maps[i], box=crops and crops[truth.shape], **options)
        for i, (points, truth) in enumerate(zip(scans.points, scans.truths, strict=True))
    ]
    result = evaluate(data=scans, protocol=protocol, predictions=path)
    check(result, expected, ("abs_rel", "sq_rel", "rmse", "rmse_log", "a1", "a2", "a3"))
    assert result["metrics"]["density"] == 100
    assert (result["num_images"], result["data"]) == (4, "kitti_raw:eigen_test")
    assert result["num_expected"] == PROTOCOLS[protocol.partition(":")[0]].num_expected
    assert 0.02 < result["metrics"]["a1"] < 0.98, "predictions that are all clamped, or all right, would test nothing"


@pytest.mark.parametrize(("unit", "kind"), [("depth-relative", "depth"), ("disparity-relative", "inverse")])
def test_relative_depth_needs_the_median_and_is_clamped_after_it(scans, tmp_path, unit, kind):
    low, high = (0.05, 3.0) if kind == "depth" else (0.02, 4.0)
    # Seeds without a ratio so near to 1.25 that rounding would decide about a1.
    maps = np.stack([smooth_map((64, 200), low, high, seed) for seed in range(10, 14)])
    np.save(tmp_path / "d.npy", maps)
    expected = [
        expected_depth(p, t.shape, m, box=GARG[t.shape], cap_m=80, median=True, kind=kind)
        for p, t, m in zip(scans.points, scans.truths, maps, strict=True)
    ]
    result = evaluate(data=scans, protocol="eigen:scaling=median", predictions=tmp_path / "d.npy", unit=unit)
    check(result, expected, ("abs_rel", "sq_rel", "rmse", "rmse_log", "a1", "a2", "a3"))
    # Any factor on the whole gives the same numbers.
    np.save(tmp_path / "e.npy", maps * np.float32(7))
    again = evaluate(data=scans, protocol="eigen:scaling=median", predictions=tmp_path / "e.npy", unit=unit)
    assert again["metrics"]["abs_rel"] == pytest.approx(result["metrics"]["abs_rel"], rel=1e-5)
    ratio = again["per_image"][0]["scale"] / result["per_image"][0]["scale"]
    assert ratio == pytest.approx(1 / 7 if kind == "depth" else 7, rel=1e-5)


def test_make3d(tmp_path):
    random = np.random.default_rng(3)
    truths = [random.uniform(1, 81, (21, 305)).astype(np.float32) for _ in range(3)]
    data = Scans(truths, title="make3d:test")
    maps = np.stack([smooth_map((64, 128), 2, 90, seed) for seed in range(3)])
    np.save(tmp_path / "metres.npy", maps)
    expected = [
        expected_depth(points, (21, 305), one, box=None, cap_m=70, kind="depth")
        for points, one in zip(data.points, maps, strict=True)
    ]
    result = evaluate(data=data, protocol="make3d", predictions=tmp_path / "metres.npy", unit="depth-m")
    check(result, expected, ("abs_rel", "sq_rel", "rmse", "log10", "rmse_log10"))
    assert list(result["metrics"]) == ["abs_rel", "sq_rel", "rmse", "log10", "rmse_log10", "density"]
    assert result["num_expected"] == 134


def test_a_smaller_stereo_prediction_grows_with_its_values(make_pair, pairs_of, tmp_path):
    truth, small = smooth_map((20, 40), 5, 40, 1), smooth_map((10, 16), 1, 12, 2)
    np.save(tmp_path / "a.npy", small)
    result = evaluate(data=pairs_of([make_pair("a", truth)]), protocol="stereo", predictions=tmp_path)
    errors = [
        abs(sample(small, row, column, (20, 40)) * 40 / 16 - float(truth[row, column]))
        for row in range(20)
        for column in range(40)
    ]
    assert result["metrics"]["epe"] == pytest.approx(mean(errors), rel=1e-5)
    assert result["metrics"]["bad3"] == pytest.approx(100 * mean([float(e > 3) for e in errors]))
