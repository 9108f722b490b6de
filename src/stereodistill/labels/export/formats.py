"""What a format says about itself, and the formats there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np

from stereodistill.errors import UserError
from stereodistill.labels.export.samples import Sample

UNITS_PER_M = (256, 1000, 10_000, 100_000)
"""16 bits of them reach to 256 m, 65.5 m, 6.55 m and 0.655 m."""
MAX_STEP = 0.005
"""Largest step between two stored depths, as a share of the nearest depth."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where the files of one view go, relative to the export's folder."""

    view: str
    photo: str
    depth: str
    confidence: str | None = None
    """8 bit, 255 = certain; None where the format has no place for it."""


class Format(Protocol):
    """One format, made for the `samples` of one export; `near_m` is how near they come (`nearest_m`)."""

    name: ClassVar[str]
    needs_val: ClassVar[bool]
    """Whether the other side refuses data without a validation split."""

    def __init__(self, samples: Sequence[Sample], near_m: float, made_by: str): ...

    def targets(self, sample: Sample) -> tuple[Target, ...]:
        """Where the files of a sample go, for each view that is exported."""
        ...

    def write_depth(self, path: Path, depth_m: np.ndarray) -> None:
        """Write depth (H, W) float32 in metres, 0 = unknown."""
        ...

    def index(self) -> dict[str, str]:
        """Text files that the other side starts from, by their path; they are written last."""
        ...

    def next_step(self, root: Path) -> str:
        """One line: how the other side takes it from here."""
        ...


def flat_names(samples: Sequence[Sample]) -> dict[str, str]:
    """Name -> a file name without folders: some loaders swap a folder's name in the path, or see one folder only.

    Raises:
        UserError: two names become one.
    """
    flat = {sample.name: sample.name.replace("/", "__") for sample in samples}
    if len(set(flat.values())) < len(flat):
        double = next(name for name in flat.values() if list(flat.values()).count(name) > 1)
        raise UserError(f"two pairs would both be exported as {double}: rename one of them")
    return flat


def units_for(near_m: float) -> int:
    """Units per metre: the coarsest, so the farthest reaching, of `UNITS_PER_M` that is fine enough for `near_m`."""
    return next((units for units in UNITS_PER_M if 1 / units <= MAX_STEP * near_m), UNITS_PER_M[-1])


def formats() -> dict[str, type[Format]]:
    """Name -> format."""
    from stereodistill.labels.export.hf_datasets import HfDatasets
    from stereodistill.labels.export.kitti_depth import KittiDepth
    from stereodistill.labels.export.npy import Npy
    from stereodistill.labels.export.ultralytics import Ultralytics

    return {format.name: format for format in (Ultralytics, KittiDepth, Npy, HfDatasets)}
