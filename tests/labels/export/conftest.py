"""A labels folder whose numbers are known: twelve pairs of two rigs, in two folders, with holes and doubts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from stereodistill.io.calibration import write_rig
from stereodistill.io.images import write_image
from stereodistill.labels.files import LabelsHeader, write_label
from stereodistill.types import Rig

NAMES = tuple(f"{folder}/{frame:06d}" for folder in ("a", "b") for frame in range(6))
RIGS = {
    "a": Rig(focal_px=100.0, baseline_m=0.5, width=48),
    "b": Rig(focal_px=140.0, baseline_m=0.25, width=64, doffs_px=3.0),
}
SIZES = {"a": (20, 48), "b": (24, 64)}
PHOTO = {"a": ".png", "b": ".pgm"}
DOUBTFUL = 0.2


@dataclass(frozen=True)
class Labels:
    """The folder, and what its labels say in metres, computed here: 0 where unknown."""

    root: Path
    depth_m: dict[tuple[str, str], np.ndarray]
    doubtful: np.ndarray

    def depth(self, name: str, view: str = "left") -> np.ndarray:
        return self.depth_m[name, view]


def _disparity(index: int, view: str, size: tuple[int, int]) -> np.ndarray:
    """Steps of 1/256 px, so that a PNG holds it exactly; the first rows are unknown, a corner is very far."""
    height, width = size
    ramp = 2 + index + np.arange(width, dtype=np.float64)[None] * (8 if view == "left" else 9) / 256
    disparity = np.repeat(ramp, height, axis=0)
    disparity[:3] = 0
    disparity[-2:, :5] = 1 / 256
    return disparity


def _write(root: Path, *, names: tuple[str, ...] = NAMES, with_rig: bool = True) -> Labels:
    depth_m = {}
    for index, name in enumerate(names):
        folder = "b" if name.startswith("b/") else "a"
        rig, (height, width) = RIGS[folder], SIZES[folder]
        confidence = np.full((height, width), 1.0)
        confidence[:, : width // 4] = DOUBTFUL
        for view in ("left", "right"):
            disparity = _disparity(index, view, (height, width))
            shifted = disparity + rig.doffs_px
            metres = rig.focal_px * rig.baseline_m / np.where(disparity > 0, shifted, 1)
            depth_m[name, view] = np.where(disparity > 0, metres, 0)
            grey = np.full((height, width), 10 * index + (view == "right"), np.uint8)
            write_image(root / view / f"{name}{PHOTO[folder]}", grey)
            write_label(root, name, view, disparity.astype(np.float32), confidence.astype(np.float32))
        if with_rig:
            write_rig(root / "rig" / f"{name}.json", rig)
    header = LabelsHeader(teacher="test", teacher_hash="0123", num_pairs=len(names), num_labelled=len(names))
    header.write(root)
    return Labels(root, depth_m, np.arange(48) < 12)


@pytest.fixture(scope="session")
def labels(tmp_path_factory) -> Labels:
    return _write(tmp_path_factory.mktemp("made") / "labels")


@pytest.fixture(scope="session")
def write_labels():
    """write_labels(folder, names=..., with_rig=...) -> `Labels`."""
    return _write
