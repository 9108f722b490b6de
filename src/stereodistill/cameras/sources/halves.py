"""Pictures and videos that hold both views: side by side or one above the other."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from stereodistill.cameras.sources.footage import Pictures, RawPair, SourceOptions, Wanted
from stereodistill.cameras.sources.pictures import demosaic, read_picture
from stereodistill.cameras.sources.videos import FrameStream
from stereodistill.data.layouts import list_images
from stereodistill.errors import UserError

HALVES = {
    "sbs": "left view beside the right one",
    "rl": "right view beside the left one",
    "tb": "left view above the right one",
    "bt": "right view above the left one",
}


class HalvedPictures:
    """A folder of pictures that hold both views each."""

    def __init__(self, path: Path, options: SourceOptions):
        self._files = list_images(path)
        if not self._files:
            raise UserError(f"{path}: no pictures there")
        first = read_picture(self._files[0])
        self._layout = layout_of((first.shape[0], first.shape[1]), options, str(path))
        self._names = [file.relative_to(path).with_suffix("").as_posix() for file in self._files]
        self._bayer = options.bayer
        self.title, self.notes = f"pictures with both views in {path}", [HALVES[self._layout]]
        self.num_pairs = len(self._files)

    def pairs(self, wanted: Wanted) -> Iterator[RawPair | None]:
        """See `Footage.pairs`."""
        for index, (name, file) in enumerate(zip(self._names, self._files, strict=True)):
            yield RawPair(name, partial(self._load, file)) if wanted(index, name) else None

    def _load(self, file: Path) -> Pictures:
        return halves(read_picture(file, self._bayer), self._layout, str(file))


class HalvedVideo:
    """A video whose frames hold both views each."""

    def __init__(self, path: Path, options: SourceOptions):
        self._path, self._bayer = path, options.bayer
        with FrameStream(path) as stream:
            self.num_pairs = stream.num_stated
            self._layout = layout_of(stream.size, options, str(path))
        self.title, self.notes = f"video {path}", [HALVES[self._layout]]

    def pairs(self, wanted: Wanted) -> Iterator[RawPair | None]:
        """See `Footage.pairs`; a video that breaks off is told at its end."""
        with FrameStream(self._path) as stream:
            index = 0
            while stream.grab():
                name = f"{self._path.stem}_{index:06d}"
                yield RawPair(name, partial(self._split, stream.frame())) if wanted(index, name) else None
                index += 1
            stream.refuse_truncated()

    def _split(self, frame: np.ndarray) -> Pictures:
        if self._bayer is not None:  # stored as a grey video
            frame = demosaic(np.ascontiguousarray(frame[..., 1]), self._bayer, str(self._path))
        return halves(frame, self._layout, str(self._path))


def halves(picture: np.ndarray, layout: str, source: str) -> Pictures:
    """(left, right) of one picture that holds both; `UserError` when it cannot be halved."""
    axis = 1 if layout in ("sbs", "rl") else 0
    length = picture.shape[axis]
    if length < 2 or length % 2:
        side = ("rows", "columns")[axis]
        raise UserError(f"{source}: two views of one size need an even number of {side}, found {length}")
    first, second = np.split(picture, 2, axis=axis)
    first, second = np.ascontiguousarray(first), np.ascontiguousarray(second)
    return (first, second) if layout in ("sbs", "tb") else (second, first)


def layout_of(size: tuple[int, int], options: SourceOptions, source: str) -> str:
    """How two views share a picture of `size`: as told, else as the calibration's size makes it."""
    if options.layout in HALVES:
        return options.layout
    height, width = size
    if options.view_size is not None:
        aspect = options.view_size[1] / options.view_size[0]
        for layout, found in (("sbs", width / 2 / height), ("tb", width / (height / 2))):
            if abs(found / aspect - 1) < 0.01:
                return layout
    told = f"; the calibration's are {options.view_size[1]}x{options.view_size[0]}" if options.view_size else ""
    raise UserError(
        f"{source}: pictures of {width}x{height} are not two views in one{told}; say --layout sbs (side by side), rl, "
        "tb (top/bottom) or bt, or give one file or folder for each camera"
    )
