"""Middlebury stereo (Scharstein et al. 2001 to 2021): one split for each of its folder layouts.

| split | files of a scene | stored disparity |
|---|---|---|
| 2001, 2003 | `im2.ppm im6.ppm disp2.pgm disp6.pgm` (tsukuba: `scene1.row3.col3.ppm ...col4.ppm truedisp.row3.col3.pgm`) | x 8, x 4 at 450 px width |
| 2005, 2006 | `view1.png view5.png disp1.png disp5.png dmin.txt` | x 1, 2, 3 in full, half, third size |
| 2014, 2021 | `im0.png im1.png disp0.pfm disp1.pfm calib.txt` | pixels |
| eval3 | `im0.png im1.png disp0GT.pfm disp1GT.pfm mask0nocc.png calib.txt` (MiddEval3) | pixels |
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stereodistill.data.published.eth3d import masked_truth
from stereodistill.data.published.listed import Entry, ListedPairs, Map
from stereodistill.data.published.middlebury_scenes import SCENES, Layout, layout_of, scene_folder
from stereodistill.data.rigs import Calibration, rig_at
from stereodistill.errors import UserError
from stereodistill.io.disparity import positive_disparity
from stereodistill.io.files import read_text
from stereodistill.io.images import read_samples
from stereodistill.types import Rig

FOCAL_2005_PX, BASELINE_2005_M = 3740.0, 0.160
"""2005 and 2006, in full size."""
FULL_HEIGHT_2005, FULL_WIDTH_2003 = 1110, 1800
TSUKUBA_UNITS_PER_PX = 16


class Middlebury(ListedPairs):
    """Indoor scenes; 0 and infinity are unknown."""

    name = "middlebury"
    splits = {
        "2014": "23 scenes with ground truth (perfect rectification, else imperfect)",
        "2021": "24 scenes",
        "2006": "21 scenes",
        "2005": "6 scenes",
        "2003": "cones and teddy",
        "2001": "8 scenes",
        "eval3": "the 15 training scenes of the benchmark (MiddEval3), every known pixel",
        "eval3_nocc": "the same, only pixels that both cameras see",
        "eval3_test": "the 15 test scenes of the benchmark, ground truth kept by it",
    }

    def list_entries(self) -> Iterator[Entry]:
        """Scene by scene, in the order of the publication."""
        for scene in SCENES[self.split].split():
            folder = scene_folder(self.root, self.split, scene)
            layout = layout_of(self.split, scene, folder)
            yield self._entry(scene, folder, layout)

    def _entry(self, scene: str, folder: Path, layout: Layout) -> Entry:
        left, right, truth, truth_right, calibration, *also = (folder / name if name else None for name in layout)
        assert left is not None
        return Entry(
            name=scene,
            left=left,
            right=right,
            disparity=truth,
            disparity_right=truth_right,
            calibration=Calibration(calibration) if calibration is not None else None,
            also=tuple(path for path in also if path is not None),
        )

    def read_truth(self, entry: Entry, *, right: bool) -> Map | None:
        """Pixels of the photo's own width."""
        path = entry.disparity_right if right else entry.disparity
        if path is None:
            return None
        if path.suffix == ".pfm":
            # The benchmark gives no mask of the right view: unknown there.
            if right and self.split == "eval3_nocc":
                return None
            return masked_truth(path, entry.also[0] if self.split == "eval3_nocc" else None)
        stored = read_samples(path)
        if stored.ndim != 2:
            raise UserError(f"{path}: a Middlebury disparity is a grey picture, found colour")
        return positive_disparity(stored.astype(np.float32) / self._units_per_px(entry, stored.shape))

    def read_rig(self, entry: Entry, size: tuple[int, int]) -> Rig:
        """calib.txt with its offset of the principal points; 2005 and 2006: 3740 px, 160 mm and dmin.txt."""
        if self.split not in ("2005", "2006"):
            return rig_at(entry.calibration, size)
        scale = _shrunk(FULL_HEIGHT_2005, size[0])
        offset_px = _read_number(entry.also[0]) / scale
        return Rig(focal_px=FOCAL_2005_PX / scale, baseline_m=BASELINE_2005_M, width=size[1], doffs_px=offset_px)

    def _units_per_px(self, entry: Entry, size: tuple[int, ...]) -> int:
        if self.split in ("2005", "2006"):
            return _shrunk(FULL_HEIGHT_2005, size[0])
        if self.split == "2003":
            return _shrunk(FULL_WIDTH_2003, size[1])
        return TSUKUBA_UNITS_PER_PX if entry.name == "tsukuba" else 8


def _shrunk(full: int, size: int) -> int:
    """How many times smaller than in full size; the stored disparity is multiplied by just that."""
    return max(1, round(full / size))


def _read_number(path: Path) -> float:
    try:
        return float(read_text(path))
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: expected one number, the smallest disparity") from None
