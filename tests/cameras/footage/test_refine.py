"""Nearly rectified pairs are mended by one known correction, and refused where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from stereodistill.cameras.matches import Matches, match_views
from stereodistill.cameras.refine import refine_pairs
from stereodistill.cameras.rigid import estimate, mended
from stereodistill.data import open_dataset
from stereodistill.errors import UserError

FOCAL_PX = 500.0


def bump(picture: np.ndarray, focal_px: float, *, dy=0.0, dx=0.0, roll=0.0, zoom=0.0, pitch=0.0) -> np.ndarray:
    """What a right camera sees that was turned (degrees), moved and zoomed by known amounts."""
    size = picture.shape[1], picture.shape[0]
    matrix = camera(size, focal_px, zoom, dx, dy) @ turned(pitch, roll) @ np.linalg.inv(camera(size, focal_px))
    return cv2.warpPerspective(picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def camera(size: tuple[int, int], focal_px: float, zoom=0.0, dx=0.0, dy=0.0) -> np.ndarray:
    focal_px = focal_px * (1 + zoom)
    return np.array([[focal_px, 0, (size[0] - 1) / 2 + dx], [0, focal_px, (size[1] - 1) / 2 + dy], [0, 0, 1]])


def turned(pitch: float, roll: float) -> np.ndarray:
    p, r = np.radians([pitch, roll])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    return about_x @ np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])


def scene_matches(seed: int, **bumped: float) -> Matches:
    """400 points in space, seen by a rectified rig whose right camera was bumped; 0.15 px of noise, 5 % wrong."""
    random = np.random.default_rng(seed)
    size = (480, 640)
    left = random.uniform((0, 0), (640, 480), (400, 2))
    disparity = random.uniform(0.3, 60, 400)
    right = np.column_stack([left[:, 0] - disparity, left[:, 1]])
    matrix = camera((640, 480), FOCAL_PX, *(bumped.pop(k, 0.0) for k in ("zoom", "dx", "dy")))
    matrix = (
        matrix @ turned(bumped.get("pitch", 0.0), bumped.get("roll", 0.0)) @ np.linalg.inv(camera((640, 480), FOCAL_PX))
    )
    right = np.column_stack([right, np.ones(400)]) @ matrix.T
    right = right[:, :2] / right[:, 2:] + random.normal(0, 0.15, (400, 2))
    right[:20] += random.uniform(-40, 40, (20, 2))
    return Matches(left, right, size)


@pytest.mark.parametrize(
    "bumped",
    [
        {"dy": 4.0, "roll": 0.4, "zoom": 0.006},
        {"pitch": -0.5, "roll": -0.3},
        {"dy": -2.0},
        {"zoom": -0.01, "roll": 1.0},
    ],
)
def test_a_known_correction_is_found_within_its_spread(bumped: dict[str, float]) -> None:
    pairs = [scene_matches(seed, **bumped) for seed in range(12)]
    correction = estimate(pairs, FOCAL_PX)
    figures, spread = correction.figures(), correction.spread
    true = {
        "y_offset_px": bumped.get("dy", 0.0) + FOCAL_PX * np.tan(np.radians(bumped.get("pitch", 0.0))),
        "roll_deg": bumped.get("roll", 0.0),
        "zoom": bumped.get("zoom", 0.0),
    }
    for name, value in true.items():
        assert figures[name] == pytest.approx(value, abs=max(4 * spread[name], 1e-4)), name
        assert figures[name] == pytest.approx(
            value, rel=0.05, abs={"y_offset_px": 0.1}.get(name, 0.0005 if name == "zoom" else 0.01)
        )
    assert np.median(np.abs(mended(pairs[0], correction).rows_px)) < 0.2
    assert 0 < spread["roll_deg"] < 0.01 and not correction.bends


def test_the_left_view_and_the_centres_column_stay() -> None:
    left, right = estimate([scene_matches(0, dy=3.0, roll=0.5)], FOCAL_PX).homographies()
    assert np.allclose(left, np.eye(3), atol=1e-12)
    middle = right @ (319.5, 239.5, 1)
    assert middle[0] / middle[2] == pytest.approx(319.5)


def write_pairs(folder: Path, pairs: list[tuple[np.ndarray, np.ndarray]], focal_px: float | None = None) -> Path:
    for index, pair in enumerate(pairs):
        for side, picture in zip(("left", "right"), pair, strict=True):
            (folder / side).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / side / f"{index:03d}.png"), picture)
    if focal_px:
        rig = {"focal_px": focal_px, "baseline_m": 0.5, "width": pairs[0][0].shape[1], "cx_px": 150.0, "cy_px": 118.0}
        (folder / "rig.json").write_text(json.dumps(rig))
    return folder


@pytest.fixture(scope="module")
def rectified(scene_views) -> list[tuple[np.ndarray, np.ndarray]]:
    return [scene_views(index) for index in range(4)]


def test_pairs_are_mended(rectified, tmp_path: Path) -> None:
    bumped = [(left, bump(right, 300, dy=3, roll=0.8, zoom=0.004)) for left, right in rectified]
    done = refine_pairs(write_pairs(tmp_path / "pairs", bumped, 300.0), tmp_path / "out")
    figures = done.correction.figures()
    assert figures["y_offset_px"] == pytest.approx(3, rel=0.1) and figures["roll_deg"] == pytest.approx(0.8, rel=0.1)
    assert done.rows_before_px > 2 and done.rows_after_px <= 0.3 and figures["doffs_px"] == 0
    pair = open_dataset(tmp_path / "out").load(1)
    assert bool(pair.left.seen.all()) and bool(pair.right.seen.all())
    left, right = ((v.image * 255).byte().permute(1, 2, 0).numpy() for v in (pair.left, pair.right))
    assert np.median(np.abs(match_views(left, right).rows_px)) <= 0.3
    rig = json.loads((tmp_path / "out/rig.json").read_text())
    rows, columns = (240 - pair.size[0]) // 2, (320 - pair.size[1]) // 2
    assert rig["focal_px"] == 300 and rig["width"] == pair.size[1]  # cut, not resized
    assert (rig["cx_px"], rig["cy_px"]) == (150 - columns, 118 - rows)
    again = refine_pairs(tmp_path / "pairs", tmp_path / "out")
    assert again.num_pairs == 4


def test_what_becomes_empty_is_kept_and_marked_on_demand(rectified, tmp_path: Path) -> None:
    bumped = [(left, bump(right, 300, dy=6, roll=1)) for left, right in rectified[:2]]
    refine_pairs(write_pairs(tmp_path / "pairs", bumped, 300.0), tmp_path / "out", keep_fov=1)
    pair = open_dataset(tmp_path / "out").load(0)
    assert pair.size == (240, 320) and bool(pair.left.seen.all())
    assert 0.9 < float(pair.right.seen.float().mean()) < 0.99


def test_a_shift_is_mended_when_something_far_is_seen(rectified, tmp_path: Path) -> None:
    """The scene's farthest layer has 5 px; shifted by 15 px it lies at -10."""
    shifted = [(left, bump(right, 300, dx=15)) for left, right in rectified[:2]]
    done = refine_pairs(write_pairs(tmp_path / "pairs", shifted, 300.0), tmp_path / "out")
    assert done.correction.shift_px == pytest.approx(10, abs=0.5)
    pair = open_dataset(tmp_path / "out").load(0)
    left, right = ((v.image * 255).byte().permute(1, 2, 0).numpy() for v in (pair.left, pair.right))
    assert np.percentile(match_views(left, right).disparity_px, 2) == pytest.approx(0, abs=0.5)


