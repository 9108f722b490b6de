"""`label --export`: the labels as other trainers read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from stereodistill.errors import UserError

if TYPE_CHECKING:
    from stereodistill.types import Rig

Export: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--export",
        metavar="ultralytics|kitti-depth|npy|hf-datasets",
        help="Also write photos and metric depth to OUT/<this name>, for trainers of that kind.",
    ),
]
ValFraction: TypeAlias = Annotated[
    float, typer.Option("--val-fraction", help="With --export: share of the pairs held out, in whole stretches.")
]
MinConfidence: TypeAlias = Annotated[
    float, typer.Option("--min-confidence", help="With --export: depth less sure than this (0 to 1) is unknown.")
]


class Exporter:
    """What was asked for by `--export`; made before the labels, so that a mistake does not cost hours."""

    def __init__(
        self,
        kind: str,
        data: Path,
        out: Path,
        layout: str,
        rig: Rig | None,
        limit: int | None,
        shard: tuple[int, int],
        val_fraction: float,
        min_confidence: float,
        seed: int,
    ):
        from stereodistill.data import open_dataset
        from stereodistill.data.layouts import find_pairs
        from stereodistill.labels.export import refuse_early
        from stereodistill.labels.files import HEADER

        if shard != (0, 1):
            raise UserError("--export needs the labels of all pairs: run it without --shard when every part is done")
        if not 0 <= min_confidence <= 1:
            raise UserError(f"--min-confidence is a number from 0 to 1, found {min_confidence:g}")
        self.has_labels = (data / HEADER).is_file()
        self._labels, self._kind, self._out, self._names = data if self.has_labels else out, kind, out, None
        if self.has_labels and limit is not None:
            self._names = [files.name for files in find_pairs(data, "folder").pairs[:limit]]
        if not self.has_labels:
            dataset = open_dataset(data, layout=layout, rig=rig, limit=limit)
            refuse_early(dataset, kind, out, val_fraction)
            self._names = dataset.names
        self._options = {"rig": rig, "val_fraction": val_fraction, "min_confidence": min_confidence, "seed": seed}

    def run(self) -> Sequence[str]:
        """Export; returns what to tell."""
        from stereodistill.labels.export import export_labels

        done = export_labels(self._labels, self._kind, self._out, names=self._names, progress=True, **self._options)
        missing = f" ({done.num_missing} have no labels)" if done.num_missing else ""
        return (
            f"{done.num_train} pairs to train on and {done.num_val} to validate{missing}, for {done.kind}: {done.root}",
            f"Next: {done.next_step}",
        )
