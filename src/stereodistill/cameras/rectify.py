"""The job: raw footage and a calibration to a folder of rectified pairs."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from stereodistill.cameras.dialects import read_calibration
from stereodistill.cameras.model import StereoCalibration
from stereodistill.cameras.motion import MotionGate
from stereodistill.cameras.output import PairFolder
from stereodistill.cameras.probe import PROBED, STALE_PX, RowCheck, check_rows
from stereodistill.cameras.rectification import Rectification, stereo_rectify
from stereodistill.cameras.sources import Footage, RawPair, SourceOptions, open_source
from stereodistill.cameras.sources.footage import Pictures
from stereodistill.cameras.sources.pictures import significant_bits
from stereodistill.errors import UserError
from stereodistill.io.lock import one_per_out
from stereodistill.types import Rig

Report = Callable[..., None]
_MENTIONED_SHARE = 0.0005


@dataclass(frozen=True, kw_only=True)
class RectifyOptions:
    """Which pairs become what; see `stereodistill rectify --help`."""

    source: SourceOptions = field(default_factory=SourceOptions)
    every: int = 1
    min_motion_px: float = 0.0
    max_pairs: int | None = None
    size: tuple[int, int] | None = None
    """(height, width) of the result; None = the raw pictures', or what the calibration's own rectification says."""
    suffix: str = "png"
    keep_fov: float | None = None
    unit: str | None = None
    bits: int | None = None
    """How many bits of 16 the sensor uses; None = from the first pictures."""
    workers: int | None = None

    def refuse_odd(self) -> None:
        """Raises `UserError` for what no run can do."""
        for name, value in (("every", self.every), ("max-pairs", self.max_pairs), ("workers", self.workers)):
            if value is not None and value < 1:
                raise UserError(f"--{name} must be at least 1, found {value}")
        if not 0 <= self.min_motion_px < float("inf"):
            raise UserError(f"--min-motion is a number of pixels, found {self.min_motion_px:g}")
        if self.bits is not None and not 8 <= self.bits <= 16:
            raise UserError(f"--bits is between 8 and 16, found {self.bits}")
        if self.size is not None and min(self.size) < 16:
            raise UserError(f"--size is HEIGHTxWIDTH of at least 16 each, found {self.size[0]}x{self.size[1]}")


@dataclass(frozen=True, kw_only=True)
class RectifySummary:
    """What one call of `rectify` did."""

    out: Path
    title: str
    """What the footage is."""
    rig: Rig
    """Of the rectified pairs."""
    size: tuple[int, int]
    num_new: int
    num_old: int
    """Pairs that were finished before."""
    num_still: int
    """Frames left out because the camera had hardly moved."""
    rows: RowCheck | None
    """Row errors before and after; None where everything was there already."""
    share_empty: float
    """Share of the left picture that rectification left empty."""
    notes: tuple[str, ...]

    @property
    def is_stale(self) -> bool:
        """Rows are still off by so much that the cameras must have moved since they were calibrated."""
        return self.rows is not None and self.rows.is_measured and self.rows.after_px > STALE_PX

    def lines(self) -> list[str]:
        """For people."""
        rig, rows, (height, width) = self.rig, self.rows, self.size
        lines = [f"{self.title}: {self.num_new} pairs rectified, {self.num_old} were there: {self.out}"]
        if self.num_still:
            lines.append(f"  {self.num_still} frames left out: the camera had hardly moved")
        lines += [f"  {note}" for note in self.notes]
        lens = f"focal length {rig.focal_px:.1f} px, baseline {rig.baseline_m:.4f} m, offset {rig.doffs_px:.2f} px"
        lines.append(f"  {width}x{height}, {lens}")
        if self.share_empty > _MENTIONED_SHARE:
            lines.append(
                f"  {self.share_empty:.1%} of the left pictures are empty, marked in seen_left.png: not learned"
            )
        if rows is not None and rows.is_measured:
            off = f"{rows.before_px:.1f} px off before, {rows.after_px:.2f} px after"
            lines.append(f"  rows: {off} (median of {rows.num_pairs} pairs)")
        elif rows is not None:
            lines.append("  rows: not measured, the first pairs show too little")
        if self.is_stale:
            lines.append("  that is much: the cameras have moved since they were calibrated")
        return lines


@one_per_out
def rectify(
    source: str | Path | tuple[str | Path, str | Path],
    calibration: str | Path,
    out: str | Path,
    options: RectifyOptions | None = None,
    *,
    report: Report | None = None,
) -> RectifySummary:
    """Write the rectified pairs of raw footage to `out` in the folder layout, with `rig.json`.

    The same call goes on where a stopped one ended; every file is whole or not there.  Nothing is written before the
    first pairs were found to fit the calibration.

    Args:
        source: one path, or the left and the right camera's; see `cameras.sources`.
        calibration: what `read_calibration` understands.
        report: called with (pairs done, pairs expected; 0 = not known).

    Raises:
        UserError: footage or calibration that cannot be used or do not belong together, `out` in use for other things.
        KeyboardInterrupt: with a message that says what is saved.
    """
    options = options or RectifyOptions()
    options.refuse_odd()
    paths = tuple(Path(p) for p in source) if isinstance(source, tuple) else (Path(source),)
    footage = _open(paths, calibration, options)
    size = _raw_size(footage)
    rig = read_calibration(calibration, unit=options.unit, size=size)
    rectification = stereo_rectify(rig, options.size, options.keep_fov)
    folder = PairFolder(Path(out), _settings(paths, rig, rectification, options), options.suffix)
    job = _Job(footage, rectification, folder, options, report or (lambda *_: None))
    try:
        job.run()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"stopped; {folder.num_pairs()} whole pairs are in {out}; the same command goes on from there"
        ) from None
    except UserError as error:
        if job.num_new:
            raise UserError(f"{error} ({folder.num_pairs()} whole pairs from before are in {out})") from None
        raise
    notes = [*rig.notes, *footage.notes, *job.notes]
    return RectifySummary(
        out=Path(out), title=footage.title, rig=rectification.rig, size=rectification.size, num_new=job.num_new,
        num_old=job.num_old, num_still=job.num_still, rows=job.rows, notes=tuple(notes),
        share_empty=1 - float(rectification.left.valid.mean()),
    )  # fmt: skip


class _Job:
    """Decoding and writing run in threads; order, motion and the first pairs are judged here, one after another."""

    def __init__(
        self,
        footage: Footage,
        rectification: Rectification,
        folder: PairFolder,
        options: RectifyOptions,
        report: Report,
    ):
        self._footage, self._rectification, self._folder = footage, rectification, folder
        self._options, self._report = options, report
        self._gate = MotionGate(options.min_motion_px) if options.min_motion_px > 0 else None
        self._shift = 0
        self._num_workers = options.workers or min(8, os.cpu_count() or 1)
        self._num_frames = self._num_decoded = 0
        self.num_new = self.num_old = self.num_still = 0
        self.rows: RowCheck | None = None
        self.notes: list[str] = []

    def run(self) -> None:
        """From the first pair to the last."""
        writes: deque[Future[None]] = deque()
        with ThreadPoolExecutor(self._num_workers) as pool:
            try:
                for name, pictures in self._begun(self._kept(self._decoded(pool))):
                    writes.append(pool.submit(self._write, name, *pictures))
                    while len(writes) > 2 * self._num_workers:
                        writes.popleft().result()
            finally:
                # What was decoded before a break is written; its own failure must not hide the first one.
                failed = [write.exception() for write in writes]
        for error in failed:
            if error is not None:
                raise error
        if not self.num_new + self.num_old:
            raise UserError(f"{self._footage.title}: not a single pair in it")
        self._folder.finish(num_pairs=self.num_new + self.num_old, num_still=self.num_still)

    def _decoded(self, pool: ThreadPoolExecutor) -> Iterator[tuple[str, Pictures]]:
        """Wanted pairs in order, a few of them decoded ahead."""
        ahead: deque[tuple[str, Future[Pictures]]] = deque()
        for raw in self._footage.pairs(self._is_wanted):
            self._num_frames += 1
            self._report(self._num_frames, self._expected())
            if raw is not None:
                ahead.append((raw.name, pool.submit(raw.load)))
                self._num_decoded += 1
            if self._gate is None and self._is_enough(self._num_decoded):
                break
            while len(ahead) > 2 * self._num_workers:
                name, coming = ahead.popleft()
                yield name, coming.result()
        while ahead:
            name, coming = ahead.popleft()
            yield name, coming.result()

    def _is_wanted(self, index: int, name: str) -> bool:
        if index % self._options.every:
            return False
        # With a gate every picture is needed to decide on the next one, finished or not.
        if self._gate is None and self._folder.is_resumed and self._folder.is_finished(name):
            self.num_old += 1
            return False
        return True

    def _kept(self, decoded: Iterable[tuple[str, Pictures]]) -> Iterator[tuple[str, Pictures]]:
        """Those that have moved on, and are not finished."""
        for name, pictures in decoded:
            if self._is_enough(self.num_new):
                return
            if self._gate is not None and not self._gate.passes(pictures[0]):
                self.num_still += 1
                continue
            if self._gate is not None and self._folder.is_resumed and self._folder.is_finished(name):
                self.num_old += 1
                continue
            self.num_new += 1
            yield name, pictures

    def _is_enough(self, num_new: int) -> bool:
        return self._options.max_pairs is not None and num_new + self.num_old >= self._options.max_pairs

    def _begun(self, kept: Iterator[tuple[str, Pictures]]) -> Iterator[tuple[str, Pictures]]:
        """All of `kept`; before the first one is handed on, some were judged and the folder was begun."""
        first = []
        for item in kept:
            first.append(item)
            if len(first) == PROBED:
                break
        if first:
            self._begin([pictures for _, pictures in first])
        yield from first
        yield from kept

    def _begin(self, first: list[Pictures]) -> None:
        """Judge the first pairs and begin the folder; a resumed run goes by what was found at its start."""
        facts = self._folder.facts
        if not facts:
            rows = check_rows(first, self._rectification, self._footage.title)
            bits = self._options.bits or significant_bits([picture for pictures in first for picture in pictures])
            facts = {"rows": asdict(rows), "bits": bits}
        self.rows = RowCheck(**facts["rows"])
        self._shift = max(0, 16 - facts["bits"]) if facts["bits"] > 8 else 0
        if self._shift and self._options.bits is None:
            self.notes.append(f"16-bit pictures that use {facts['bits']} bits were brightened; --bits says otherwise")
        rectification = self._rectification
        centre = (rectification.cx_px, rectification.cy_px)
        self._folder.begin(rectification.rig, centre, (rectification.left.valid, rectification.right.valid), facts)

    def _write(self, name: str, left: np.ndarray, right: np.ndarray) -> None:
        try:
            first, second, _, _ = self._rectification.apply(left, right)
        except UserError as error:
            raise UserError(f"pair {name}: {error}") from None
        self._folder.write(name, self._stored(name, first), self._stored(name, second))

    def _stored(self, name: str, picture: np.ndarray) -> np.ndarray:
        """As bright as the file's type allows, in a depth that the format holds."""
        if picture.dtype != np.uint16:
            return picture
        shift = self._shift
        if shift and int(picture.max()) >> (16 - shift):
            raise UserError(
                f"pair {name} holds values up to {int(picture.max())}, the first pictures used {16 - shift} bits only: "
                "give --bits 16 and another --out"
            )
        picture = picture << shift
        return (picture >> 8).astype(np.uint8) if self._options.suffix == "jpg" else picture

    def _expected(self) -> int:
        return self._footage.num_pairs if self._options.max_pairs is None else 0


