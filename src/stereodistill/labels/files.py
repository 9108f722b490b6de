"""Where a teacher's labels lie on disk, and how one pair of them is written.

It is the folder layout plus `confidence/`, `confidence_right/` and `labels.json`:

```
ROOT/labels.json                what made the labels (`LabelsHeader`)
ROOT/left/NAME.*  right/NAME.*  the images
ROOT/disparity/NAME.png         16-bit, pixels * 256, 0 = unknown; .pfm where a disparity exceeds 255.99 px
ROOT/confidence/NAME.png        8-bit, 255 = certain, 0 = not at all
ROOT/disparity_right/ ROOT/confidence_right/    the same for the right view, when asked for
ROOT/rig/NAME.json              when the rig is known
```
"""

from __future__ import annotations

import filecmp
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from stereodistill.config import Config
from stereodistill.data.layouts import TRUTH_SUFFIXES
from stereodistill.io.disparity import PNG_LARGEST_PX, write_disparity
from stereodistill.io.files import atomic_path, read_json, write_bytes
from stereodistill.io.images import IMAGE_SUFFIXES, write_image
from stereodistill.io.listing import files_below

HEADER = "labels.json"
SIDES = {"left": "", "right": "_right"}
"""View -> what its folders of labels end in."""


class LabelsHeader(Config):
    """`labels.json`: which teacher made the labels, from what, and how many there are."""

    format: int = 1
    teacher: str
    teacher_hash: str
    """Labels of one folder all come from one teacher; another hash is refused."""
    data: str = ""
    """Where the pairs were read from, for information."""
    version: str = ""
    """Version of the package that wrote the labels."""
    precision: Literal["f32", "bf16"] = "f32"
    """What a network computed in; all labels of one folder in the same."""
    right: bool = True
    """Whether the right view is labelled too."""
    num_pairs: int = 0
    """Pairs that were to be labelled."""
    num_labelled: int = 0
    """Pairs that are finished; less than `num_pairs` while a run goes on or after it was stopped."""

    @classmethod
    def read(cls, root: str | Path) -> LabelsHeader | None:
        """The header of a labels folder; None where there is none; `UserError` when it is damaged."""
        path = Path(root) / HEADER
        if not path.exists():
            return None
        return cls.parse(read_json(path, "delete the folder and label again"), source=str(path))

    def write(self, root: str | Path) -> None:
        """Replace the header of a labels folder, atomically."""
        write_bytes(Path(root) / HEADER, (self.model_dump_json(indent=2) + "\n").encode())


def label_name(name: str) -> str:
    """The pair's name as a path below the labels folder: a list may name its images by absolute or `../` paths."""
    parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", "..", ".")]
    return "/".join(part.replace(":", "_") for part in parts)


class LabelFiles:
    """What lies in a labels folder at the moment it is looked at: one listing, then no disk access."""

    def __init__(self, root: str | Path):
        self.root = Path(root)
        self._files = {view: _stems(self.root / view, IMAGE_SUFFIXES) for view in SIDES}
        for end in SIDES.values():
            self._files[f"disparity{end}"] = _stems(self.root / f"disparity{end}", TRUTH_SUFFIXES)
            self._files[f"confidence{end}"] = _stems(self.root / f"confidence{end}", (".png",))

    def find(self, folder: str, name: str) -> Path | None:
        """The file of pair `name` (as `label_name` gives it) in a folder of the layout, None where there is none."""
        return self._files[folder].get(name)

    def has_labels(self, name: str, view: str) -> bool:
        """True when disparity and confidence of a view are there (files are atomic: there means complete)."""
        end = SIDES[view]
        return all(self.find(f"{kind}{end}", name) is not None for kind in ("disparity", "confidence"))

    def is_finished(self, name: str, *, right: bool) -> bool:
        """True when nothing of the pair is missing."""
        views = ("left", "right") if right else ("left",)
        return all(self.find(v, name) is not None for v in SIDES) and all(self.has_labels(name, v) for v in views)

    def is_outdated(self, name: str) -> bool:
        """True when a picture of a finished pair is no longer the one that was labelled (see `written_over`)."""
        disparity = self.find("disparity", name)
        pictures = (self.find(view, name) for view in SIDES)
        return disparity is not None and any(p is not None and written_over(p, disparity) for p in pictures)

    def num_finished(self, *, right: bool) -> int:
        """How many pairs are finished."""
        return sum(self.is_finished(name, right=right) for name in self._files["left"])


def write_label(root: Path, name: str, view: str, disparity: np.ndarray, confidence: np.ndarray) -> None:
    """Write one view's label: disparity (H, W) in pixels, confidence (H, W) in [0, 1].

    Disparity that is not finite, not positive or wider than the image becomes unknown, with confidence 0.  A
    confidence above 0 never becomes 0.
    """
    known = np.isfinite(disparity) & (disparity > 0) & (disparity <= disparity.shape[1])
    disparity = np.where(known, disparity, 0).astype(np.float32)
    suffix = ".png" if disparity.max(initial=0) <= PNG_LARGEST_PX else ".pfm"
    certain = np.where(known, np.clip(np.nan_to_num(confidence), 0, 1), 0)
    stored = np.maximum(np.rint(certain * 255), certain > 0).astype(np.uint8)
    # The disparity goes last: where it is, the confidence is too.
    write_image(root / f"confidence{SIDES[view]}" / f"{name}.png", stored)
    write_disparity(root / f"disparity{SIDES[view]}" / f"{name}{suffix}", disparity)


def link_or_copy(source: Path, target: Path) -> None:
    """A hard link to `source`, or a copy where the file system or its owner does not allow a link."""
    source = Path(os.path.realpath(source))
    with atomic_path(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
            times = source.stat()
            os.utime(temporary, ns=(times.st_atime_ns, times.st_mtime_ns))  # by which `same_picture` knows it


def same_picture(source: Path, kept: Path) -> bool:
    """Whether `kept` is a link to `source`, or a copy: size and time are the same, or every byte."""
    ours, theirs = source.stat(), kept.stat()
    if os.path.samestat(ours, theirs):
        return True
    if ours.st_size != theirs.st_size:
        return False
    return ours.st_mtime_ns == theirs.st_mtime_ns or filecmp.cmp(source, kept, shallow=False)


def written_over(picture: Path, disparity: Path) -> bool:
    """Whether a picture of the labels was changed after its label was made.

    A copy is ours; a hard link follows whoever writes into the original.
    """
    status = picture.stat()
    return status.st_nlink > 1 and status.st_mtime_ns > disparity.stat().st_mtime_ns


def _stems(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in files_below(folder, suffixes)}
