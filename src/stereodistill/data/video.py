"""Side-by-side footage as a dataset: each frame or image holds the left view, and the right one beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from stereodistill.data.layouts import list_images
from stereodistill.data.rigs import Calibration, rig_at, shared_calibration
from stereodistill.errors import UserError
from stereodistill.io.decoder import VideoDecoder
from stereodistill.io.images import read_image
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
        self._decoder = VideoDecoder(path)
        self._num_frames = self._decoder.count()
        if limit is not None:
            self._num_frames = min(limit, self._num_frames)
        self.names = [f"{path.stem}_{index:06d}" for index in range(self._num_frames)]

    def __len__(self) -> int:
        return self._num_frames

    def load(self, index: int) -> StereoPair:
        """Frame `index` as a pair, without ground truth; a frame that cannot be decoded raises `UserError`."""
        index = range(self._num_frames)[index]
        frame = self._decoder.frame(index)
        if frame is None:
            raise UserError(f"{self._path}: frame {index} cannot be decoded; the video may be truncated")
        return _pair(frame, self._calibration, self.names[index], self._path)


def _pair(image: np.ndarray, calibration: Calibration | Rig | None, name: str, path: Path) -> StereoPair:
    if image.shape[1] % 2:
        raise UserError(f"{path}: {name}: two views side by side have an even width, found {image.shape[1]}")
    left, right = (
        torch.from_numpy(np.ascontiguousarray(half.transpose(2, 0, 1))) for half in split_side_by_side(image)
    )
    rig = rig_at(calibration, (left.shape[-2], left.shape[-1]))
    return StereoPair(left=View.unlabelled(left), right=View.unlabelled(right), rig=rig, name=name)
