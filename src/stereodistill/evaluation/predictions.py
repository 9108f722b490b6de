"""Finished predictions of any method as a source: one file for all images, or one file for each.

One file: `.npy`, or `.npz` with one array, of the shape (N, h, w), in the order of the data set's split; the field's
`disparities.npy` holds shares of the image width.  An `.npz` may also hold `names` (N,), then the order is checked.
A folder: a map for each pair, found by its name or, when all files are numbered, by its place in the split.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stereodistill.errors import UserError
from stereodistill.evaluation.estimate import UNITS
from stereodistill.evaluation.map_files import MAP_SUFFIXES, open_stack, read_map
from stereodistill.io.files import shown
from stereodistill.labels.files import label_name
from stereodistill.types import StereoPair


def open_predictions(
    path: str | Path,
    names: Sequence[str],
    *,
    unit: str | None = None,
    scale: float | None = None,
    limited: bool = False,
) -> Predictions:
    """What lies at `path` as a source for the pairs `names`.

    Args:
        unit: what the numbers mean (`evaluation.estimate.UNITS`); default: shares of the width for a stack, pixels
            for a folder.
        scale: factor from relative depth, or from the inverse of relative disparity, to metres.
        limited: `names` are only the first ones of the split; a stack may hold maps for all of it.

    Raises:
        UserError: nothing there, another number or order of maps than the split's, an unknown unit.
    """
    path = Path(path)
    unit = unit or ("disparity-px" if path.is_dir() else "disparity-width")
    if unit not in UNITS:
        raise UserError(f"unit {unit!r} is unknown: choose one of {', '.join(UNITS)}")
    if scale is not None and not (unit.endswith("-relative") and 0 < scale < float("inf")):
        raise UserError(
            f"scale {scale:g}: expected a factor above 0, with the unit depth-relative or disparity-relative"
        )
    if path.is_dir():
        return PredictionFolder(path, names, unit, scale)
    if not path.exists():
        raise UserError(f"{shown(path)}: no such file or folder of predictions")
    if path.suffix.lower() not in (".npy", ".npz"):
        raise UserError(
            f"{shown(path)}: one file for all images is an .npy or .npz of the shape (N, h, w); "
            "maps in single files are given as a folder"
        )
    return PredictionStack(path, names, unit, scale, limited)


class Predictions:
    """Common part: what the numbers mean, and their check."""

    def __init__(self, path: Path, names: Sequence[str], unit: str, scale: float | None):
        self.path, self.scale = path, scale
        self.places = {str(name): place for place, name in enumerate(names)}
        if len(self.places) < len(names):
            raise UserError(f"{shown(path)}: the data has two pairs of one name, so predictions cannot be told apart")
        self.given = unit
        self.unit = unit if scale is None else "depth-m"

    @property
    def name(self) -> str:
        """The path, and what the numbers mean unless they are pixels."""
        factor = "" if self.scale is None else f" x {self.scale:g} m"
        return f"{self.path}" + ("" if self.given == "disparity-px" else f" ({self.given}{factor})")

    def __call__(self, pair: StereoPair) -> tuple[np.ndarray, np.ndarray]:
        values, origin = self.read(str(pair.name))
        known = np.isfinite(values) & (values != 0)
        _refuse_other_unit(values[known], values.shape[1], self.given, origin)
        known &= values > 0
        if self.scale is not None:
            values = np.where(known, values, np.float32(1))
            values = self.scale * (1 / values if self.given.startswith("disparity") else values)
        return values.astype(np.float32), known

    def read(self, name: str) -> tuple[np.ndarray, str]:
        """(h, w) float32 numbers of the pair called `name`, and how to name them in a message."""
        raise NotImplementedError


class PredictionStack(Predictions):
    """One file for all images; an `.npy` stays on disk, so memory does not grow with it."""

    def __init__(self, path: Path, names: Sequence[str], unit: str, scale: float | None, limited: bool):
        super().__init__(path, names, unit, scale)
        self.maps, order = open_stack(path)
        num = len(self.maps)
        if num < len(names) or (num > len(names) and not limited):
            raise UserError(
                f"{shown(path)} holds {num} maps, the data {len(names)} images: expected one map for each image, "
                "in the order of the split"
            )
        for place, (mine, theirs) in enumerate(zip(names, order or (), strict=False)):
            if mine != theirs:
                raise UserError(
                    f"{shown(path)}: its names are in another order than the split: place {place} is "
                    f"{theirs!a}, expected {mine!a}"
                )

    def read(self, name: str) -> tuple[np.ndarray, str]:
        """The map at the pair's place."""
        place = self.places[name]
        return np.asarray(self.maps[place], dtype=np.float32), f"{shown(self.path)}, map {place}"


