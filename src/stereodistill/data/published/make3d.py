"""Make3D (Saxena et al. 2009): single photos of 2272 x 1704 (height x width) and a laser scan of 55 x 305 depths.

Test: `Test134/img-*.jpg` (or `Test134Img/`) with `Gridlaserdata/depth_sph_corr-*.mat` (or `Test134Depth/` and the
two together); training: `Train400Img/img-*.jpg` with `Train400Depth/depth_sph_corr-*.mat`.
Which photos belong to a split is told by the disk: the archives hold nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from stereodistill.data.dataset import Size
from stereodistill.data.published.listed import Entry, ListedPairs, Map
from stereodistill.errors import UserError
from stereodistill.io.images import image_size, read_image
from stereodistill.io.mat import read_mat
from stereodistill.types import Rig

CROP_RATIO = 2
"""Width : height of the central rows that Godard et al. 2017 (and everybody since) evaluate on."""
DEPTH_CHANNEL = 3
"""Of `Position3DGrid` (55, 305, 4): y, x, z of the point, and its distance in metres."""

_PHOTOS = {"test": ("Test134", "Test134Img"), "train": ("Train400Img", "Train400")}
_DEPTHS = {
    "test": ("Gridlaserdata", "Test134Depth/Gridlaserdata", "Test134Depth"),
    "train": ("Train400Depth", "Train400Depth/Gridlaserdata"),
}
_WHOLE = "_whole"


class Make3D(ListedPairs):
    """Photos (no second view) with `depth`; cropped to the central rows unless the split ends in `_whole`."""

    name = "make3d"
    splits = {
        "test": "134 photos, central crop of ratio 1:2",
        "train": "400 photos, central crop of ratio 1:2",
        "test_whole": "134 photos, uncropped",
        "train_whole": "400 photos, uncropped",
    }
    images_are_files = False
    depth_from = "laser"
    published: ClassVar[dict[str, int]] = {"test": 134, "train": 400}
    """How many photos the archives hold."""

    def list_entries(self) -> Iterator[Entry]:
        """The photos below the root, alphabetically."""
        part = self.split.removesuffix(_WHOLE)
        photos, depths = _folder(self.root, _PHOTOS[part]), _folder(self.root, _DEPTHS[part])
        paths = sorted(photos.glob("img-*.jpg"))
        if not paths:
            raise UserError(
                f"{self.root}: nothing of {self.title} there; expected {_PHOTOS[part][0]}/img-*.jpg and "
                f"{_DEPTHS[part][0]}/depth_sph_corr-*.mat"
            )
        for path in paths:
            name = path.stem.removeprefix("img-")
            yield Entry(name=name, left=path, depth=depths / f"depth_sph_corr-{name}.mat")

    @property
    def total(self) -> int:
        """134 or 400, however many are on disk."""
        return max(self.published[self.split.removesuffix(_WHOLE)], len(self._all))

    def missing(self) -> list[tuple[str, Path]]:
        """Depth files without which a photo is useless; photos that the archives hold and the disk does not."""
        absent = self.total - len(self._all)
        lacking = [(f"{absent} photos", self._all[0].left.parent)] if absent else []
        return [*super().missing(), *lacking]

    def read_view(self, path: Path) -> np.ndarray:
        """The photo's central rows: float32 (width / 2, width, 3)."""
        image = read_image(path)
        rows = round(image.shape[1] / CROP_RATIO)
        return self._central(image, rows)

    def view_size(self, path: Path) -> Size:
        """(height, width) of the central rows."""
        height, width = image_size(path)
        rows = self._central_rows(height, round(width / CROP_RATIO))
        return rows.stop - rows.start, width

    def read_rig(self, entry: Entry, size: tuple[int, int]) -> Rig:
        """One camera of which no calibration was published: unknown."""
        return Rig.unknown(size[1])

    def depth(self, index: int) -> Map:
        """Metres (21, 305) of the rows that the crop keeps ((55, 305) uncropped), and where they are known.

        Raises:
            UserError: the file is absent, damaged, or holds no `Position3DGrid`.
        """
        path = self.entry(index).depth
        assert path is not None
        grid = read_mat(path, "Position3DGrid")
        if grid.ndim != 3 or grid.shape[2] <= DEPTH_CHANNEL:
            raise UserError(f"{path}: Position3DGrid must be (rows, columns, 4), found {grid.shape}")
        # The scan covers the whole height of a 4:3 photo: the crop keeps 3/8 of its rows, 55 -> 21.
        rows = round(grid.shape[0] * 3 / (4 * CROP_RATIO))
        depth_m = self._central(grid[:, :, DEPTH_CHANNEL], rows).astype(np.float32)
        valid = np.isfinite(depth_m) & (depth_m > 0)
        return np.where(valid, depth_m, np.float32(0)), valid

    def _central(self, array: np.ndarray, rows: int) -> np.ndarray:
        return array[self._central_rows(array.shape[0], rows)]

    def _central_rows(self, height: int, rows: int) -> slice:
        if self.split.endswith(_WHOLE) or rows >= height:
            return slice(0, height)
        return slice((height - rows) // 2, (height + rows) // 2)


def _folder(root: Path, names: tuple[str, ...]) -> Path:
    return next((root / name for name in names if (root / name).is_dir()), root / names[0])
