"""A teacher's disparity and confidence for every pair, computed once and kept on disk.

The teacher sees each pair as it is: clean and at full size.  What it says is stored, so that a student that is
trained for fifty epochs pays for its teacher once.
"""

from __future__ import annotations

import os
import time
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path, PurePath

import numpy as np

from stereodistill.data.dataset import StereoDataset
from stereodistill.data.folder import PairDataset, open_dataset
from stereodistill.data.layouts import VIEW_NAMES, PairFiles, pair_name
from stereodistill.data.published.listed import ListedPairs
from stereodistill.data.unreadable import OnError, Skipped, SkipUnreadable, check_on_error
from stereodistill.errors import UserError
from stereodistill.io.calibration import write_rig
from stereodistill.io.images import write_image
from stereodistill.io.lock import only_process
from stereodistill.labels.files import (
    HEADER,
    SIDES,
    LabelFiles,
    LabelsHeader,
    label_name,
    link_or_copy,
    same_picture,
    write_label,
)
from stereodistill.predict import StereoPredictor, Teacher, load_teacher
from stereodistill.predict.load import seen_at
from stereodistill.predict.precision import settle_precision
from stereodistill.predict.teachers import Match
from stereodistill.progress import progress as show_progress
from stereodistill.types import OwnWidthRig, Rig, StereoPair

MOST_WORKERS = 256
Labels = dict[str, Match]
"""View -> (disparity, confidence)."""


