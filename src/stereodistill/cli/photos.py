"""Photos from wherever they come, one after another, to depth files."""

from __future__ import annotations

import glob
import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stereodistill.cameras.one_view import RawCamera
from stereodistill.cli.options import refuse_width_alone
from stereodistill.data.layouts import list_images, pair_name
from stereodistill.errors import UserError
from stereodistill.io.images import read_image
from stereodistill.io.lock import one_per_out
from stereodistill.io.video import VIDEO_SUFFIXES, num_frames, read_frames
from stereodistill.predict import DepthMap, MonoPredictor
from stereodistill.progress import progress

FILES = {"depth16": ".png", "npy": ".npy", "color": ".jpg", "ply": ".ply", "disparity": ".pfm"}
"""Kind of result -> suffix, by which `DepthMap.save` knows what to write."""
NEEDS_METRES = ("depth16", "npy", "ply")


@dataclass(frozen=True)
class Photos:
    """Named images (height, width, 3) in [0, 1], read one at a time; `num` 0 = nobody knows."""

    num: int
    images: Iterator[tuple[str, np.ndarray]]


def kinds_of(save: str | None) -> tuple[str, ...]:
    """The kinds in `depth16,color`; empty = the user did not say."""
    kinds = tuple(filter(None, (kind.strip() for kind in (save or "").split(","))))
    for kind in kinds:
        if kind not in FILES:
            raise UserError(f"--save {kind!r} is unknown: choose from {', '.join(FILES)}")
    if save is not None and not kinds:
        raise UserError(f"--save is empty: choose from {', '.join(FILES)}")
    return kinds


def find_photos(source: str, limit: int | None = None, out: Path | None = None) -> Photos:
    """The images of a file, folder, glob, video or camera number; UserError when there are none.

    What an earlier run wrote to `out` is no input, although it may lie below the folder.
    """
    path = Path(source)
    if source.isascii() and source.isdecimal() and len(source) < 10 and not path.exists():
        return _frames(int(source), f"camera{source}", 0, limit)
    if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES:
        return _frames(path, path.stem, num_frames(path), limit)
    if path.is_dir():
        paths, root = list_images(path), path
    elif path.is_file():
        paths, root = [path], path.parent
    else:
        paths = [p for p in map(Path, sorted(glob.glob(source, recursive=True))) if p.is_file()]
        root = _common_folder(paths)
    if out is not None and len(paths) > 1:
        ours = {Path(os.path.realpath(out / kind)) for kind in FILES}
        paths = [p for p in paths if ours.isdisjoint(Path(os.path.realpath(p)).parents)]
    if not paths:
        raise UserError(f"{source}: no images there; expected an image, folder, glob, video or the number of a camera")
    paths = paths[:limit]
    return Photos(len(paths), ((name, read_image(p)) for name, p in zip(_names(paths, root), paths, strict=True)))


@one_per_out
def predict_all(
    photos: Photos,
    predictor: MonoPredictor,
    out: Path,
    kinds: Sequence[str],
    focal_px: float | None,
    width: int | None,
    post_process: bool = False,
    camera: RawCamera | None = None,
) -> tuple[int, Sequence[str]]:
    """Write `out/KIND/NAME.*` for every photo; returns their number and the kinds that were written.

    `camera`: the photos are raw ones of it; they are undistorted, and the maps are those of the undistorted pictures.
    """
    refuse_width_alone(focal_px, width)
    if not kinds:
        kinds = ("depth16", "color") if predictor.training_rig is not None else ("disparity", "color")
    elif predictor.training_rig is None and (metric := [kind for kind in kinds if kind in NEEDS_METRES]):
        raise UserError(
            f"--save {metric[0]} needs metres, but these weights were trained without a rig: choose disparity or "
            "color, or train with --focal-px and --baseline-m"
        )
    done = 0
    with progress("predicting") as report:
        for name, image in photos.images:
            seen = None
            if camera is not None:
                image, seen, focal_px = camera.undistorted(image)
                width = image.shape[1]
            depth: DepthMap = predictor.predict(image, focal_px=focal_px, width=width, post_process=post_process)
            if seen is not None:  # nothing is known about what the camera did not see
                depth = replace(depth, disparity_px=np.where(seen, depth.disparity_px, 0))
            for kind in kinds:
                depth.save(out / kind / f"{name}{FILES[kind]}")
            done += 1
            report(done, photos.num)
    return done, kinds


def _frames(source: Path | int, stem: str, num: int, limit: int | None) -> Photos:
    frames = itertools.islice(read_frames(source), limit)
    known = min(num, limit) if num and limit else num
    return Photos(known, ((f"{stem}_{number:06d}", frame) for number, frame in enumerate(frames)))


def _common_folder(paths: Sequence[Path]) -> Path:
    folders = [path.absolute().parent for path in paths]
    first = folders[0] if folders else Path()
    return (
        next(p for p in (first, *first.parents) if all(f == p or p in f.parents for f in folders)) if paths else first
    )


def _names(paths: Sequence[Path], root: Path) -> list[str]:
    """Paths below `root` without their suffix; with it where two images would get the same name."""
    below = [path.absolute().relative_to(root.absolute()) for path in paths]
    names = [pair_name(path.with_suffix("")) for path in below]
    while True:
        count = Counter(names)
        wanted = [pair_name(path) if count[name] > 1 else name for path, name in zip(below, names, strict=True)]
        if wanted == names:  # a.png beside a.jpg takes the whole name, and then a.png.png has to as well
            return names
        names = wanted
