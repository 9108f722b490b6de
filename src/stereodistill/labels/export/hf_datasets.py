"""A folder for Hugging Face's `datasets`: `load_dataset("FOLDER")` here, `hf upload` to share it.

It is an `ImageFolder` (https://huggingface.co/docs/datasets/image_dataset): pictures as they are, a `metadata.jsonl`
for each split whose `*_file_name` columns become images (from version 3.4), and the features in the card's header.
Nothing but the reader needs that library.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from stereodistill.io.files import write_bytes
from stereodistill.labels.export.formats import Target, flat_names
from stereodistill.labels.export.samples import Sample

SPLITS = {"train": "train", "val": "validation"}
"""Our split -> its name over there."""
FEATURES = {"image": "image", "depth": "image", "confidence": "image", "name": "string", "focal_px": "float64"}
_PHOTO_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
_DEFLATE = 8  # TIFF's number for it
CARD = """---
task_categories:
- depth-estimation
configs:
- config_name: default
  data_files:
{files}
dataset_info:
  features:
{features}
---

# Depth of stereo footage

{made_by}

| column | holds |
|---|---|
| `image` | the left camera's picture |
| `depth` | float32, metres along the optical axis, 0 = unknown |
| `confidence` | 8 bit, 255 = certain; of the depth |
| `focal_px` | focal length in pixels of this picture |
| `name` | the pair it comes from |

The validation split is made of whole stretches of the footage.
"""


class HfDatasets:
    """See `Format`."""

    name: ClassVar[str] = "hf-datasets"
    needs_val: ClassVar[bool] = False

    def __init__(self, samples: Sequence[Sample], near_m: float, made_by: str):
        self._samples, self._flat, self._made_by = samples, flat_names(samples), made_by

    def targets(self, sample: Sample) -> tuple[Target, ...]:
        """See `Format`."""
        folder, flat = SPLITS[sample.split], self._flat[sample.name]
        return (
            Target(
                view="left",
                photo=f"{folder}/image/{flat}{sample.photo_suffix('left', _PHOTO_SUFFIXES)}",
                depth=f"{folder}/depth/{flat}.tiff",
                confidence=f"{folder}/confidence/{flat}.png",
            ),
        )

    def write_depth(self, path: Path, depth_m: np.ndarray) -> None:
        """A TIFF of float32, the one picture format that `Image` reads as metres (Pillow's mode F)."""
        done, encoded = cv2.imencode(".tiff", depth_m, [cv2.IMWRITE_TIFF_COMPRESSION, _DEFLATE])
        assert done, "OpenCV writes float TIFF"
        write_bytes(path, encoded.tobytes())

    def index(self) -> dict[str, str]:
        """`metadata.jsonl` of each split, then the card."""
        rows: dict[str, list[str]] = {}
        for sample in self._samples:
            (files,) = self.targets(sample)
            folder = SPLITS[sample.split]
            photo, depth, confidence = (
                str(path).removeprefix(f"{folder}/") for path in (files.photo, files.depth, files.confidence)
            )
            row = {
                "file_name": photo,
                "depth_file_name": depth,
                "confidence_file_name": confidence,
                "name": sample.name,
                "focal_px": float(sample.rig.focal_px),
            }
            rows.setdefault(folder, []).append(json.dumps(row, ensure_ascii=False) + "\n")
        used = [split for split in SPLITS.values() if split in rows]
        card = CARD.format(
            files="\n".join(f"  - split: {split}\n    path: {split}/**" for split in used),
            features="\n".join(f"  - name: {name}\n    dtype: {kind}" for name, kind in FEATURES.items()),
            made_by=self._made_by,
        )
        return {**{f"{split}/metadata.jsonl": "".join(rows[split]) for split in used}, "README.md": card}

    def next_step(self, root: Path) -> str:
        """See `Format`."""
        return f'datasets.load_dataset("{root}"), or: hf upload USER/NAME {root} --repo-type dataset'
