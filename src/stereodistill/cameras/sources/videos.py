"""Two videos, one of each camera."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from stereodistill.cameras.sources.footage import Pictures, RawPair, SourceOptions, Wanted
from stereodistill.errors import UserError
from stereodistill.io.files import check_readable, shown
from stereodistill.io.images import MAX_PIXELS, quiet_opencv

_MISSING_SHARE = 0.02
"""Containers overstate the number of their frames a little; more than this is missing from a truncated one."""
_MISSING_FRAMES = 5


class FrameStream:
    """The frames of a video file from first to last; those that are only grabbed cost no conversion."""

    def __init__(self, path: Path):
        check_readable(path)
        self.path, self.num_grabbed = path, 0
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # its complaints would stand beside our one line
        with quiet_opencv():
            self._video = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)
        if not self._video.isOpened():
            raise UserError(f"{shown(path)} is not a whole video that can be read: copy it again, or convert it to MP4")
        self.size = (self._number(cv2.CAP_PROP_FRAME_HEIGHT), self._number(cv2.CAP_PROP_FRAME_WIDTH))
        if self.size[0] * self.size[1] > MAX_PIXELS:
            raise UserError(f"{shown(path)} claims frames of {self.size[1]} x {self.size[0]} pixels: too large to read")
        self.num_stated = max(0, self._number(cv2.CAP_PROP_FRAME_COUNT))

    def __enter__(self) -> FrameStream:
        return self

    def __exit__(self, *_: object) -> None:
        self._video.release()

    def grab(self) -> bool:
        """Go to the next frame; False at the end."""
        with quiet_opencv():
            found = self._video.grab()
        self.num_grabbed += found
        return found

    def frame(self) -> np.ndarray:
        """The frame that was grabbed last, uint8 (H, W, 3) RGB."""
        with quiet_opencv():
            found, frame = self._video.retrieve()
        if not found:
            raise UserError(f"{shown(self.path)}: frame {self.num_grabbed - 1} cannot be decoded; copy it again")
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)

    def refuse_truncated(self) -> None:
        """At the end: raise `UserError` when clearly fewer frames were there than the file states."""
        missing = self.num_stated - self.num_grabbed
        if self.num_grabbed == 0 or missing > max(_MISSING_FRAMES, _MISSING_SHARE * self.num_stated):
            raise UserError(
                f"{shown(self.path)} is truncated: it states {self.num_stated} frames, {self.num_grabbed} can be "
                f"decoded; copy it again, or use those with --max-pairs"
            )

    def _number(self, key: int) -> int:
        return int(self._video.get(key))


class TwoVideos:
    """Frame i of the left video with frame i + `offset_frames` of the right one."""

    def __init__(self, left: Path, right: Path, options: SourceOptions):
        self._paths, self._offset = (left, right), options.offset_frames
        with FrameStream(left) as first, FrameStream(right) as second:
            self._sizes = first.size, second.size
            self._stated = first.num_stated, second.num_stated
        if self._sizes[0] != self._sizes[1]:
            sizes = " and ".join(f"{width}x{height}" for height, width in self._sizes)
            raise UserError(f"{left} and {right}: both videos must have frames of one size, found {sizes}")
        remaining = (self._stated[0] - max(0, -self._offset), self._stated[1] - max(0, self._offset))
        self.title = f"videos {left} and {right}"
        self.num_pairs = max(0, min(remaining))
        self.notes = [f"left: {left.name}, right: {right.name}, offset {self._offset} frames"]
        if self.num_pairs == 0 and min(self._stated) > 0:
            raise UserError(
                f"{self.title}: an offset of {self._offset} frames leaves nothing of {self._stated[0]} and "
                f"{self._stated[1]} frames"
            )
        differ = abs(remaining[0] - remaining[1]) > max(_MISSING_FRAMES, _MISSING_SHARE * max(remaining))
        if differ and options.max_pairs is None:
            raise UserError(
                f"{self.title} differ in length: {remaining[0]} and {remaining[1]} frames after the offset of "
                f"{self._offset}; check --offset-frames, or take the common part with --max-pairs {self.num_pairs}"
            )

    def pairs(self, wanted: Wanted) -> Iterator[RawPair | None]:
        """See `Footage.pairs`; a video that breaks off is told at its end."""
        with FrameStream(self._paths[0]) as left, FrameStream(self._paths[1]) as right:
            streams = (left, right)
            for stream, num_skipped in zip(streams, (max(0, -self._offset), max(0, self._offset)), strict=True):
                for _ in range(num_skipped):
                    stream.grab()
            index = left.num_grabbed
            while True:
                found = [stream.grab() for stream in streams]
                if not all(found):
                    break
                name = f"{self._paths[0].stem}_{index:06d}"
                pictures: Pictures | None = (left.frame(), right.frame()) if wanted(index, name) else None
                yield None if pictures is None else RawPair(name, lambda pictures=pictures: pictures)
                index += 1
            for stream, more in zip(streams, found, strict=True):
                if not more:
                    stream.refuse_truncated()
