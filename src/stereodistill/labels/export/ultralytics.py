"""Ultralytics' YOLO depth models: `images/`, `depth/` with 16-bit PNG, and a YAML that says how many units a metre has.

https://docs.ultralytics.com/datasets/depth (PNG and `depth_scale` since version 8.4.123).  The loader swaps the last
folder called `images` in a photo's path for `depth`, so photos lie flat.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from stereodistill.io.images import write_image
from stereodistill.labels.export.formats import Target, flat_names, units_for
from stereodistill.labels.export.samples import Sample
from stereodistill.predict.depth_map import depth_to_units

_PHOTO_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
YAML = "data.yaml"


class Ultralytics:
    """See `Format`."""

    name: ClassVar[str] = "ultralytics"
    needs_val: ClassVar[bool] = True

    def __init__(self, samples: Sequence[Sample], near_m: float, made_by: str):
        self._flat, self._made_by = flat_names(samples), made_by
        self.units_per_m = units_for(near_m)

    def targets(self, sample: Sample) -> tuple[Target, ...]:
        """See `Format`."""
        place = f"{sample.split}/{self._flat[sample.name]}"
        photo = f"images/{place}{sample.photo_suffix('left', _PHOTO_SUFFIXES)}"
        return (Target(view="left", photo=photo, depth=f"depth/{place}.png"),)

    def write_depth(self, path: Path, depth_m: np.ndarray) -> None:
        """See `Format`."""
        write_image(path, depth_to_units(depth_m, self.units_per_m))

    def index(self) -> dict[str, str]:
        """The data set's YAML; without `path`, so that the folder it lies in counts, wherever that is moved."""
        lines = (
            f"# {self._made_by}",
            "# metres = PNG value / depth_scale, 0 = unknown",
            "train: images/train",
            "val: images/val",
            "nc: 1",
            "names:",
            "  0: depth",
            "channels: 3",
            f"depth_scale: {self.units_per_m}",
        )
        return {YAML: "\n".join(lines) + "\n"}

    def next_step(self, root: Path) -> str:
        """See `Format`."""
        return f"yolo depth train data={shlex.quote(str(root / YAML))} model=yolo26n-depth.pt"
