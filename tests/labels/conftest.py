"""Five small random-dot pairs, a matcher that counts its calls, and pairs that come from no file."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from stereodistill.predict import teachers
from stereodistill.predict.sgbm import SGBM
from stereodistill.predict.teachers import Match
from stereodistill.types import Rig, StereoPair, View

HEIGHT, WIDTH, NUM = 40, 112, 5
BACKGROUND_PX, BLOCK_PX = 4, 9


class SgbmTeacher(teachers.SgbmTeacher):
    """OpenCV's matcher, fitted to small pictures; `calls` counts how often it was asked."""

    def __init__(self, version: str = "a"):
        super().__init__(SGBM(max_disparity_px=16, speckle_px=0))
        self.hash, self.calls = version, 0

    def match_both(self, left: np.ndarray, right: np.ndarray, name: str = "") -> tuple[Match, Match]:
        self.calls += 1
        return super().match_both(left, right)


def random_dots(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A block in front of a wall, both of random dots: left, right (H, W, 3) uint8 and the left disparity (H, W)."""
    rng = np.random.default_rng(seed)
    wall, block = (rng.integers(0, 256, (HEIGHT, WIDTH + 32), dtype=np.uint8) for _ in range(2))
    wall, block = cv2.GaussianBlur(wall, (3, 3), 0.8), cv2.GaussianBlur(block, (3, 3), 0.8)
    top, left_edge = int(rng.integers(5, 12)), int(rng.integers(40, 60))
    truth = np.full((HEIGHT, WIDTH), BACKGROUND_PX, np.float32)
    truth[top : top + 20, left_edge : left_edge + 30] = BLOCK_PX
    views = []
    for shift in (0, 1):
        view = wall[:, BACKGROUND_PX * shift :][:, :WIDTH].copy()
        window = slice(top, top + 20), slice(left_edge - BLOCK_PX * shift, left_edge - BLOCK_PX * shift + 30)
        view[window] = block[top : top + 20, :30]
        views.append(np.repeat(view[..., None], 3, axis=2))
    return views[0], views[1], truth


def _write_pairs(root: Path, num: int = NUM, seed: int = 0) -> Path:
    for side in ("left", "right"):
        (root / side).mkdir(parents=True)
    for index in range(num):
        left, right, _ = random_dots(seed + index)
        cv2.imwrite(str(root / "left" / f"{index:03d}.png"), left)
        cv2.imwrite(str(root / "right" / f"{index:03d}.png"), right)
    (root / "rig.json").write_text(json.dumps({"focal_px": 100.0, "baseline_m": 0.5, "width": WIDTH}))
    return root


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return _write_pairs(tmp_path / "pairs")


def _tree(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


class InMemory:
    """Pairs that come from no file, like frames of a video."""

    def __init__(self, names: tuple[str, ...] = ("clip_000000", "clip_000001")):
        self.names = list(names)

    def __len__(self) -> int:
        return len(self.names)

    def load(self, index: int) -> StereoPair:
        images = [torch.from_numpy(v.transpose(2, 0, 1).copy()).float() / 255 for v in random_dots(index)[:2]]
        left, right = (View.unlabelled(image) for image in images)
        return StereoPair(left=left, right=right, rig=Rig.unknown(WIDTH), name=self.names[index])


@pytest.fixture(scope="session")
def sgbm():
    """The class `SgbmTeacher`."""
    return SgbmTeacher


@pytest.fixture(scope="session")
def tree():
    """tree(folder) -> {path in it: content}."""
    return _tree


@pytest.fixture(scope="session")
def dots():
    """dots(seed) -> (left, right, left disparity)."""
    return random_dots


@pytest.fixture(scope="session")
def write_pairs():
    """write_pairs(folder, num, seed) -> the folder."""
    return _write_pairs


@pytest.fixture(scope="session")
def in_memory():
    """The class `InMemory`."""
    return InMemory
