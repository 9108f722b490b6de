"""Plain arrays: `images/` and `depth/` with float32 metres, and one table of what belongs together.

Ultralytics' YOLO depth loader reads these folders, too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from stereodistill.io.files import write_bytes
from stereodistill.io.images import IMAGE_SUFFIXES
from stereodistill.labels.export.formats import Target, flat_names
from stereodistill.labels.export.samples import Sample

TABLE = "pairs.csv"
COLUMNS = ("split", "photo", "depth", "confidence", "width", "height", "focal_px", "name")


class Npy:
    """See `Format`."""

    name: ClassVar[str] = "npy"
    needs_val: ClassVar[bool] = False

    def __init__(self, samples: Sequence[Sample], near_m: float, made_by: str):
        self._samples, self._flat = samples, flat_names(samples)

    def targets(self, sample: Sample) -> tuple[Target, ...]:
        """See `Format`."""
        place = f"{sample.split}/{self._flat[sample.name]}"
        photo = f"images/{place}{sample.photo_suffix('left', IMAGE_SUFFIXES)}"
        return (Target(view="left", photo=photo, depth=f"depth/{place}.npy", confidence=f"confidence/{place}.png"),)

    def write_depth(self, path: Path, depth_m: np.ndarray) -> None:
        """Float32 (H, W), metres.  Unknown is 0, not NaN: a loss that is multiplied with a mask stays finite."""
        stream = io.BytesIO()
        np.save(stream, depth_m, allow_pickle=False)
        write_bytes(path, stream.getvalue())

    def index(self) -> dict[str, str]:
        """The table; `focal_px` at the photo's width."""
        stream = io.StringIO()
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(COLUMNS)
        for sample in self._samples:
            (files,) = self.targets(sample)
            height, width = sample.size
            table.writerow(
                [sample.split, files.photo, files.depth, files.confidence, width, height, float(sample.rig.focal_px),
                 sample.name]
            )  # fmt: skip
        return {TABLE: stream.getvalue()}

    def next_step(self, root: Path) -> str:
        """See `Format`."""
        return f"{root / TABLE} says which photo and which array (metres, 0 = unknown) belong together"
