"""What can teach: the interface, and the teachers that are no network (SGBM, a folder of finished maps)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import cv2
import numpy as np

from stereodistill.errors import UserError
from stereodistill.io.disparity import DISPARITY_SUFFIXES, read_disparity
from stereodistill.io.images import read_image
from stereodistill.io.listing import files_below
from stereodistill.predict.photo import Photo, to_image
from stereodistill.predict.sgbm import SGBM

Match: TypeAlias = tuple[np.ndarray, np.ndarray]
"""(disparity, confidence), both (H, W) float32; disparity 0 and confidence 0 where unknown."""
AGREEMENT_PX = 1.0
"""Disagreement between the views at which the confidence has fallen to 1/e."""


@runtime_checkable
class Teacher(Protocol):
    """Matches pairs.  `hash` changes whenever the answers may; `name` of a pair only matters to a folder of maps."""

    name: str
    hash: str

    def match(self, left: Photo, right: Photo, name: str = "") -> Match:
        """The left view's disparity and confidence, at the images' size (see `Photo` for what an image may be)."""
        ...

    def match_right(self, left: Photo, right: Photo, name: str = "") -> Match:
        """The right view's disparity and confidence."""
        ...

    def match_both(self, left: Photo, right: Photo, name: str = "") -> tuple[Match, Match]:
        """(`match`, `match_right`), for less than the price of both."""
        ...


class SgbmTeacher:
    """OpenCV's SGBM; confidence falls with the disagreement of the two views."""

    name = "sgbm"

    def __init__(self, matcher: SGBM | None = None):
        self.matcher = matcher or SGBM()
        identity = json.dumps([self.name, cv2.__version__, self.matcher.options], sort_keys=True)
        self.hash = hashlib.sha256(identity.encode()).hexdigest()

    def match(self, left: Photo, right: Photo, name: str = "") -> Match:
        """See `Teacher`."""
        return self.match_both(left, right)[0]

    def match_right(self, left: Photo, right: Photo, name: str = "") -> Match:
        """See `Teacher`; exactly the mirrored answer to the mirrored, swapped pair."""
        return self.match_both(left, right)[1]

    def match_both(self, left: Photo, right: Photo, name: str = "") -> tuple[Match, Match]:
        """See `Teacher`."""
        of_left, of_right = self.matcher.match_both(
            *(to_image(view).permute(1, 2, 0).contiguous().numpy() for view in (left, right))
        )
        return _weighed(*of_left), _weighed(*of_right)


class FolderTeacher:
    """Finished maps of another program: `FOLDER[/disparity]/NAME.png|.pfm|.npy`, `disparity_right/`, `confidence/`.

    Without a `confidence/NAME.png` (8 bit) every known pixel counts fully; without `disparity_right/` the right
    views stay unlabelled (`answers_right`).
    """

    def __init__(self, folder: str | Path):
        folder = Path(folder)
        self.left = folder / "disparity" if (folder / "disparity").is_dir() else folder
        self.right, self.confidence = folder / "disparity_right", folder / "confidence"
        self.name = f"maps in {folder.name}"
        maps = _maps(self.left)
        if not maps:
            raise UserError(f"{folder}: no disparity maps: expected NAME{' / NAME'.join(DISPARITY_SUFFIXES)}")
        self.answers_right = bool(_maps(self.right))
        digest = hashlib.sha256()
        for path in (*maps, *_maps(self.right), *_maps(self.confidence)):
            digest.update(str(path.relative_to(folder)).encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        self.hash = digest.hexdigest()

    def match(self, left: Photo, right: Photo, name: str = "") -> Match:
        """The map called `name`; raises UserError when it is absent or has another size than the image."""
        disparity, valid = _read(self.left, name, _size(left))
        weight = self.confidence / f"{name}.png"
        confidence = read_image(weight)[..., 0] if weight.is_file() else np.ones_like(disparity)
        if confidence.shape != disparity.shape:
            raise UserError(f"{weight}: {confidence.shape} (height, width), the disparity map has {disparity.shape}")
        return disparity, np.where(valid, confidence, 0).astype(np.float32)

    def match_right(self, left: Photo, right: Photo, name: str = "") -> Match:
        """As `match`, from `disparity_right/`."""
        disparity, valid = _read(self.right, name, _size(right))
        return disparity, valid.astype(np.float32)

    def match_both(self, left: Photo, right: Photo, name: str = "") -> tuple[Match, Match]:
        """See `Teacher`."""
        return self.match(left, right, name), self.match_right(left, right, name)


def _size(photo: Photo) -> tuple[int, int]:
    height, width = to_image(photo).shape[-2:]
    return height, width


def _weighed(disparity: np.ndarray, disagreement: np.ndarray, valid: np.ndarray) -> Match:
    return disparity, np.where(valid, np.exp(-disagreement / AGREEMENT_PX), 0).astype(np.float32)


def _maps(folder: Path) -> list[Path]:
    return sorted(files_below(folder, DISPARITY_SUFFIXES))


def _read(folder: Path, name: str, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    if not name:
        raise UserError(f"{folder}: a folder of maps needs the pair's name to find its map")
    path = next((p for suffix in DISPARITY_SUFFIXES if (p := folder / f"{name}{suffix}").is_file()), None)
    if path is None:
        raise UserError(f"{folder}: no map for the pair {name!r}: expected {name}{DISPARITY_SUFFIXES[0]}, .pfm or .npy")
    disparity, valid = read_disparity(path)
    if disparity.shape != size:
        raise UserError(f"{path}: {disparity.shape} (height, width), the image has {size}")
    return disparity, valid
