"""Cityscapes (Cordts et al. 2016): 2048 x 1024 street pairs, SGM disparity, one rig per city and day.

`leftImg8bit/SPLIT/CITY/CITY_SSSSSS_FFFFFF_leftImg8bit.png` and `rightImg8bit/...`, and where they were downloaded
`camera/.../*_camera.json` and `disparity/.../*_disparity.png` (16 bit: 0 = unknown, else 1 + 256 * pixels).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stereodistill.data.dataset import Size
from stereodistill.data.published.listed import Entry, ListedPairs, Map
from stereodistill.data.published.split_lists import expand_ranges, read_split
from stereodistill.data.windows import window_of_truth
from stereodistill.errors import UserError
from stereodistill.io.disparity import positive_disparity
from stereodistill.io.files import read_text
from stereodistill.io.images import (
    ChooseWindow,
    Window,
    image_size,
    read_image,
    read_image_window,
    read_samples,
    read_samples_window,
)
from stereodistill.io.rig_rules import checked_rig
from stereodistill.types import Rig

FULL_WIDTH = 2048
KEPT_ROWS = (4, 5)
"""The upper 4/5 of the picture stay: below lies the hood of the car (Godard et al. 2017, Guo et al. 2018)."""

_PARTS = {
    "train": (("train", "train_extra"), "fine and extra training frames, 22973"),
    "val": (("val",), "500"),
    "test": (("test",), "1525"),
    "train_fine": (("train",), "2975"),
    "train_extra": (("train_extra",), "19998"),
}
_KINDS = ("leftImg8bit", "rightImg8bit", "disparity", "camera")
_HOOD = "_hood"


class Cityscapes(ListedPairs):
    """Pictures, disparity and masks without the car's hood; the splits that end in `_hood` keep it."""

    name = "cityscapes"
    splits = {
        **{part: f"{text}, hood cropped" for part, (_, text) in _PARTS.items()},
        **{part + _HOOD: f"{text}, whole pictures" for part, (_, text) in _PARTS.items()},
    }
    images_are_files = False

    def list_entries(self) -> Iterator[Entry]:
        """City by city; calibration and disparity belong to a frame where their folder exists."""
        parts, _ = _PARTS[self.split.removesuffix(_HOOD)]
        for line in read_split("cityscapes"):
            place, *tokens = line.split()
            half, city = place.split("/")
            if half not in parts:
                continue
            has_camera, has_truth = ((self.root / kind / half).is_dir() for kind in ("camera", "disparity"))
            left, right, truth, camera = (self.root / kind / place for kind in _KINDS)
            for stem in _stems(city, tokens):
                yield Entry(
                    name=f"{place}/{stem}",
                    left=left / f"{stem}_leftImg8bit.png",
                    right=right / f"{stem}_rightImg8bit.png",
                    disparity=truth / f"{stem}_disparity.png" if has_truth else None,
                    also=(camera / f"{stem}_camera.json",) if has_camera else (),
                )

    def read_view(self, path: Path) -> np.ndarray:
        """The picture above the hood: float32 (4/5 of its height, width, 3)."""
        image = read_image(path)
        return image[: self._rows_above_hood(image.shape[0])]

    def view_size(self, path: Path) -> Size:
        """(height, width) of the picture above the hood."""
        height, width = image_size(path)
        return self._rows_above_hood(height), width

    def read_view_window(self, path: Path, choose: ChooseWindow) -> tuple[np.ndarray, tuple[int, int]]:
        """As everywhere; nothing below the window is decoded, and the hood never."""
        kept: list[tuple[int, int]] = []

        def above_hood(size: tuple[int, int]) -> Window:
            kept.append((self._rows_above_hood(size[0]), size[1]))
            return choose(kept[0])

        image, _ = read_image_window(path, above_hood)
        return image, kept[0]

    def read_truth(self, entry: Entry, *, right: bool) -> Map | None:
        """Stored p means (p - 1) / 256 pixels; 0 is unknown, and so is 1 (no disparity at all: no finite depth)."""
        if right or entry.disparity is None:
            return None
        stored = read_samples(entry.disparity)
        return _disparity(entry.disparity, stored[: self._rows_above_hood(stored.shape[0])])

    def read_truth_window(self, entry: Entry, window: Window, size: tuple[int, int], *, right: bool) -> Map | None:
        """As `read_truth`, decoding nothing below the window."""
        path = entry.disparity
        if right or path is None:
            return None

        choose = window_of_truth(window, size, entry.name)
        stored, _, _ = read_samples_window(path, lambda found: choose((self._rows_above_hood(found[0]), found[1])))
        return _disparity(path, stored)

    def read_rig(self, entry: Entry, size: tuple[int, int]) -> Rig:
        """The frame's own `camera.json`; unknown where the camera files were not downloaded."""
        return _read_camera(entry.also[0]).at_width(size[1]) if entry.also else Rig.unknown(size[1])

    def _rows_above_hood(self, height: int) -> int:
        kept, of = KEPT_ROWS
        return height if self.split.endswith(_HOOD) else height * kept // of


def _disparity(path: Path, stored: np.ndarray) -> Map:
    if stored.dtype != np.uint16 or stored.ndim != 2:
        raise UserError(f"{path}: a Cityscapes disparity is a 16-bit grey PNG, this is another file")
    return positive_disparity((stored.astype(np.float32) - 1) / 256)


def _stems(city: str, tokens: list[str]) -> Iterator[str]:
    """`SEQUENCES:FRAMES` tokens as `CITY_SSSSSS_FFFFFF`, in order."""
    frames = []
    for token in tokens:
        sequences, _, numbers = token.partition(":")
        frames += [(s, f) for s in expand_ranges(sequences) for f in expand_ranges(numbers)]
    yield from (f"{city}_{sequence:06d}_{frame:06d}" for sequence, frame in sorted(frames))


def _read_camera(path: Path) -> Rig:
    """`intrinsic.fx` in pixels of the full width, `extrinsic.baseline` in metres."""
    try:
        camera = json.loads(read_text(path))
        focal_px, baseline_m = float(camera["intrinsic"]["fx"]), float(camera["extrinsic"]["baseline"])
    except (ValueError, LookupError, TypeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"{path}: expected a Cityscapes camera file with intrinsic.fx and extrinsic.baseline ({error!r})"
        ) from None
    return checked_rig(path, focal_px=focal_px, baseline_m=baseline_m, width=FULL_WIDTH)
