"""One export from start to end; a second call goes on where a stopped one ended."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stereodistill.data import StereoDataset
from stereodistill.data.folder import PairDataset, with_rig
from stereodistill.data.layouts import find_pairs
from stereodistill.data.stretches import split_stretches
from stereodistill.errors import UserError
from stereodistill.io.files import write_bytes
from stereodistill.io.images import write_image
from stereodistill.labels.dataset import LabelledDataset
from stereodistill.labels.export.formats import Format, Target, formats
from stereodistill.labels.export.header import checked_root, claim, make_header, refuse_lopsided
from stereodistill.labels.export.samples import NO_RIG, Sample, depth_of, find_samples, nearest_m
from stereodistill.labels.files import label_name, link_or_copy
from stereodistill.progress import progress as show_progress
from stereodistill.types import Rig


@dataclass(frozen=True, kw_only=True)
class ExportSummary:
    """What one call of `export_labels` did."""

    root: Path
    kind: str
    num_train: int
    num_val: int
    num_new: int
    """Pairs written by this call; the others were there."""
    num_missing: int
    """Pairs that have no labels."""
    next_step: str


def export_labels(
    labels: str | Path,
    kind: str,
    out: str | Path,
    *,
    names: Sequence[str] | None = None,
    rig: Rig | None = None,
    min_confidence: float = 0.0,
    val_fraction: float = 0.1,
    seed: int = 0,
    workers: int = 2,
    progress: bool = False,
) -> ExportSummary:
    """Write photos and metric depth of a labels folder to `out/kind/` as other trainers read them.

    Photos become hard links where the file system allows it.  Finished pairs are skipped, so the same call goes on
    where a stopped one ended; every file is whole or absent, and what the other side starts from comes last.

    Args:
        labels: folder that `label` wrote.
        kind: "ultralytics", "kitti-depth", "npy" or "hf-datasets".
        names: all pairs that were labelled, in sequence order, as the data set names them: with the same names,
            `val_fraction` and `seed` the split is that of `fit`.  The default is the order of the labels folder.
        rig: replaces the rigs that the labels were stored with; as in `open_dataset`.
        min_confidence: depth whose label is less sure (0..1) is unknown.
        workers: threads.

    Raises:
        UserError: no labels, a pair without a rig, a folder that holds something else or another export.
        KeyboardInterrupt: with a message that says what is saved.
    """
    labels, root = Path(labels), checked_root(kind, out)
    dataset = _open(labels, rig, min_confidence)
    wanted = dataset.names if names is None else [label_name(name) for name in names]
    samples = find_samples(labels, dataset, wanted, val_fraction, seed)
    header = make_header(kind, dataset, samples)
    made_by = f"Labels by the stereo teacher {header.teacher}, exported by stereodistill {header.version}."
    target_format = formats()[kind](samples, nearest_m(dataset, samples), made_by)
    refuse_lopsided(formats()[kind], len(header.train), len(header.val))
    claim(root, header)
    job = _Job(root, dataset, target_format)
    try:
        num_new = job.run(samples, workers, progress)
    except KeyboardInterrupt:
        done = sum(job.is_finished(sample) for sample in samples)
        raise KeyboardInterrupt(
            f"stopped; {done} of {len(samples)} pairs are exported to {root}; the same command goes on from there"
        ) from None
    for path, text in target_format.index().items():
        write_bytes(root / path, text.encode())
    header.model_copy(update={"finished": True}).write(root)
    return ExportSummary(
        root=root, kind=kind, num_train=len(header.train), num_val=len(header.val), num_new=num_new,
        num_missing=(dataset.header.num_pairs if names is None else len(wanted)) - len(samples),
        next_step=target_format.next_step(root),
    )  # fmt: skip


def refuse_early(dataset: StereoDataset, kind: str, out: str | Path, val_fraction: float) -> None:
    """Raises UserError, before hours of labelling, for what would be refused after them."""
    checked_root(kind, out)
    refuse_lopsided(formats()[kind], *map(len, split_stretches(dataset.names, val_fraction)))
    try:
        rig = dataset.rig(0)
    except UserError:
        return  # unreadable pairs are the business of labelling
    if not rig.is_metric:
        raise UserError(f"{dataset.names[0]}: {NO_RIG}")


@dataclass
class _Job:
    """The writing of pairs; what is finished is told by the photos, which go last."""

    root: Path
    dataset: LabelledDataset
    format: Format

    def run(self, samples: Sequence[Sample], workers: int, progress: bool) -> int:
        """Write what is not there; returns how many pairs that were."""
        todo = [sample for sample in samples if not self.is_finished(sample)]
        num_old = len(samples) - len(todo)
        pool = ThreadPoolExecutor(workers)
        with show_progress("exporting", progress) as report:
            report(num_old, len(samples))
            try:
                for number, _ in enumerate(pool.map(self.write, todo), num_old + 1):
                    report(number, len(samples))
            finally:
                pool.shutdown(cancel_futures=True)
        return len(todo)

    def is_finished(self, sample: Sample) -> bool:
        """True when all files of the pair are there."""
        return all((self.root / files.photo).is_file() for files in self.format.targets(sample))

    def write(self, sample: Sample) -> None:
        """Depth, confidence, photo of each view."""
        pair = self.dataset.load(sample.index)
        for files in self.format.targets(sample):
            self.format.write_depth(self.root / files.depth, depth_of(pair, files.view))
            if files.confidence is not None:
                link_or_copy(sample.confidences[files.view], self.root / files.confidence)
            self._write_photo(sample, files, getattr(pair, files.view).image.permute(1, 2, 0).numpy())

    def _write_photo(self, sample: Sample, files: Target, image: np.ndarray) -> None:
        own, target = sample.photos[files.view], self.root / files.photo
        if own.suffix == target.suffix:
            link_or_copy(own, target)
        else:
            write_image(target, image)


def _open(labels: Path, rig: Rig | None, min_confidence: float) -> LabelledDataset:
    if not labels.is_dir():
        raise UserError(f"{labels}: no such labels folder; make one with `stereodistill label DATA --out DIR`")
    pairs = PairDataset([with_rig(files, rig) for files in find_pairs(labels, "folder").pairs])
    return LabelledDataset(labels, pairs, min_confidence=min_confidence, allow_missing=True)
