"""A calibration file before anybody knows its dialect: its content as a map or as text, and the file beside it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from stereodistill.errors import UserError
from stereodistill.io.calibration_maps import parse_xml, parse_yaml
from stereodistill.io.files import read_bytes, read_text, shown

SUFFIXES = (".yaml", ".yml", ".xml", ".json", ".txt", ".conf", ".npz")
_LARGEST_BYTES = 16 << 20  # an .npz may hold rectification maps beside the numbers
_MOST_FILES = 200
_PAIRS = (
    ("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"), ("cam0", "cam1"), ("camera0", "camera1"),
    ("camera_0", "camera_1"), ("infra1", "infra2"), ("_l.", "_r."), ("_L.", "_R."), ("L.", "R."), ("_0.", "_1."),
    ("_1.", "_2."), ("cam1", "cam2"), ("camera1", "camera2"),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Source:
    """One calibration file, and what the caller knows beside it.

    `given_partner` is the right camera's file where both were named; `size` (height, width) that of the raw pictures,
    for files that hold several; `cameras` the two that are wanted of a file that holds more.
    """

    path: Path
    given_partner: Path | None = None
    size: tuple[int, int] | None = None
    cameras: tuple[int, int] | None = None

    @cached_property
    def text(self) -> str:
        """The content of a text file; empty for an .npz."""
        return "" if self.path.suffix.lower() == ".npz" else read_text(self.path)

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """The content as a map, numbers still as text or lists; empty when the file is no map."""
        suffix, start = self.path.suffix.lower(), self.text.lstrip()[:8]
        if suffix == ".npz":
            return _npz(self.path)
        if suffix == ".json" or start.startswith("{"):
            return _json(self.path, self.text)
        if suffix == ".xml" or start.startswith("<"):
            return parse_xml(self.path, self.text)
        if suffix in (".yaml", ".yml") or start.startswith("%YAML"):
            return parse_yaml(self.path, self.text)
        return {}

    @property
    def shown(self) -> str:
        """The path for a message."""
        return shown(self.path)

    def views(self) -> tuple[Source, Source]:
        """(left, right) of a dialect with one file per camera: the other one is told by its name.

        Raises:
            UserError: there is no other file.
        """
        if self.given_partner is not None:
            return self, replace(self, path=self.given_partner)
        expected = ""
        for left, right in _PAIRS:
            for mine, other in ((left, right), (right, left)):
                partner = _renamed(self.path, mine, other)
                if partner is None:
                    continue
                if partner.is_file():
                    there = replace(self, path=partner)
                    return (self, there) if mine == left else (there, self)
                expected = expected or f": {shown(partner)} is missing"
        raise UserError(
            f"{self.shown} calibrates one camera{expected}; name the two files left.yaml and right.yaml, or give both "
            "as LEFT,RIGHT"
        )

    def beside(self, *stems: str) -> Source | None:
        """A file of this suffix and one of these names in the same folder."""
        paths = (self.path.with_name(stem + self.path.suffix) for stem in stems)
        return next((replace(self, path=path) for path in paths if path.is_file()), None)

    @property
    def is_readable(self) -> bool:
        """False for a file that is damaged or of another kind, as they may lie in any folder."""
        try:
            return self.text is not None and self.values is not None
        except UserError:
            return False


def sources(path: str | Path, **known: Any) -> Iterator[list[Source]]:
    """What to try for a file, `LEFT,RIGHT` or a folder, in groups: a folder's own files before those below it.

    `known` are the fields of each `Source`; files of a folder that cannot be read are left out.
    """
    path = Path(path)
    left, comma, right = str(path).partition(",")
    if comma and not path.exists():
        yield [Source(Path(left), Path(right.strip()), **known)]
    elif path.is_dir():
        for pattern in ("*", "*/*", "*/*/*"):
            below = sorted(p for p in path.glob(pattern) if p.suffix.lower() in SUFFIXES and p.is_file())
            yield [source for p in below[:_MOST_FILES] if (source := Source(p, **known)).is_readable]
    else:
        yield [Source(path, **known)]


def _renamed(path: Path, mine: str, other: str) -> Path | None:
    """The path with one word exchanged in the file's name, or else in its folder's."""
    if mine in path.name:
        return path.with_name(path.name.replace(mine, other))
    if mine in path.parent.name:
        return path.parent.with_name(path.parent.name.replace(mine, other)) / path.name
    return None


def _json(path: Path, text: str) -> Mapping[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{shown(path)} is not readable JSON: {str(error).splitlines()[0]}") from None
    return values if isinstance(values, Mapping) else {}


def _npz(path: Path) -> Mapping[str, Any]:
    try:
        with np.load(io.BytesIO(read_bytes(path, limit=_LARGEST_BYTES)), allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{shown(path)} is not a readable .npz of numbers: {str(error).splitlines()[0]}") from None
