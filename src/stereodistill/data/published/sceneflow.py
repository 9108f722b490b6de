"""Scene Flow (Mayer et al. 2016): FlyingThings3D, Monkaa and Driving, 960 x 540, disparity of both views.

Two folder conventions are understood.  The archives as they unpack, each subset in a folder of its own or all in
one: `FlyingThings3D/frames_finalpass/TRAIN/A/0000/left/0006.png` with `FlyingThings3D/disparity/...pfm`, or under
the archive's name (`flyingthings3d__frames_finalpass/`, `driving__disparity/`).  And the flattened one, in which
Monkaa and Driving lie in TRAIN: `RGB_finalpass/TRAIN/a_rain_of_stones_x2/left/0000.png`, `disparity/TRAIN/...`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stereodistill.data.published.listed import Entry, ListedPairs, Map
from stereodistill.data.windows import window_of_truth
from stereodistill.io.disparity import positive_disparity, read_disparity_pfm
from stereodistill.io.images import Window
from stereodistill.types import Rig

FOCAL_PX = 1050.0
FOCAL_15MM_PX = 450.0
"""Driving's `15mm_focallength` scenes; everything else was rendered with 35 mm."""
WIDTH = 960
BASELINE = 1.0
"""In the data set's own unit, which is no metre: depth from this rig is in that unit, too."""

# Which sequences exist: letter -> (how many numbers, numbers left out).  Each holds frames 6 to 15.
_FLYING_TRAIN = {"A": (750, {18, 132, 653, 676}), "B": (750, {18, 172, 316, 400}), "C": (750, {398, 419, 651})}
_FLYING_TEST = {
    "A": (150, {4, 72, 84, 96, 139, 142}),
    "B": (150, {31, 115, 132}),
    "C": (150, {18, 43, 74, 142}),
}
# Scenes of Monkaa -> number of frames, from 0.
_MONKAA = {
    **dict.fromkeys(("eating_x2", "top_view_x2"), 91),
    **dict.fromkeys(("a_rain_of_stones_x2", "flower_storm_x2"), 126),
    **dict.fromkeys(("flower_storm_augmented0_x2", "flower_storm_augmented1_x2"), 126),
    **dict.fromkeys(("eating_camera2_x2", "eating_naked_camera2_x2"), 151),
    "family_x2": 161,
    **dict.fromkeys(("funnyworld_x2", "funnyworld_augmented0_x2", "funnyworld_augmented1_x2"), 501),
    **dict.fromkeys(("funnyworld_camera2_x2", "funnyworld_camera2_augmented0_x2"), 501),
    **dict.fromkeys(("funnyworld_camera2_augmented1_x2", "lonetree_x2", "lonetree_winter_x2"), 501),
    **dict.fromkeys(("lonetree_augmented0_x2", "lonetree_augmented1_x2"), 501),
    **dict.fromkeys(("lonetree_difftex_x2", "lonetree_difftex2_x2"), 501),
    **dict.fromkeys(("treeflight_x2", "treeflight_augmented0_x2", "treeflight_augmented1_x2"), 501),
}
# Speeds of Driving -> number of frames, from 1.
_DRIVING = {"fast": 300, "slow": 800}

_PARTS = {
    "train": ("flyingthings_train", "monkaa", "driving"),
    "test": ("flyingthings_test",),
    "flyingthings_train": ("flyingthings_train",),
    "monkaa": ("monkaa",),
    "driving": ("driving",),
}
_COUNTS = {"train": 35454, "test": 4370, "flyingthings_train": 22390, "monkaa": 8664, "driving": 4400}
_TITLES = {"train": "FlyingThings3D TRAIN, Monkaa and Driving", "test": "FlyingThings3D TEST"}
_SUBSETS = {"flyingthings": "FlyingThings3D", "monkaa": "Monkaa", "driving": "Driving"}


