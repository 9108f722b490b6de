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


def write_pair(root: str | Path, pair: StereoPair) -> None:
    """Write an unbatched pair as `left/NAME.png`, `right/NAME.png`, its known disparities and its rig, all atomically."""
    root, name = Path(root), str(pair.name)
    for side, view in (("left", pair.left), ("right", pair.right)):
        write_image(root / side / f"{name}.png", view.image.permute(1, 2, 0).numpy())
    _write_map(root / "disparity" / name, pair.left)
    _write_map(root / "disparity_right" / name, pair.right)
    if pair.rig.is_metric:
        write_rig(root / "rig" / f"{name}.json", pair.rig)


def _write_map(stem: Path, view: View) -> None:
    valid = view.valid[0].numpy()
    if not valid.any():
        return
    disparity = np.where(valid, view.disparity[0].numpy(), 0.0).astype(np.float32)
    suffix = ".png" if disparity.max() <= PNG_LIMIT_PX else ".pfm"
    write_disparity(stem.with_name(stem.name + suffix), disparity, valid)
