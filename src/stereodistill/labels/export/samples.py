"""What is exported: pairs that have labels, each with its rig, in the splits that `fit` would make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from stereodistill.data.stretches import split_stretches
from stereodistill.errors import UserError
from stereodistill.labels.dataset import LabelledDataset
from stereodistill.labels.files import SIDES, LabelFiles
from stereodistill.ops.geometry import disparity_to_depth
from stereodistill.types import Rig, StereoPair

Split: TypeAlias = Literal["train", "val"]
NO_RIG = (
    "an export holds metres and needs the rig: give --focal-px and --baseline-m, or put a rig.json beside the pictures"
)
_NUM_SAMPLED = 16
_NEAR_PERCENTILE = 1


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One labelled pair."""

    index: int
    """In the labelled data set."""
    name: str
    split: Split
    size: tuple[int, int]
    rig: Rig
    """At the photo's width."""
    photos: dict[str, Path]
    """View -> its picture in the labels folder."""
    confidences: dict[str, Path]
    """View -> the label's confidence, 8 bit; only views that have labels."""

    def photo_suffix(self, view: str, understood: Sequence[str]) -> str:
        """The suffix that the photo of `view` gets: its own one where a format reads it, else `.png`."""
        own = self.photos[view].suffix
        return own if own.lower() in understood else ".png"


def find_samples(
    labels: Path, dataset: LabelledDataset, names: Sequence[str], val_fraction: float, seed: int
) -> list[Sample]:
    """The pairs of `dataset`, which lies in `labels`, in the order of `names`.

    All names are split as `fit` does; then those without labels are left out.

    Raises:
        UserError: a pair without a rig.
    """
    number = {name: index for index, name in enumerate(dataset.names)}
    train, _ = split_stretches(names, val_fraction, seed)
    is_train, files = set(train), LabelFiles(labels)
    return [
        _sample(dataset, files, number[name], "train" if place in is_train else "val")
        for place, name in enumerate(names)
        if name in number
    ]


def nearest_m(dataset: LabelledDataset, samples: Sequence[Sample]) -> float:
    """How near the footage comes, in metres: the usual 1st percentile of a picture's depth; infinity if unknown."""
    near = []
    for sample in samples[:: max(1, len(samples) // _NUM_SAMPLED)]:
        depth_m = depth_of(dataset.load(sample.index), "left")
        if (depth_m > 0).any():
            near.append(np.percentile(depth_m[depth_m > 0], _NEAR_PERCENTILE))
    return float(np.median(near)) if near else float("inf")


def depth_of(pair: StereoPair, view: str) -> np.ndarray:
    """Depth (H, W) float32 of one view in metres, 0 where unknown."""
    depth_m, valid = disparity_to_depth(getattr(pair, view).disparity, pair.rig)
    return np.where(valid[0].numpy(), depth_m[0].numpy(), np.float32(0))


def _sample(dataset: LabelledDataset, files: LabelFiles, index: int, split: Split) -> Sample:
    name, rig, size = dataset.names[index], dataset.rig(index), dataset.size(index)
    if not rig.is_metric:
        raise UserError(f"{name}: {NO_RIG}")
    photos = {view: files.find(view, name) for view in SIDES}
    confidences = {view: files.find(f"confidence{end}", name) for view, end in SIDES.items()}
    return Sample(
        index=index,
        name=name,
        split=split,
        size=size,
        rig=rig,
        photos={view: path for view, path in photos.items() if path is not None},
        confidences={view: path for view, path in confidences.items() if path is not None},
    )