def test_pairs_that_disagree_are_refused(rectified, tmp_path: Path) -> None:
    offsets = (-5, 4, 1, 6)
    moved = [(left, bump(right, 300, dy=dy)) for (left, right), dy in zip(rectified, offsets, strict=True)]
    with pytest.raises(UserError, match=r"the pairs disagree: .* not one rig"):
        refine_pairs(write_pairs(tmp_path / "pairs", moved, 300.0), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("how", ["blank", "raw", "sizes"])
def test_what_cannot_be_mended_is_refused(rectified, tmp_path: Path, how: str) -> None:
    blank = np.full((240, 320), 128, np.uint8)
    pairs, text = {
        "blank": ([(blank, blank)] * 3, "0 matches in 0 pairs are too few"),
        "raw": ([(left, np.roll(right, 14, 0)) for left, right in rectified], "rows are off by 14.0 px: raw pictures"),
        "sizes": ([rectified[0], tuple(v[:200] for v in rectified[1])], "have one size, found 320x240 .* and 320x200"),
    }[how]
    with pytest.raises(UserError, match=text):
        refine_pairs(write_pairs(tmp_path / "pairs", pairs), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_real_street_pairs(real_data: Path, tmp_path: Path) -> None:
    focal_px = 721.5377
    pairs = []
    for file in sorted((real_data / "kitti2015/image_2").iterdir())[2:6]:
        left, right = (cv2.imread(str(file.parents[1] / view / file.name)) for view in ("image_2", "image_3"))
        pairs.append((left, bump(right, focal_px, dy=4, roll=0.5)))
    done = refine_pairs(write_pairs(tmp_path / "pairs", pairs, focal_px), tmp_path / "out")
    figures = done.correction.figures()
    assert done.rows_after_px <= 0.3
    assert figures["y_offset_px"] == pytest.approx(4, rel=0.1) and figures["roll_deg"] == pytest.approx(0.5, rel=0.1)
