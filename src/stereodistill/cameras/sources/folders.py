"""Raw pairs as picture files: two folders, KITTI raw drives, EuRoC/ASL recordings."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from stereodistill.cameras.sources.footage import Pictures, RawPair, SourceOptions, Wanted
from stereodistill.cameras.sources.pictures import read_picture
from stereodistill.cameras.sources.times import match_lists, stamp_of_name
from stereodistill.data.layouts import find_pairs, list_images, natural_key
from stereodistill.errors import UserError

_KITTI_VIEWS = (("image_02", "image_03"), ("image_00", "image_01"))
_SIDE_WORDS = re.compile(r"left|right|cam(era)?_?[01]", re.IGNORECASE)


class PictureFiles:
    """Pairs of picture files."""

    def __init__(
        self, title: str, pairs: Sequence[tuple[str, Path, Path]], options: SourceOptions, notes: Sequence[str] = ()
    ):
        self.title, self.notes = title, list(notes)
        self._pairs, self._bayer = list(pairs), options.bayer
        self.num_pairs = len(self._pairs)

    def pairs(self, wanted: Wanted) -> Iterator[RawPair | None]:
        """See `Footage.pairs`."""
        for index, (name, left, right) in enumerate(self._pairs):
            yield RawPair(name, partial(self._load, left, right)) if wanted(index, name) else None

    def _load(self, left: Path, right: Path) -> Pictures:
        return read_picture(left, self._bayer), read_picture(right, self._bayer)


def open_folder(path: Path, options: SourceOptions) -> PictureFiles:
    """`left/` + `right/` and every other layout that `open_dataset` tells apart by names."""
    found = find_pairs(path, options.layout)
    if found.unpaired:
        lonely, total = found.unpaired[0], len(found.pairs) + len(found.unpaired)
        sides = _two_folders_in(path)
        if sides is not None:
            return open_two_folders(*sides, options)
        raise UserError(
            f"{path}: one view missing for {len(found.unpaired)} of {total} names, for example {lonely} has no partner "
            "of that name; add the missing pictures or remove the lonely ones"
        )
    first = found.pairs[0]
    note = f"left: {first.left.parent.name}/{first.left.name}, right: {first.right.parent.name}/{first.right.name}, ..."
    return PictureFiles(
        f"picture files in {path}", [(pair.name, pair.left, pair.right) for pair in found.pairs], options, [note]
    )


def open_two_folders(left: Path, right: Path, options: SourceOptions) -> PictureFiles:
    """One folder for each camera: matched by name, else by time stamp, else by the number in the name."""
    files = [list_images(folder) for folder in (left, right)]
    for folder, listed in zip((left, right), files, strict=True):
        if not listed:
            raise UserError(f"{folder}: no pictures there")
    title = f"picture folders {left} and {right}"
    stems = [{file.relative_to(folder).with_suffix("").as_posix(): file for file in listed}
             for folder, listed in zip((left, right), files, strict=True)]  # fmt: skip
    common = stems[0].keys() & stems[1].keys()
    if len(common) == len(stems[0]) == len(stems[1]):
        names = sorted(common, key=natural_key)
        return PictureFiles(title, [(name, stems[0][name], stems[1][name]) for name in names], options)
    stamps = [[(stamp_of_name(file.stem), file) for file in listed] for listed in files]
    if all(stamp is not None for side in stamps for stamp, _ in side):
        first, second = ([(stamp, file) for stamp, file in side if stamp is not None] for side in stamps)
        return _stamped(title, first, second, options)
    keys = [{_SIDE_WORDS.sub("", stem): file for stem, file in side.items()} for side in stems]
    if keys[0].keys() == keys[1].keys() and len(keys[0]) == len(stems[0]):
        names = sorted(keys[0], key=natural_key)
        pairs = [(name.strip("_-. ") or name, keys[0][name], keys[1][name]) for name in names]
        return PictureFiles(title, pairs, options)
    lonely = sorted(stems[0].keys() ^ stems[1].keys(), key=natural_key)
    raise UserError(
        f"{left} holds {len(files[0])} pictures, {right} {len(files[1])}; {len(lonely)} names have no partner on the "
        f"other side, for example {lonely[0]}; partners have the same name, or names that are time stamps"
    )


def find_euroc(path: Path) -> tuple[Path, Path] | None:
    """The two camera folders (`cam0`, `cam1`) of a EuRoC/ASL recording; None where there are none."""
    for root in (path, path / "mav0"):
        cameras = root / "cam0", root / "cam1"
        if all(camera.is_dir() for camera in cameras):
            return cameras
    return None


def open_euroc(cameras: tuple[Path, Path], options: SourceOptions) -> PictureFiles:
    """EuRoC/ASL: `cam0/data/STAMP.png`, `cam1/data/STAMP.png`, stamps in nanoseconds, or in `data.csv`."""
    left, right = (_euroc_pictures(camera) for camera in cameras)
    if left is None or right is None:
        first, second = ((camera / "data" if (camera / "data").is_dir() else camera) for camera in cameras)
        return open_two_folders(first, second, options)
    return _stamped(f"EuRoC/ASL recording {cameras[0].parent}", left, right, options)


def find_kitti_drive(path: Path) -> tuple[Path, Path] | None:
    """The two camera folders of a KITTI raw drive that has a time stamp for each picture; None for anything else."""
    for names in _KITTI_VIEWS:
        cameras = path / names[0], path / names[1]
        if all((camera / "data").is_dir() and (camera / "timestamps.txt").is_file() for camera in cameras):
            return cameras
    return None


def open_kitti_drive(cameras: tuple[Path, Path], options: SourceOptions) -> PictureFiles:
    """A KITTI raw drive (`..._extract` is the unrectified form), its views matched by `timestamps.txt`."""
    first, second = (_kitti_pictures(camera) for camera in cameras)
    found, note = match_lists(first, second, options.tolerance_ms, str(cameras[0].parent))
    pairs = [(left.stem, left, right) for _, left, right in found]
    views = f"left: {cameras[0].name}, right: {cameras[1].name}"
    return PictureFiles(f"KITTI raw drive {cameras[0].parent}", pairs, options, [views, note])


def _stamped(
    title: str, left: list[tuple[int, Path]], right: list[tuple[int, Path]], options: SourceOptions
) -> PictureFiles:
    found, note = match_lists(left, right, options.tolerance_ms, title)
    return PictureFiles(title, [(str(stamp), first, second) for stamp, first, second in found], options, [note])


def _two_folders_in(path: Path) -> tuple[Path, Path] | None:
    for left, right in (("left", "right"), *((f"{left}/data", f"{right}/data") for left, right in _KITTI_VIEWS)):
        if (path / left).is_dir() and (path / right).is_dir():
            return path / left, path / right
    return None


def _euroc_pictures(camera: Path) -> list[tuple[int, Path]] | None:
    """(stamp, file) of one camera; None where neither the table nor the names say when a picture was taken."""
    folder = camera / "data" if (camera / "data").is_dir() else camera
    files = {file.name: file for file in list_images(folder)}
    if not files:
        raise UserError(f"{folder}: no pictures there")
    table = camera / "data.csv"
    if table.is_file():
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file, skipinitialspace=True) if row and not row[0].startswith("#")]
        listed = [(int(row[0]), files[row[1].strip()]) for row in rows
                  if len(row) > 1 and row[0].strip().isdigit() and row[1].strip() in files]  # fmt: skip
        if listed:
            return listed
    stamped = [(stamp_of_name(file.stem), file) for file in files.values()]
    return None if any(stamp is None for stamp, _ in stamped) else [(s, f) for s, f in stamped if s is not None]


def _kitti_pictures(camera: Path) -> list[tuple[int, Path]]:
    lines = (camera / "timestamps.txt").read_text(encoding="utf-8").split("\n")
    stamps = {index: _kitti_stamp(line) for index, line in enumerate(lines) if line.strip()}
    files = [file for file in list_images(camera / "data") if file.stem.isdigit() and int(file.stem) in stamps]
    if not files:
        raise UserError(f"{camera}: no picture of data/ has a line in timestamps.txt")
    return [(stamps[int(file.stem)], file) for file in files]


def _kitti_stamp(line: str) -> int:
    """`2011-09-26 13:02:25.964389445` in nanoseconds."""
    whole, _, part = line.strip().partition(".")
    try:
        seconds = datetime.strptime(whole, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
        return int(seconds) * 1_000_000_000 + int(part.ljust(9, "0")[:9] or 0)
    except ValueError:
        raise UserError(f"timestamps.txt: expected `2011-09-26 13:02:25.964389445`, found {line.strip()!r}") from None
