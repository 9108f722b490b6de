"""Frames of a video file by number, from a decoder that never crosses a fork."""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path

import cv2
import numpy as np

from stereodistill.errors import UserError
from stereodistill.io.files import check_readable, shown
from stereodistill.io.images import MAX_PIXELS, quiet_opencv

_FFMPEG_LOG_LEVEL = "OPENCV_FFMPEG_LOGLEVEL"
_FFMPEG_QUIET = "-8"


class VideoDecoder:
    """Random access to the frames of a video file; fastest in order.

    FFmpeg decodes in threads.  A process that forks (a training run's loader workers) hands a copy of the decoder to
    the child, but not its threads, and the child would wait for them for ever as soon as it let go of the copy.  So
    every open decoder is closed before a fork, whoever forks, and opened again by whoever reads next.  A pickled
    decoder opens the file for itself too.  Threads take turns.
    """

    def __init__(self, path: str | Path):
        check_readable(path)
        self.path = path
        self._reset()

    def __getstate__(self) -> dict:
        return {"path": self.path}

    def __setstate__(self, state: dict) -> None:
        self.path = state["path"]
        self._reset()

    def stated_frames(self) -> int:
        """The number of frames that the file states, 0 when it does not say; `UserError` for what is no video."""
        with self._turn:
            return max(0, int(self._open().get(cv2.CAP_PROP_FRAME_COUNT)))

    def stated_size(self) -> tuple[int, int]:
        """(height, width) of the frames as the file states it; `UserError` for what is no video."""
        with self._turn:
            video = self._open()
            return int(video.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(video.get(cv2.CAP_PROP_FRAME_WIDTH))

    def count(self) -> int:
        """The number of frames that can really be decoded (containers often promise more).

        Raises:
            UserError: not a video, or not a single frame can be decoded.
        """
        promised = self.stated_frames()
        if promised and self.frame(promised - 1) is not None:
            return promised
        with self._turn:
            self._close()
            video, num_frames = self._open(), 0
            with quiet_opencv():
                while video.grab():
                    num_frames += 1
            self._close()
        if num_frames == 0:
            raise UserError(f"{shown(self.path)}: no frame can be decoded; convert it, for example to H.264 in .mp4")
        return num_frames

    def frame(self, index: int) -> np.ndarray | None:
        """Frame `index`, float32 (height, width, 3) RGB in [0, 1]; None past the end or where it is damaged."""
        with self._turn:
            video = self._open()
            try:
                with quiet_opencv():
                    if index != self._next:
                        video.set(cv2.CAP_PROP_POS_FRAMES, index)
                    complete, frame = video.read()
            except cv2.error:
                complete, frame = False, None
            self._next = index + 1 if complete else -1
        if not complete or frame is None:
            return None
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).astype(np.float32) / np.float32(255)

    def close(self) -> None:
        """Let go of the decoder; the next read opens the file again."""
        with self._turn:
            self._close()

    def _reset(self) -> None:
        self._turn = threading.RLock()
        self._video: cv2.VideoCapture | None = None
        self._next = 0
        with _registering:
            _decoders.add(self)

    def _open(self) -> cv2.VideoCapture:
        if self._video is None:
            self._video, self._next = _open(self.path), 0
        return self._video

    def _close(self) -> None:
        if self._video is not None:
            self._video.release()
            self._video = None


def _open(path: str | Path) -> cv2.VideoCapture:
    os.environ.setdefault(_FFMPEG_LOG_LEVEL, _FFMPEG_QUIET)  # its complaints would stand beside our one line
    try:
        with quiet_opencv():
            # An explicit backend: the others read "frame_%d.png" patterns and devices where a file was meant.
            video = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)
            opened = video.isOpened()
            width, height = (video.get(key) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    except cv2.error:
        opened, video, width, height = False, None, 0, 0
    if video is None or not opened:
        raise UserError(
            f"{shown(path)} is not a whole video that can be read: copy it again, or convert it to MP4 (H.264)"
        )
    if width * height > MAX_PIXELS:
        video.release()
        raise UserError(f"{shown(path)} claims frames of {width:.0f} x {height:.0f} pixels: too large to read")
    return video


_decoders: weakref.WeakSet[VideoDecoder] = weakref.WeakSet()
_registering = threading.RLock()


_held: list[VideoDecoder] = []
"""Decoders whose turn a fork in progress has; guarded by `_registering`."""


def _before_fork() -> None:
    """Close every decoder, and keep it closed until the fork is over."""
    _registering.acquire()
    _held[:] = _decoders
    for decoder in _held:
        decoder._turn.acquire()
        decoder._close()


def _after_fork() -> None:
    for decoder in _held:
        decoder._turn.release()
    _held.clear()
    _registering.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