@dataclass(frozen=True, kw_only=True)
class LabelSummary:
    """What one call of `label` did; the numbers count pairs of its own shard."""

    out: Path
    teacher: str
    num_pairs: int
    num_new: int
    num_old: int
    """Pairs that were finished before."""
    skipped: tuple[Skipped, ...]
    """Pairs left out under `on_error="skip"`, and why."""
    elapsed_s: float

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Names of the pairs left out."""
        return tuple(row.name for row in self.skipped)


def label(
    data: str | Path | StereoDataset,
    teacher: str | Path | Teacher,
    out: str | Path,
    *,
    device: str = "auto",
    right: bool = True,
    shard: tuple[int, int] = (0, 1),
    workers: int = 2,
    limit: int | None = None,
    on_error: OnError = "stop",
    precision: str = "auto",
    size: tuple[int, int] | None = None,
    progress: bool = False,
    layout: str = "auto",
    rig: Rig | OwnWidthRig | None = None,
) -> LabelSummary:
    """Write the teacher's disparity and confidence of every pair to `out`, a `folder` dataset (see `data.labelled`).

    Images become hard links to the originals where the file system allows it (they take no space, and stay when
    the originals are deleted), else copies.  Finished pairs are skipped, so the same call goes on where a stopped
    one ended; every file is written whole or not at all.

    Args:
        data: path that `open_dataset` understands (with `layout` and `rig`), or a dataset.
        teacher: what `load_teacher` understands, a mono network's weights included, or a loaded teacher.
        right: label the right view too (needed for flip-and-swap in training).
        shard: (k, n): only the k-th of n contiguous parts; n processes or machines together fill one `out`.
        workers: threads that read and write beside the teacher.
        limit: only the first `limit` pairs.
        precision: "f32", "bf16", or "auto": what the labels in `out` have, else the clearly quicker one, measured once
            (see `predict.precision`).
        size: (height, width) at which a network sees the pairs; the labels have the pictures' own size in any case.
        on_error: a pair that cannot be read or matched stops the run, or is left out and named in the summary.

    Raises:
        UserError: bad data, `out` holds labels of another teacher or of other pictures or is no labels folder,
            a disk that refuses.
        KeyboardInterrupt: with a message that says what is saved.
    """
    start_s = time.monotonic()
    _check_options(shard, workers, on_error)
    dataset = open_dataset(data, layout=layout, rig=rig, limit=limit) if isinstance(data, (str, Path)) else data
    if isinstance(dataset, ListedPairs) and not dataset.has_right:
        raise UserError(f"{dataset.title} has no second view: there is nothing to match")
    # Shards are many processes with one folder.
    with only_process(out) if shard[1] == 1 else nullcontext():
        # A folder that cannot be used is found before the teacher is loaded, which may take long.
        _refuse_other_content(Path(out))
        _refuse_among_pictures(Path(out), dataset)
        named = isinstance(teacher, (str, Path))
        loaded = seen_at(size, load_teacher(teacher, device, mono=True) if named else teacher)
        num_pairs = len(dataset) if limit is None else min(limit, len(dataset))
        if right and not getattr(loaded, "answers_right", True):
            right = False
            warnings.warn(f"{loaded.name}: no disparity_right/: only the left views are labelled", stacklevel=2)
        job = _Job(
            Path(out), dataset, loaded, ("left", "right") if right else ("left",), SkipUnreadable(dataset, on_error)
        )
        source = pair_name(Path(data)) if isinstance(data, (str, Path)) else ""
        job.claim(source, num_pairs, precision)
        indices = range(num_pairs * shard[0] // shard[1], num_pairs * (shard[0] + 1) // shard[1])
        try:
            job.run(indices, workers, progress)
        except KeyboardInterrupt:
            done = f"{job.count()} of {num_pairs} pairs are labelled in {out}"
            raise KeyboardInterrupt(f"stopped; {done}; the same command goes on from there") from None
        except Exception:
            job.count()
            raise
        job.count()
        return LabelSummary(
            out=Path(out), teacher=loaded.name, num_pairs=len(indices), num_new=job.num_new, num_old=job.num_old,
            skipped=tuple(job.readable.skipped), elapsed_s=time.monotonic() - start_s,
        )  # fmt: skip


@dataclass
class _Job:
    """One shard's work and how far it is."""

    out: Path
    dataset: StereoDataset
    teacher: Teacher
    views: tuple[str, ...]
    readable: SkipUnreadable
    num_new: int = 0
    num_old: int = 0

    def claim(self, source: str, num_pairs: int, precision: str) -> None:
        """Put our header into the folder, or refuse when labels of another teacher are there."""
        names = [label_name(name) for name in self.dataset.names]
        if len(set(names)) != len(names):
            raise UserError(f"{source or self.out}: two pairs have the same name; rename them or use a CSV list")
        found, teacher = LabelsHeader.read(self.out), self.teacher
        if found is not None and found.teacher_hash != teacher.hash:
            raise UserError(
                f"{self.out} holds labels of the teacher {found.teacher} ({found.teacher_hash}), not of {teacher.name} "
                f"({teacher.hash}); give another --out or delete the folder"
            )
        if found is not None and precision not in ("auto", found.precision):
            raise UserError(
                f"{self.out} holds labels computed in {found.precision}, not {precision}; give another --out"
            )
        computed_in = settle_precision(teacher, precision if found is None else found.precision)
        if isinstance(teacher, StereoPredictor):
            self.teacher = teacher.in_precision(computed_in)
        self._header = LabelsHeader(
            precision=computed_in,
            teacher=teacher.name,
            teacher_hash=teacher.hash,
            data=source,
            version=version("stereodistill"),
            right="right" in self.views or (found is not None and found.right),
            num_pairs=num_pairs if found is None else max(num_pairs, found.num_pairs),
            num_labelled=0 if found is None else found.num_labelled,
        )
        self._header.write(self.out)

    def run(self, indices: Sequence[int], workers: int, progress: bool) -> None:
        """Label what is not finished: reading and writing run in threads beside the teacher."""
        files = LabelFiles(self.out)
        todo = [index for index in indices if not self._is_finished(files, index)]
        self.num_old = len(indices) - len(todo)
        writes: deque[Future[None]] = deque()
        with show_progress("labelling", progress) as report, ThreadPoolExecutor(workers) as writers:
            report(self.num_old, len(indices))
            for num_seen, (index, coming) in enumerate(self._read_ahead(todo, workers), self.num_old + 1):
                labelled = self.readable.get(index, partial(self._label, coming=coming, files=files))
                if labelled is not None:
                    writes.append(writers.submit(self._write, index, *labelled))
                while len(writes) > 2 * workers:
                    self._settle(writes)
                report(num_seen, len(indices))
            while writes:
                self._settle(writes)

    def count(self) -> int:
        """Bring `num_labelled` up to date; looks again after writing, as another shard may end at the same time."""
        written = None
        while (num_labelled := LabelFiles(self.out).num_finished(right=self._header.right)) != written:
            self._header.model_copy(update={"num_labelled": num_labelled}).write(self.out)
            written = num_labelled
        return num_labelled

    def _is_finished(self, files: LabelFiles, index: int) -> bool:
        name = label_name(self.dataset.names[index])
        source = _files(self.dataset, index)
        if source is not None:
            for view in SIDES:
                mine, theirs = getattr(source, view), files.find(view, name)
                if theirs is not None and not same_picture(mine, theirs):
                    raise UserError(f"{self.out} holds labels of another picture {theirs.name} than {mine}; "
                                    "give another --out")  # fmt: skip
        return files.is_finished(name, right="right" in self.views) and not files.is_outdated(name)

    def _read_ahead(self, indices: Sequence[int], workers: int) -> Iterator[tuple[int, Future[StereoPair]]]:
        # A video has one decoder and is fastest in order; image files can be read side by side.
        num_readers = workers if isinstance(self.dataset, (PairDataset, ListedPairs)) else 1
        readers, coming = ThreadPoolExecutor(num_readers), iter(indices)
        try:
            ahead = deque((i, readers.submit(self.dataset.load, i)) for i in islice(coming, num_readers + 1))
            while ahead:
                yield ahead.popleft()
                ahead.extend((i, readers.submit(self.dataset.load, i)) for i in islice(coming, 1))
        finally:
            readers.shutdown(cancel_futures=True)

    def _label(self, index: int, coming: Future[StereoPair], files: LabelFiles) -> tuple[StereoPair, Labels]:
        pair = coming.result()
        return pair, self._match(index, pair, files)

    def _match(self, index: int, pair: StereoPair, files: LabelFiles) -> Labels:
        name, teacher = self.dataset.names[index], self.teacher
        left, right = pair.left.image, pair.right.image
        anew = files.is_outdated(label_name(name))
        missing = [view for view in self.views if anew or not files.has_labels(label_name(name), view)]
        if len(missing) == 2:
            labels = dict(zip(SIDES, teacher.match_both(left, right, name), strict=True))
        else:
            match = {"left": teacher.match, "right": teacher.match_right}
            labels = {view: match[view](left, right, name) for view in missing}
        for maps in labels.values():
            assert all(m.shape == pair.size for m in maps), f"{teacher.name} must answer at the image's size"
        return labels

    def _write(self, index: int, pair: StereoPair, labels: Labels) -> None:
        name = label_name(self.dataset.names[index])
        for view, (disparity, confidence) in labels.items():
            disparity = np.where(_matched_on_both(pair, view, disparity), disparity, 0)
            write_label(self.out, name, view, disparity, confidence)
        if pair.rig.is_metric:
            write_rig(self.out / "rig" / f"{name}.json", pair.rig)
        # The left image goes last: a folder that is read while we write shows finished pairs only.
        files = _files(self.dataset, index)
        for view in ("right", "left"):
            if files is not None:
                source = getattr(files, view)
                link_or_copy(source, self.out / view / f"{name}{source.suffix}")
            else:
                image = getattr(pair, view).image.permute(1, 2, 0).numpy()
                write_image(self.out / view / f"{name}.png", image)

    def _settle(self, writes: deque[Future[None]]) -> None:
        writes.popleft().result()
        self.num_new += 1


