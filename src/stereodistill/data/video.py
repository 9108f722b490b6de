"""Side-by-side footage as a dataset: each frame or image holds the left view, and the right one beside it."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import torch

from stereodistill.data.layouts import list_images
from stereodistill.data.rigs import Calibration, rig_at, shared_calibration
from stereodistill.errors import UserError
from stereodistill.io.images import quiet_opencv, read_image
from stereodistill.io.video import split_side_by_side
from stereodistill.types import Rig, StereoPair, View


class SideBySideFolder:
    """Images that hold both views side by side; a rig's width is that of ONE view."""

    def __init__(self, path: Path, rig: Rig | None = None, limit: int | None = None):
        self._files = list_images(path)[:limit]
        if not self._files:
            raise UserError(f"{path}: no images; expected side-by-side pairs, both views in one image")
        self.names = [file.relative_to(path).with_suffix("").as_posix() for file in self._files]
        self._calibration = rig or shared_calibration(path, path, None)

    def __len__(self) -> int:
        return len(self._files)

    def load(self, index: int) -> StereoPair:
        """Pair `index`, without ground truth; a file that cannot be read or halved raises `UserError`."""
        return _pair(read_image(self._files[index]), self._calibration, self.names[index], self._files[index])


class SideBySideVideo:
    """A video that holds both views side by side; frames are decoded on demand, fastest in order."""

    def __init__(self, path: Path, rig: Rig | None = None, limit: int | None = None):
        self._path = path
        self._calibration = rig or shared_calibration(path.parent, path.parent, None)
        self._reader = _FrameReader(path)
        self._num_frames = self._reader.count()
        if limit is not None:
            self._num_frames = min(limit, self._num_frames)
        self.names = [f"{path.stem}_{index:06d}" for index in range(self._num_frames)]

    def __len__(self) -> int:
        return self._num_frames

    def load(self, index: int) -> StereoPair:
        """Frame `index` as a pair, without ground truth; a frame that cannot be decoded raises `UserError`."""
        return _pair(
            self._reader.read(range(self._num_frames)[index]), self._calibration, self.names[index], self._path
        )


class _FrameReader:
    """Random access to a video's frames; can be pickled and forked (each process opens the file for itself)."""

    def __init__(self, path: Path):
        self._path = path
        self._owner = -1
        self._next = 0

    def __getstate__(self) -> dict:
        return {"_path": self._path, "_owner": -1, "_next": 0}

    def count(self) -> int:
        """Number of frames that can really be decoded (containers often promise more)."""
        video = self._open()
        promised = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        if promised > 0 and self._decode(promised - 1) is not None:
            return promised
        self._owner = -1
        video, num_frames = self._open(), 0
        while video.grab():
            num_frames += 1
        self._owner = -1
        if num_frames == 0:
            raise UserError(f"{self._path}: no frame can be decoded; convert it, for example to H.264 in .mp4")
        return num_frames

    def read(self, index: int) -> np.ndarray:
        """Frame `index`, float32 (H, W, 3) RGB in [0, 1]."""
        frame = self._decode(index)
        if frame is None:
            raise UserError(f"{self._path}: frame {index} cannot be decoded; the video may be truncated")
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).astype(np.float32) / 255

    def _decode(self, index: int) -> np.ndarray | None:
        video = self._open()
        if index != self._next:
            video.set(cv2.CAP_PROP_POS_FRAMES, index)
        with quiet_opencv():
            complete, frame = video.read()
        self._next = index + 1 if complete else -1
        return frame if complete else None

    def _open(self) -> cv2.VideoCapture:
        if self._owner != os.getpid():
            with quiet_opencv():
                self._video = cv2.VideoCapture(str(self._path.absolute()), cv2.CAP_FFMPEG)
            self._owner, self._next = os.getpid(), 0
            if not self._video.isOpened():
                raise UserError(f"{self._path}: not a video that can be decoded; expected for example .mp4 with H.264")
        return self._video


def _pair(image: np.ndarray, calibration: Calibration | Rig | None, name: str, path: Path) -> StereoPair:
    if image.shape[1] % 2:
        raise UserError(f"{path}: {name}: two views side by side have an even width, found {image.shape[1]}")
    left, right = (
        torch.from_numpy(np.ascontiguousarray(half.transpose(2, 0, 1))) for half in split_side_by_side(image)
    )
    rig = rig_at(calibration, (left.shape[-2], left.shape[-1]))
    return StereoPair(left=View.unlabelled(left), right=View.unlabelled(right), rig=rig, name=name)
