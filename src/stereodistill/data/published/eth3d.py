"""ETH3D two-view (Schöps et al. 2017): grey pairs indoors and outdoors, 27 with ground truth.

`SCENE/im0.png im1.png calib.txt` and, with the training archives, `disp0GT.pfm mask0nocc.png`; the scenes lie in the
root, in `two_view_training/` (ground truth beside them or in `two_view_training_gt/`) or in `two_view_test/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stereodistill.data.published.listed import Entry, ListedPairs, Map
from stereodistill.data.rigs import Calibration
from stereodistill.errors import UserError
from stereodistill.io.disparity import positive_disparity, read_disparity_pfm
from stereodistill.io.images import read_samples

_TRAIN = (
    "delivery_area_1l delivery_area_1s delivery_area_2l delivery_area_2s delivery_area_3l delivery_area_3s "
    "electro_1l electro_1s electro_2l electro_2s electro_3l electro_3s facade_1s forest_1s forest_2s "
    "playground_1l playground_1s playground_2l playground_2s playground_3l playground_3s "
    "terrace_1s terrace_2s terrains_1l terrains_1s terrains_2l terrains_2s"
)
_TEST = (
    "lakeside_1l lakeside_1s sand_box_1l sand_box_1s storage_room_1l storage_room_1s storage_room_2_1l "
    "storage_room_2_1s storage_room_2_2l storage_room_2_2s storage_room_2l storage_room_2s storage_room_3l "
    "storage_room_3s tunnel_1l tunnel_1s tunnel_2l tunnel_2s tunnel_3l tunnel_3s"
)
NOT_OCCLUDED = 255
"""In `mask0nocc.png` of ETH3D and Middlebury: seen by both cameras (128: by the left one only, 0: unknown)."""


class Eth3D(ListedPairs):
    """Two-view benchmark; infinite disparity is unknown."""

    name = "eth3d"
    splits = {
        "train": "27 pairs with ground truth, every known pixel",
        "train_nocc": "the same, only pixels that both cameras see",
        "test": "20 pairs, ground truth kept by the benchmark",
    }

    def list_entries(self) -> Iterator[Entry]:
        """Scene by scene, alphabetically."""
        half = "training" if self.split != "test" else "test"
        photos = _folder(self.root, half)
        apart = self.root / "two_view_training_gt"
        truths = apart if apart.is_dir() else photos
        for scene in (_TEST if half == "test" else _TRAIN).split():
            folder, truth = photos / scene, truths / scene
            mask = (truth / "mask0nocc.png",) if self.split == "train_nocc" else ()
            yield Entry(
                name=scene,
                left=folder / "im0.png",
                right=folder / "im1.png",
                disparity=truth / "disp0GT.pfm" if half == "training" else None,
                calibration=Calibration(folder / "calib.txt"),
                also=mask,
            )

    def read_truth(self, entry: Entry, *, right: bool) -> Map | None:
        """Pixels; with `train_nocc` only where the mask says that both cameras see the point."""
        if right or entry.disparity is None:
            return None
        return masked_truth(entry.disparity, entry.also[0] if self.split == "train_nocc" else None)


def masked_truth(path: Path, mask: Path | None) -> Map:
    """Disparity of a PFM that marks unknown by infinity, where the mask (if any) says `NOT_OCCLUDED`."""
    values = read_disparity_pfm(path)
    if mask is not None:
        seen = read_samples(mask)
        if seen.shape != values.shape:
            found, expected = (f"{shape[1]}x{shape[0]}" for shape in (seen.shape, values.shape))
            raise UserError(f"{mask}: a mask must be grey and have the size of {path.name}, {expected}, found {found}")
        values = np.where(seen == NOT_OCCLUDED, values, np.float32(0))
    return positive_disparity(values)


def _folder(root: Path, half: str) -> Path:
    inside = (root / f"two_view_{half}", root / half)
    return next((folder for folder in inside if folder.is_dir()), root)