def _open(paths: tuple[Path, ...], calibration: str | Path, options: RectifyOptions) -> Footage:
    try:
        view_size = read_calibration(calibration, unit=options.unit).size
    except UserError:  # many files do not state a size; if anything else is wrong it is said once the size is known
        view_size = None
    return open_source(paths, replace(options.source, view_size=view_size, max_pairs=options.max_pairs))


def _raw_size(footage: Footage) -> tuple[int, int]:
    """(height, width) of the raw pictures, from the first pair; `UserError` when its views differ."""
    for raw in footage.pairs(lambda index, _: index == 0):
        assert isinstance(raw, RawPair)
        left, right = raw.load()
        if left.shape[:2] != right.shape[:2]:
            sizes = " and ".join(f"{view.shape[1]}x{view.shape[0]}" for view in (left, right))
            raise UserError(f"{footage.title}: left and right pictures differ in size, {sizes} (pair {raw.name})")
        return left.shape[0], left.shape[1]
    raise UserError(f"{footage.title}: not a single pair in it")


def _settings(
    paths: tuple[Path, ...], calibration: StereoCalibration, rectification: Rectification, options: RectifyOptions
) -> dict[str, Any]:
    """What decides about the content of the folder; `--max-pairs` may be raised later."""
    views = rectification.views
    numbers = (calibration.left.matrix, calibration.left.distortion, calibration.right.matrix,
               calibration.right.distortion, views.rotation_left, views.rotation_right, views.projection_left,
               views.projection_right)  # fmt: skip
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(part, np.float64).tobytes() for part in numbers))
    source = options.source
    return {
        "source": [str(path.absolute()) for path in paths],
        "calibration": calibration.source,
        "rectification": digest.hexdigest()[:16],
        "size": list(rectification.size),
        "layout": source.layout,
        "topics": list(source.topics or ()),
        "offset_frames": source.offset_frames,
        "tolerance_ms": source.tolerance_ms,
        "bayer": source.bayer,
        "bits": options.bits,
        "every": options.every,
        "min_motion_px": options.min_motion_px,
        "format": options.suffix,
    }
