"""KITTI Stereo 2012 (Geiger et al. 2012) and 2015 (Menze and Geiger 2015).

```
ROOT/training/image_2/000000_10.png, image_3   (2015; 2012: colored_0 + colored_1, or image_0 + image_1, grey)
ROOT/training/disp_occ_0, disp_noc_0           (2012: disp_occ, disp_noc)
ROOT/training/obj_map                          (2015)
ROOT/training/calib_cam_to_cam/000000.txt      (2012: calib/000000.txt)
```
ROOT may be the folder `training` itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from stereodistill.data.published.listed import Entry, ListedPairs
from stereodistill.data.rigs import own_calibration, shared_calibration
from stereodistill.errors import UserError
from stereodistill.io.disparity import read_disparity
from stereodistill.io.images import read_samples

_NUM_FRAMES = {"2015": (200, 200), "2012": (194, 195)}
"""Year -> how many frames training and testing have."""
_VIEWS = {
    "2015": (("image_2", "image_3", (2, 3)),),
    "2012": (("colored_0", "colored_1", (2, 3)), ("image_0", "image_1", (0, 1))),
}
_TRUTH = {"2015": "disp_{kind}_0", "2012": "disp_{kind}"}


class KittiStereo(ListedPairs):
    """Ground truth of the left view: `2015` and `2012` with occluded pixels, `..._noc` without."""

    name: ClassVar[str] = "kitti_stereo"
    splits = {
        "2015": "200 training pairs, ground truth at all pixels (disp_occ_0)",
        "2015_noc": "the same, not occluded pixels only (disp_noc_0)",
        "2015_test": "200 pairs without ground truth",
        "2012": "194 training pairs, ground truth at all pixels (disp_occ); colour where there is, else grey",
        "2012_noc": "the same, not occluded pixels only (disp_noc)",
        "2012_test": "195 pairs without ground truth",
    }

    def list_entries(self) -> Iterable[Entry]:
        """The frames NNNNNN_10 of the year."""
        year, _, kind = self.split.partition("_")
        testing = kind == "test"
        folder = self.root / ("testing" if testing else "training")
        folder = folder if folder.is_dir() else self.root
        left, right, cameras = next((views for views in _VIEWS[year] if (folder / views[0]).is_dir()), _VIEWS[year][0])
        truth = None if testing else folder / _TRUTH[year].format(kind=kind or "occ")
        shared = shared_calibration(folder, self.root, cameras)
        for number in range(_NUM_FRAMES[year][testing]):
            file = f"{number:06d}_10.png"
            yield Entry(
                name=f"{number:06d}_10",
                left=folder / left / file,
                right=folder / right / file,
                disparity=None if truth is None else truth / file,
                calibration=own_calibration(folder, f"{number:06d}_10", cameras) or shared,
            )

    def visible(self, index: int) -> np.ndarray:
        """True where ground truth is known and the right camera sees the point (`disp_noc`): bool (H, W).

        Raises:
            UserError: there is no such file.
        """
        left, year = self._entries[index].left, self.split[:4]
        return read_disparity(left.parents[1] / _TRUTH[year].format(kind="noc") / left.name)[1]

    def foreground(self, index: int) -> np.ndarray:
        """True on moving cars (2015's `obj_map`): bool (H, W) at the size of the left image.

        Raises:
            UserError: there is no such map (2012 has none).
        """
        entry = self._entries[index]
        path = entry.left.parents[1] / "obj_map" / entry.left.name
        if not path.is_file():
            raise UserError(f"{self.title}: no foreground map {path}; KITTI 2015's training data have obj_map/")
        labels = read_samples(path)
        return (labels if labels.ndim == 2 else labels[..., 0]) > 0