def _matched_on_both(pair: StereoPair, view: str, disparity: np.ndarray) -> np.ndarray:
    """Bool (H, W): pixels that are not empty, and whose match is not either: rectification leaves some with nothing."""
    sides = (pair.left, pair.right) if view == "left" else (pair.right, pair.left)
    own, other = (side.seen[0].numpy() for side in sides)
    if own.all() and other.all():
        return own
    shift: np.ndarray = np.nan_to_num(disparity) * np.float32(-1 if view == "left" else 1)
    columns = np.arange(own.shape[1], dtype=np.float64) + np.asarray(shift, np.float64)
    partner = np.take_along_axis(other, np.rint(columns).astype(int).clip(0, own.shape[1] - 1), axis=1)
    return own & partner


def _files(dataset: StereoDataset, index: int) -> PairFiles | None:
    """The files whose content is exactly the pictures of pair `index`; None when there are no such files."""
    if isinstance(dataset, PairDataset) or (isinstance(dataset, ListedPairs) and dataset.images_are_files):
        return dataset.pair_files(index)
    return None


def _refuse_among_pictures(out: Path, dataset: StereoDataset) -> None:
    """Below a folder of views the labels would be found as more views the next time, and the data be spoilt."""
    if not isinstance(dataset, PairDataset):
        return
    views: set[Path] = set()
    for index in range(len(dataset)):
        files = dataset.pair_files(index)
        stem = PurePath(files.name).parts
        for picture in (files.left, files.right):
            shared = 0
            while shared < len(stem) and picture.with_suffix("").parts[-1 - shared] == stem[-1 - shared]:
                shared += 1
            views.add(Path(*picture.parts[:-shared]) if shared else picture.parent)
    place = Path(os.path.realpath(out))
    for folder in views:
        if folder.name in VIEW_NAMES and Path(os.path.realpath(folder)) in (place, *place.parents):
            raise UserError(f"{out} lies among the pictures in {folder}: labels there would be read as pictures; "
                            "give an --out beside them")  # fmt: skip


def _check_options(shard: tuple[int, int], workers: int, on_error: str) -> None:
    if not 0 <= shard[0] < shard[1]:
        raise UserError(f"shard is k/n with 0 <= k < n, for example 0/4; found {shard[0]}/{shard[1]}")
    if not 1 <= workers <= MOST_WORKERS:
        raise UserError(f"workers is a number from 1 to {MOST_WORKERS}, found {workers}")
    check_on_error(on_error)


def _refuse_other_content(out: Path) -> None:
    """Labels are never mixed into a folder that holds something else: its ground truth would be overwritten."""
    folders = [*SIDES, *(f"{kind}{end}" for kind in ("disparity", "confidence") for end in SIDES.values())]
    occupied = [folder for folder in folders if (out / folder).exists()]
    # Asked after the folders: another shard puts the header there before any folder.
    if occupied and not (out / HEADER).exists():
        raise UserError(f"{out} has {occupied[0]}/ but no {HEADER}: not a labels folder; give another --out")