class SceneFlow(ListedPairs):
    """Rendered pairs; the rig is metric in the data set's own unit only (`BASELINE`)."""

    name = "sceneflow"
    splits = {
        f"{part}{suffix}": f"{_TITLES.get(part, part)}, {title}, {_COUNTS[part]} pairs"
        for suffix, title in (("", "finalpass"), ("_cleanpass", "cleanpass"))
        for part in _PARTS
    }

    def list_entries(self) -> Iterator[Entry]:
        """Sequence by sequence, FlyingThings3D first."""
        part, clean = self.split.removesuffix("_cleanpass"), self.split.endswith("_cleanpass")
        for subset in _PARTS[part]:
            photos, truths = _folders(self.root, subset, "cleanpass" if clean else "finalpass")
            for sequence, frames in _sequences(subset):
                yield from _entries(sequence, frames, _inside(photos, sequence), _inside(truths, sequence))

    def read_truth(self, entry: Entry, *, right: bool) -> Map:
        """Disparity in pixels; some releases store it with a minus sign, which is dropped."""
        return _unsigned(read_disparity_pfm(_truth_path(entry, right)))

    def read_truth_window(self, entry: Entry, window: Window, size: tuple[int, int], *, right: bool) -> Map:
        """As `read_truth`, reading only the window's rows."""
        choose = window_of_truth(window, size, entry.name)
        return _unsigned(read_disparity_pfm(_truth_path(entry, right), choose))

    def read_rig(self, entry: Entry, size: tuple[int, int]) -> Rig:
        """1050 px (450 px for Driving's 15 mm scenes) at a width of 960."""
        focal_px = FOCAL_15MM_PX if "15mm_focallength" in entry.name else FOCAL_PX
        return Rig(focal_px=focal_px, baseline_m=BASELINE, width=WIDTH).at_width(size[1])


def _truth_path(entry: Entry, right: bool) -> Path:
    path = entry.disparity_right if right else entry.disparity
    assert path is not None
    return path


def _unsigned(values: np.ndarray) -> Map:
    is_negated = np.count_nonzero(values < 0) > np.count_nonzero(values > 0)
    return positive_disparity(-values if is_negated else values)


def _sequences(subset: str) -> Iterator[tuple[str, range]]:
    """(sequence in the flattened convention, frame numbers)."""
    if subset.startswith("flyingthings"):
        half = "TRAIN" if subset.endswith("train") else "TEST"
        for letter, (num, absent) in (_FLYING_TRAIN if half == "TRAIN" else _FLYING_TEST).items():
            for sequence in sorted(set(range(num)) - absent):
                yield f"{half}/{letter}/{sequence:04d}", range(6, 16)
    elif subset == "monkaa":
        for scene in sorted(_MONKAA):
            yield f"TRAIN/{scene}", range(_MONKAA[scene])
    else:
        for focal in ("15mm_focallength", "35mm_focallength"):
            for way in ("scene_backwards", "scene_forwards"):
                for speed, num in _DRIVING.items():
                    yield f"TRAIN/{focal}/{way}/{speed}", range(1, num + 1)


def _entries(sequence: str, frames: range, photos: Path, truths: Path) -> Iterator[Entry]:
    left, right = photos / "left", photos / "right"
    truth_left, truth_right = truths / "left", truths / "right"
    for frame in frames:
        photo, truth = f"{frame:04d}.png", f"{frame:04d}.pfm"
        yield Entry(
            name=f"{sequence}/{frame:04d}",
            left=left / photo,
            right=right / photo,
            disparity=truth_left / truth,
            disparity_right=truth_right / truth,
        )


def _inside(place: tuple[Path, bool], sequence: str) -> Path:
    folder, is_flat = place
    return folder / (sequence if is_flat else sequence.removeprefix("TRAIN/"))


def _folders(root: Path, subset: str, render: str) -> tuple[tuple[Path, bool], tuple[Path, bool]]:
    """Where photos and disparity of a subset lie, and whether Monkaa and Driving are inside a TRAIN folder there."""
    title = _SUBSETS[subset.split("_")[0]]
    archive = title.lower()
    photos = [f"{archive}{joint}frames_{render}{kind}" for joint in ("__", "_") for kind in ("", "_webp")]
    truths = [f"{archive}{joint}disparity" for joint in ("__", "_")]
    return (
        _first(root, title, subset, [f"frames_{render}", f"frames_{render}_webp"], photos, f"RGB_{render}"),
        _first(root, title, subset, ["disparity"], truths, "disparity"),
    )


def _first(root: Path, title: str, subset: str, inner: list[str], archives: list[str], flat: str) -> tuple[Path, bool]:
    """The first candidate that holds a sequence of the subset; else where the archives put it."""
    tops = sorted({"/".join(sequence.split("/")[:2]) for sequence, _ in _sequences(subset)})
    original = [base / name for base in (root / title, root / title.lower(), root) for name in inner]
    original += [root / name / last for name in archives for last in (*inner, "")]
    original += [root / title / name / last for name in archives for last in (*inner, "")]
    is_flying = subset.startswith("flyingthings")
    candidates = [(root / flat, True), *((folder, is_flying) for folder in original)]
    for folder, is_flat in candidates:
        if any(_inside((folder, is_flat), top).is_dir() for top in tops):
            return folder, is_flat
    return root / title / inner[0], is_flying