class PredictionFolder(Predictions):
    """A file for each pair: NAME or its last part, or a number; also in `disparity/`, where `label` puts them."""

    def __init__(self, path: Path, names: Sequence[str], unit: str, scale: float | None):
        super().__init__(path, names, unit, scale)
        inside = path / "disparity"
        self.folder = inside if inside.is_dir() else path
        self.numbered = None if any(self._candidates(name) for name in self.places) else self._numbered()

    def read(self, name: str) -> tuple[np.ndarray, str]:
        """The pair's file."""
        found = self._candidates(name) if self.numbered is None else [self.numbered[self.places[name]]]
        if len(found) != 1:
            state = "no prediction" if not found else f"{len(found)} predictions"
            num = sum(bool(self._candidates(other)) for other in self.places)
            raise UserError(
                f"{shown(self.folder)}: {state} for pair {name!r} ({num} of {len(self.places)} pairs have one): "
                f"expected exactly one of {', '.join(label_name(name) + suffix for suffix in MAP_SUFFIXES)}"
            )
        return read_map(found[0]), shown(found[0])

    def _candidates(self, name: str) -> list[Path]:
        # Not with_suffix: a pair may be called `drive.0001`.  A name with folders may be written flat.
        below = label_name(name)
        stems = dict.fromkeys((below, below.replace("/", "_")))
        paths = (self.folder / f"{stem}{suffix}" for stem in stems for suffix in MAP_SUFFIXES)
        return [path for path in paths if path.is_file()]

    def _numbered(self) -> list[Path]:
        """Files 0, 1, 2 ... (or from 1), one for each pair, by number."""
        files = [path for path in self.folder.iterdir() if path.suffix.lower() in MAP_SUFFIXES]
        where, num = shown(self.folder), len(self.places)
        if not files or not all(path.stem.isascii() and path.stem.isdigit() for path in files):
            example = next(iter(self.places), "NAME")
            raise UserError(
                f"{where}: no prediction for any of the {num} pairs ({len(files)} maps there): name them after the "
                f"pairs, for example {label_name(example)}.png, or number them in the order of the split"
            )
        files.sort(key=lambda path: int(path.stem))
        first = int(files[0].stem)
        if len(files) != num or first > 1 or [int(path.stem) for path in files] != list(range(first, first + num)):
            raise UserError(
                f"{where}: {len(files)} numbered maps, {files[0].name} to {files[-1].name}, for {num} pairs: expected "
                f"0 to {num - 1} (or 1 to {num}) in the order of the split, none left out"
            )
        return files


def _refuse_other_unit(known: np.ndarray, width: int, unit: str, origin: str) -> None:
    """Numbers that cannot be what they are said to be."""
    if not known.size:
        return
    largest, negative = float(known.max()), float((known < 0).mean())
    if negative > 0.5:
        raise UserError(f"{origin}: {negative:.0%} of its numbers are negative; {unit} is positive: change the sign")
    if unit == "disparity-width" and largest > 1:
        raise UserError(
            f"{origin}: numbers up to {largest:.6g} are no shares of the image width; say what they are, "
            "for example --unit disparity-px"
        )
    if unit == "disparity-px" and largest > width:
        raise UserError(
            f"{origin}: the largest number, {largest:.6g}, exceeds the width of {width} px; "
            "is it another unit, for example --unit depth-m?"
        )
