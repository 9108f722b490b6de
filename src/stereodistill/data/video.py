"""Side-by-side footage as a dataset: each frame or image holds the left view, and the right one beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from stereodistill.data.dataset import Size
from stereodistill.data.layouts import list_images, pair_name
from stereodistill.data.rigs import Calibration, rig_at, shared_calibration
from stereodistill.errors import UserError
from stereodistill.io.decoder import VideoDecoder
from stereodistill.io.images import ChooseWindow, image_size, read_image
from stereodistill.io.video import split_side_by_side
from stereodistill.ops.geometry import crop_pair
from stereodistill.types import Rig, StereoPair, View


class SideBySideFolder:
    """Images that hold both views side by side; a rig's width is that of ONE view."""

    def __init__(self, path: Path, rig: Rig | None = None, limit: int | None = None):
        self._files = list_images(path)[:limit]
        if not self._files:
            raise UserError(f"{path}: no images; expected side-by-side pairs, both views in one image")
        self.names = [pair_name(file.relative_to(path).with_suffix("")) for file in self._files]
        self._calibration = rig or shared_calibration(path, path, None)

    def __len__(self) -> int:
        return len(self._files)

    def rig(self, index: int) -> Rig:
        """The rig of pair `index` at the width of one view."""
        return rig_at(self._calibration, self.size(index))

    def size(self, index: int) -> Size:
        """(height, width) of one view of pair `index`, from its file's header."""
        return _half(image_size(self._files[index]), self.names[index], self._files[index])

    def load(self, index: int, window: ChooseWindow | None = None) -> StereoPair:
        """Pair `index`, without ground truth; a file that cannot be read or halved raises `UserError`."""
        image = read_image(self._files[index])
        return _pair(image, self._calibration, self.names[index], self._files[index], window)


class SideBySideVideo:
    """A video that holds both views side by side; frames are decoded on demand, fastest in order."""

    def __init__(self, path: Path, rig: Rig | None = None, limit: int | None = None):
        self._path = path
        self._calibration = rig or shared_calibration(path.parent, path.parent, None)
        self._decoder = VideoDecoder(path)
        self._num_frames = self._decoder.count()
        if limit is not None:
            self._num_frames = min(limit, self._num_frames)
        self.names = [f"{pair_name(Path(path.stem))}_{index:06d}" for index in range(self._num_frames)]

    def __len__(self) -> int:
        return self._num_frames

    def rig(self, index: int) -> Rig:
        """The rig at the width of one view, the same for every frame."""
        return rig_at(self._calibration, self.size(index))

    def size(self, index: int) -> Size:
        """(height, width) of one view, as the file states it for every frame."""
        return _half(self._decoder.stated_size(), self.names[index], self._path)

    def load(self, index: int, window: ChooseWindow | None = None) -> StereoPair:
        """Frame `index` as a pair, without ground truth; a frame that cannot be decoded raises `UserError`."""
        index = range(self._num_frames)[index]
        frame = self._decoder.frame(index)
        if frame is None:
            raise UserError(f"{self._path}: frame {index} cannot be decoded; the video may be truncated")
        return _pair(frame, self._calibration, self.names[index], self._path, window)


def _half(size: Size, name: str, path: Path) -> Size:
    height, width = size
    if width % 2:
        raise UserError(f"{path}: {name}: two views side by side have an even width, found {width}")
    return height, width // 2


def _pair(
    image: np.ndarray, calibration: Calibration | Rig | None, name: str, path: Path, window: ChooseWindow | None
) -> StereoPair:
    size = _half((image.shape[0], image.shape[1]), name, path)
    left, right = (
        torch.from_numpy(np.ascontiguousarray(half.transpose(2, 0, 1))) for half in split_side_by_side(image)
    )
    rig = rig_at(calibration, size)
    pair = StereoPair(left=View.unlabelled(left), right=View.unlabelled(right), rig=rig, name=name)
    return pair if window is None else crop_pair(pair, *window(size))
