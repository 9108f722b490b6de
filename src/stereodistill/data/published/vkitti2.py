"""Virtual KITTI 2 (Cabon et al. 2020): five rendered streets, ten variations of light, weather and direction.

```
ROOT/Scene01/clone/frames/rgb/Camera_0/rgb_00000.jpg, Camera_1   (the archives' own folders vkitti_2.0.3_rgb and
ROOT/Scene01/clone/frames/depth/Camera_0/depth_00000.png          vkitti_2.0.3_depth may lie between)
```
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from stereodistill.data.published.listed import Entry, ListedPairs, Map
from stereodistill.errors import UserError
from stereodistill.io.files import shown
from stereodistill.io.images import read_samples
from stereodistill.ops.geometry import depth_to_disparity
from stereodistill.types import Rig

RIG = Rig(focal_px=725.0087, baseline_m=0.532725, width=1242)
"""Of every scene (its `intrinsic.txt` and the distance of the two cameras in `extrinsic.txt`)."""
UNITS_PER_M = 100
SKY = 65535
"""Stored where nothing nearer than 655.35 m was hit."""

_FRAMES = {"Scene01": 447, "Scene02": 233, "Scene06": 270, "Scene18": 339, "Scene20": 837}
_VARIATIONS = (
    "clone", "15-deg-left", "15-deg-right", "30-deg-left", "30-deg-right", "fog", "morning", "overcast", "rain",
    "sunset",
)  # fmt: skip


class VirtualKitti2(ListedPairs):
    """Exact disparity of both views from the depth maps; the sky is not known."""

    name: ClassVar[str] = "vkitti2"
    splits = {
        "all": "21,260 pairs",
        **{variation: f"the 2,126 pairs of that variation, {len(_FRAMES)} scenes" for variation in _VARIATIONS},
        **{scene: f"{num * len(_VARIATIONS):,} pairs of that scene, all variations" for scene, num in _FRAMES.items()},
    }

    depth_from = "rendered"

    def list_entries(self) -> Iterable[Entry]:
        """Scene by scene, variation by variation."""
        rgb, depth = (_home(self.root, kind) for kind in ("rgb", "depth"))
        for scene, num_frames in _FRAMES.items():
            for variation in _VARIATIONS:
                if self.split not in ("all", scene, variation):
                    continue
                photos = [rgb / scene / variation / "frames" / "rgb" / f"Camera_{camera}" for camera in (0, 1)]
                maps = [depth / scene / variation / "frames" / "depth" / f"Camera_{camera}" for camera in (0, 1)]
                for frame in range(num_frames):
                    yield Entry(
                        name=f"{scene}/{variation}/{frame:05d}",
                        left=photos[0] / f"rgb_{frame:05d}.jpg",
                        right=photos[1] / f"rgb_{frame:05d}.jpg",
                        depth=maps[0] / f"depth_{frame:05d}.png",
                        calibration=RIG,
                        also=(maps[1] / f"depth_{frame:05d}.png",),
                    )

    def depth(self, index: int) -> Map:
        """Depth of the left view in metres.

        Raises:
            UserError: the map is absent or no 16-bit PNG.
        """
        path = self._entries[index].depth
        assert path is not None
        return _read_depth(path)

    def read_truth(self, entry: Entry, *, right: bool) -> Map | None:
        """The depth map of the view's own camera as disparity."""
        path = entry.also[0] if right else entry.depth
        assert path is not None
        depth_m, _ = _read_depth(path)
        rig = self.read_rig(entry, (depth_m.shape[0], depth_m.shape[1]))
        disparity, valid = depth_to_disparity(torch.from_numpy(depth_m)[None], rig)
        return disparity[0].numpy(), valid[0].numpy()


def _home(root: Path, kind: str) -> Path:
    return next((path for path in sorted(root.glob(f"vkitti_*_{kind}")) if path.is_dir()), root)


def _read_depth(path: Path) -> Map:
    """16-bit PNG of centimetres; the sky (65535) and 0 are not known."""
    samples = read_samples(path)
    if samples.dtype != np.uint16 or samples.ndim != 2:
        found = f"{samples.dtype.itemsize * 8}-bit {'grey' if samples.ndim == 2 else 'colour'}"
        raise UserError(f"{shown(path)}: a depth map of Virtual KITTI 2 is 16-bit grey (centimetres), found {found}")
    valid = (samples > 0) & (samples < SKY)
    return np.where(valid, samples.astype(np.float32) / UNITS_PER_M, np.float32(0)), valid
