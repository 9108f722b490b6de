"""The job: nearly rectified pairs, mended from their own matches, to a folder of pairs whose rows agree."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stereodistill.cameras.matches import MIN_MATCHES, WORKING_WIDTH, Matches, match_views
from stereodistill.cameras.output import PairFolder
from stereodistill.cameras.rigid import Correction, estimate, mended
from stereodistill.cameras.sources.footage import Pictures
from stereodistill.cameras.sources.pictures import read_picture
from stereodistill.data.dataset import StereoDataset
from stereodistill.data.folder import PairDataset, open_dataset
from stereodistill.data.rigs import Calibration
from stereodistill.errors import UserError
from stereodistill.io.calibration import read_centre
from stereodistill.io.images import image_size
from stereodistill.io.lock import one_per_out
from stereodistill.types import OwnWidthRig, Rig

MOST_PAIRS = 40
"""On so many pairs, spread evenly, the correction is estimated."""
LEAST_MATCHES = 150
"""In all pairs together."""

_RAW_PX = 10.0
_REMAINING_PX = 0.6
_ODD_PAIR_PX = 1.0
_ODD_SHARE = 0.25
_ROW_INLIER_PX = 1.0
_FAR_SHARE = 0.005
_FAR_PX = -1.0
_CHECKED = 10
_LEAST_KEPT = 0.7


@dataclass(frozen=True, kw_only=True)
class RefineSummary:
    """What `refine_pairs` did."""

    out: Path
    num_pairs: int
    num_measured: int
    correction: Correction
    rows_before_px: float
    rows_after_px: float
    """Medians of `|y_right - y_left|`, of matches found in the pictures before and, anew, in the mended ones."""
    notes: tuple[str, ...]


@one_per_out
def refine_pairs(
    pairs: str | Path,
    out: str | Path,
    *,
    layout: str = "auto",
    rig: Rig | OwnWidthRig | None = None,
    suffix: str = "png",
    keep_fov: float = 0.0,
    report: Callable[..., None] | None = None,
) -> RefineSummary:
    """Estimate one rigid correction over many pairs and write all pairs mended, in the folder layout.

    Args:
        pairs: what `open_dataset` understands, with `layout` and `rig` as there; of one rig and one size.
        keep_fov: 0 cuts the border that becomes empty off all pictures, 1 keeps the size and marks it.

    Raises:
        UserError: too few matches, pairs that disagree (not one rig), rows that no rigid correction brings together.
    """
    report = report or (lambda *_: None)
    if keep_fov not in (0, 1):
        raise UserError(f"with --refine, --keep-fov is 0 (the empty border is cut off) or 1, found {keep_fov:g}")
    dataset = open_dataset(pairs, layout=layout, rig=rig)
    size = _one_size(dataset, pairs)
    found, known = _measure(dataset, report)
    focal_px = float(known.focal_px) if known.is_metric else float(size[1])
    unit_px = max(1.0, size[1] / WORKING_WIDTH)
    total = sum(len(matches) for matches in found.values())
    if total < LEAST_MATCHES:
        raise UserError(
            f"{pairs}: {total} matches in {len(found)} pairs are too few to mend a rig by ({LEAST_MATCHES} at least): "
            "give more pairs, with texture, of one scene and moment each"
        )
    before = float(np.median(np.abs(np.concatenate([matches.rows_px for matches in found.values()]))))
    if before > _RAW_PX * unit_px:
        raise UserError(
            f"{pairs}: rows are off by {before:.1f} px: raw pictures, not nearly rectified ones; they need a "
            "calibration: `stereodistill rectify SOURCE --calibration FILE --out pairs`"
        )
    correction = estimate(list(found.values()), focal_px)
    _refuse_disagreement(found, correction, unit_px, pairs)
    correction = replace(correction, shift_px=_shift(found, correction, known, unit_px))
    warp = _Warp(correction, keep_fov == 1)
    before, after = _rows_before_after(dataset, list(found), found, warp)
    if after > max(before, 0.3 * unit_px):
        raise UserError(
            f"{pairs}: rows are off by {before:.2f} px, and by {after:.2f} px after the correction: nothing to mend"
        )
    folder = _folder(Path(out), pairs, warp, suffix)
    num = _write(dataset, warp, folder, known, size, report)
    notes = [] if len(found) > 1 else ["one pair only: whether others of the rig agree is not known"]
    if not known.is_metric:
        notes.append("no rig.json: angles assume a focal length of one picture width")
    if any(_has_truth(dataset, index) for index in range(len(dataset))):
        notes.append("the ground truth was not carried over: it belongs to the old pictures")
    if warp.margin != (0, 0):
        notes.append(f"cut to {warp.size[1]}x{warp.size[0]}, the part that both views fill")
    return RefineSummary(
        out=Path(out), num_pairs=num, num_measured=len(found), correction=correction, rows_before_px=before,
        rows_after_px=after, notes=tuple(notes),
    )  # fmt: skip


class _Warp:
    """The two homographies as maps, and the part of the pictures that is kept."""

    def __init__(self, correction: Correction, keep_all: bool):
        self.correction = correction
        height, width = correction.size
        self._homographies = correction.homographies()
        full = [_filled(h, correction.size) for h in self._homographies]
        self.margin = (0, 0) if keep_all else _margin(full[0] & full[1])
        rows, columns = self.margin
        self.size = (height - 2 * rows, width - 2 * columns)
        shifted = [_offset(-columns, -rows) @ h for h in self._homographies]
        self._matrices = shifted
        seen_left, seen_right = (mask[rows : height - rows, columns : width - columns] for mask in full)
        self.seen = seen_left, seen_right

    def apply(self, left: np.ndarray, right: np.ndarray) -> Pictures:
        """Mended pictures of `size`; a view that only loses its border is not sampled anew."""
        first, second = (self._view(image, h) for image, h in zip((left, right), self._matrices, strict=True))
        return first, second

    def _view(self, image: np.ndarray, homography: np.ndarray) -> np.ndarray:
        rows, columns = self.margin
        if np.allclose(homography, _offset(-columns, -rows), atol=1e-9):
            return np.ascontiguousarray(image[rows : rows + self.size[0], columns : columns + self.size[1]])
        return cv2.warpPerspective(image, homography, self.size[::-1], flags=cv2.INTER_CUBIC)


def _measure(dataset: StereoDataset, report: Callable[..., None]) -> tuple[dict[int, Matches], Rig]:
    """Matches of a sample of pairs, and their rig."""
    sample = np.unique(np.linspace(0, len(dataset) - 1, min(len(dataset), MOST_PAIRS)).round().astype(int))
    rigs: list[Rig] = []
    found: dict[int, Matches] = {}
    total = len(sample) + len(dataset)

    def measure(index: int) -> tuple[Matches, Rig]:
        return match_views(*_pictures(dataset, index)), dataset.rig(index)

    with ThreadPoolExecutor(_num_workers()) as pool:
        for done, (index, (matches, rig)) in enumerate(zip(sample, pool.map(measure, sample.tolist())), 1):
            if len(matches) >= MIN_MATCHES:
                found[int(index)] = matches
            rigs.append(rig)
            report(done, total)
    focal_lengths = [float(rig.focal_px) for rig in rigs if rig.is_metric]
    if focal_lengths and max(focal_lengths) > 1.01 * min(focal_lengths):
        raise UserError(
            f"focal lengths from {min(focal_lengths):.1f} to {max(focal_lengths):.1f} px: pairs of several rigs; mend "
            "those of each rig apart"
        )
    return found, rigs[0]


def _refuse_disagreement(found: dict[int, Matches], correction: Correction, unit_px: float, pairs: str | Path) -> None:
    rows = [mended(matches, correction).rows_px for matches in found.values()]
    medians = np.array([np.median(values) for values in rows])
    odd = np.abs(medians - np.median(medians)) > _ODD_PAIR_PX * unit_px
    if odd.mean() > _ODD_SHARE:
        raise UserError(
            f"{pairs}: the pairs disagree: after the best common correction the rows of {odd.sum()} of {len(odd)} "
            f"pairs are still off, by up to {np.abs(medians[odd]).max():.1f} px: not one rig, or "
            "cameras that move against each other; mend pairs of one rig and one day at a time"
        )
    remaining = float(np.median(np.abs(np.concatenate(rows))))
    if remaining > _REMAINING_PX * unit_px:
        raise UserError(
            f"{pairs}: no rigid correction brings the rows together ({remaining:.1f} px remain): raw pictures with "
            "lens distortion?  Then `stereodistill rectify SOURCE --calibration FILE`"
        )


def _shift(found: dict[int, Matches], correction: Correction, rig: Rig, unit_px: float) -> float:
    """Columns between infinity, taken to be the farthest that is seen, and where the rig expects it; 0 = not known.

    Only a negative disparity proves anything: where nothing far is seen, all disparities are positive anyway.
    """
    disparity = []
    for matches in found.values():
        moved = mended(matches, correction)
        disparity.append(moved.disparity_px[np.abs(moved.rows_px) < _ROW_INLIER_PX * unit_px])
    offset_px = float(rig.doffs_px) if rig.is_metric else 0.0
    farthest = float(np.quantile(np.concatenate(disparity), _FAR_SHARE)) + offset_px
    return -farthest if farthest < _FAR_PX * unit_px else 0.0


def _rows_before_after(
    dataset: StereoDataset, indices: Sequence[int], found: dict[int, Matches], warp: _Warp
) -> tuple[float, float]:
    chosen = [indices[i] for i in np.unique(np.linspace(0, len(indices) - 1, _CHECKED).round().astype(int))]
    after = [np.abs(match_views(*warp.apply(*_pictures(dataset, index))).rows_px) for index in chosen]
    before = np.concatenate([np.abs(found[index].rows_px) for index in chosen])
    return float(np.median(before)), float(np.median(np.concatenate(after)))


def _folder(out: Path, pairs: str | Path, warp: _Warp, suffix: str) -> PairFolder:
    numbers = b"".join(h.round(6).tobytes() for h in warp.correction.homographies())
    settings = {
        "source": [str(Path(pairs).absolute())],
        "correction": hashlib.sha256(numbers).hexdigest()[:16],
        "size": list(warp.size),
        "format": suffix,
    }
    return PairFolder(out, settings, suffix)


def _write(
    dataset: StereoDataset,
    warp: _Warp,
    folder: PairFolder,
    rig: Rig,
    size: tuple[int, int],
    report: Callable[..., None],
) -> int:
    """Write every pair that is not there yet; returns how many there are then."""
    rows, columns = warp.margin
    centre = _centre(dataset, size[1])
    if centre is not None:
        centre = (centre[0] - columns, centre[1] - rows)
    figures, spread = warp.correction.figures(), warp.correction.spread
    folder.begin(replace(rig, width=warp.size[1]), centre, warp.seen, {"correction": figures, "spread": spread})
    begun = min(len(dataset), MOST_PAIRS)
    writes: deque[Future[None]] = deque()

    def write(index: int) -> None:
        folder.write(dataset.names[index], *map(_storable, warp.apply(*_pictures(dataset, index))))

    def _storable(image: np.ndarray) -> np.ndarray:
        return (image >> 8).astype(np.uint8) if image.dtype == np.uint16 and folder.suffix == "jpg" else image

    with ThreadPoolExecutor(_num_workers()) as pool:
        for index, name in enumerate(dataset.names):
            if not folder.is_finished(name):
                writes.append(pool.submit(write, index))
            while len(writes) > 2 * _num_workers():
                writes.popleft().result()
            report(begun + index + 1, begun + len(dataset))
        while writes:
            writes.popleft().result()
    folder.finish(num_pairs=len(dataset))
    return len(dataset)


def _one_size(dataset: StereoDataset, pairs: str | Path) -> tuple[int, int]:
    """(height, width) of all pictures; `UserError` when they differ."""
    if not isinstance(dataset, PairDataset):
        return dataset.load(0).size
    sizes: dict[tuple[int, int], str] = {}
    for index, name in enumerate(dataset.names):
        files = dataset.pair_files(index)
        for path in (files.left, files.right):
            sizes.setdefault(image_size(path), name)
        if len(sizes) > 1:
            told = " and ".join(f"{size[1]}x{size[0]} ({first})" for size, first in sizes.items())
            raise UserError(f"{pairs}: pictures of one rig have one size, found {told}; mend those of each size apart")
    return next(iter(sizes))


def _pictures(dataset: StereoDataset, index: int) -> Pictures:
    if isinstance(dataset, PairDataset):
        files = dataset.pair_files(index)
        return read_picture(files.left), read_picture(files.right)
    pair = dataset.load(index)
    left, right = (
        (view.image * 255).round().clamp(0, 255).byte().permute(1, 2, 0).numpy() for view in (pair.left, pair.right)
    )
    return left, right


def _centre(dataset: StereoDataset, width: int) -> tuple[float, float] | None:
    """The left camera's centre, where the pairs' rig.json states it."""
    if not isinstance(dataset, PairDataset):
        return None
    calibration: Any = dataset.pair_files(0).calibration
    return read_centre(calibration.path, width) if isinstance(calibration, Calibration) else None


def _has_truth(dataset: StereoDataset, index: int) -> bool:
    if not isinstance(dataset, PairDataset):
        return False
    files = dataset.pair_files(index)
    return files.disparity is not None or files.disparity_right is not None


def _filled(homography: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bool (H, W): pixels of the mended picture whose source lies inside the old one."""
    height, width = size
    y, x = np.indices(size)
    source = np.stack([x, y, np.ones(size)], axis=-1) @ np.linalg.inv(homography).T
    x, y = source[..., 0] / source[..., 2], source[..., 1] / source[..., 2]
    edge = 1e-6  # a view that stays as it is loses nothing to rounding
    return (x >= -edge) & (x <= width - 1 + edge) & (y >= -edge) & (y <= height - 1 + edge)


def _margin(filled: np.ndarray) -> tuple[int, int]:
    """(rows, columns) to cut off both sides, so that the centre stays the centre and nothing empty is left.

    Raises:
        UserError: that would be more than a nearly rectified pair can lose.
    """
    height, width = filled.shape
    rows = columns = 0
    while not (part := filled[rows : height - rows, columns : width - columns]).all():
        edges = {
            "rows": min(part[0].mean(), part[-1].mean()) if rows < height // 2 - 8 else 2.0,
            "columns": min(part[:, 0].mean(), part[:, -1].mean()) if columns < width // 2 - 8 else 2.0,
        }
        if edges["rows"] <= edges["columns"]:
            rows += 1
        else:
            columns += 1
        if (height - 2 * rows) * (width - 2 * columns) < _LEAST_KEPT * height * width:
            raise UserError(
                "the correction is so large that its empty border would take more than "
                f"{1 - _LEAST_KEPT:.0%} of the pictures; --keep-fov 1 keeps them whole, with the border marked"
            )
    return rows, columns


def _offset(columns: float, rows: float) -> np.ndarray:
    return np.array([[1, 0, columns], [0, 1, rows], [0, 0, 1.0]])


def _num_workers() -> int:
    return min(8, os.cpu_count() or 1)
