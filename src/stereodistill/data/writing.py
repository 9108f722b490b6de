"""Writing pairs in the `folder` layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stereodistill.io.calibration import write_rig
from stereodistill.io.disparity import write_disparity
from stereodistill.io.images import write_image
from stereodistill.types import StereoPair, View

PNG_LIMIT_PX = 255.9
"""Largest disparity that a 16-bit PNG holds; a map that exceeds it becomes a PFM file."""


def write_pair(root: str | Path, pair: StereoPair, suffix: str = ".png") -> None:
    """Write an unbatched pair as `left/NAME.png`, `right/NAME.png`, its known disparities and its rig, all atomically.

    The left image goes last: a folder that is read meanwhile, or after a kill, shows finished pairs only.
    """
    root, name = Path(root), str(pair.name)
    if pair.rig.is_metric:
        write_rig(root / "rig" / f"{name}.json", pair.rig)
    for images, maps, view in (("right", "disparity_right", pair.right), ("left", "disparity", pair.left)):
        _write_map(root / maps / name, view, suffix)
        write_image(root / images / f"{name}.png", view.image.permute(1, 2, 0).numpy())


def _write_map(stem: Path, view: View, suffix: str) -> None:
    valid = view.valid[0].numpy()
    if not valid.any():
        return
    disparity = np.where(valid, view.disparity[0].numpy(), 0.0).astype(np.float32)
    if suffix == ".png" and disparity.max() > PNG_LIMIT_PX:
        suffix = ".pfm"
    write_disparity(stem.with_name(stem.name + suffix), disparity, valid)
