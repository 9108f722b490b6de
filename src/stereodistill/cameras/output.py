"""The folder that `rectify` fills: the folder layout, and what it was made from, so that a stopped run goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from stereodistill.errors import UserError
from stereodistill.io.calibration import write_rig
from stereodistill.io.files import read_text, write_bytes
from stereodistill.io.images import write_image
from stereodistill.io.seen import write_seen
from stereodistill.types import Rig

HEADER = "rectified.json"
SUFFIXES = ("png", "jpg")


def is_rectified(folder: Path) -> bool:
    """Whether the pairs of a folder were made by `rectify` or `rectify --refine`."""
    return (folder / HEADER).is_file()


class PairFolder:
    """Pairs in the folder layout, written one by one.

    Args:
        settings: what the pairs were made from and how; a folder that was filled with other ones is refused.
    """

    def __init__(self, root: Path, settings: dict[str, Any], suffix: str):
        self.root, self.settings, self.suffix = root, settings, suffix
        if suffix not in SUFFIXES:
            raise UserError(f"--format is one of {', '.join(SUFFIXES)}, found {suffix!r}")
        self.facts: dict[str, Any] = {}
        """What was found at the start of a run that this one goes on with."""
        self.is_resumed = self._refuse_other_content()

    def is_finished(self, name: str) -> bool:
        """Both pictures of the pair are there (files are whole or not there at all)."""
        return all(self._path(side, name).is_file() for side in ("left", "right"))

    def begin(
        self,
        rig: Rig,
        centre: tuple[float, float] | None,
        seen: tuple[np.ndarray, np.ndarray],
        facts: dict[str, Any],
    ) -> None:
        """Rig, masks and header, before the first pair; an unknown rig leaves no rig.json."""
        self.facts = facts
        self._write_header(complete=False)
        if rig.is_metric:
            write_rig(self.root / "rig.json", rig, centre=centre)
        write_seen(self.root, *seen)

    def write(self, name: str, left: np.ndarray, right: np.ndarray) -> None:
        """The left picture goes last: a folder that is read meanwhile shows finished pairs only."""
        write_image(self._path("right", name), right)
        write_image(self._path("left", name), left)

    def finish(self, **counts: int) -> None:
        """Note that the run came to its end, and how much it wrote."""
        self._write_header(complete=True, **counts)

    def num_pairs(self) -> int:
        """How many whole pairs are there."""
        folder = self.root / "left"
        return sum(self._path("right", p.relative_to(folder).with_suffix("").as_posix()).is_file()
                   for p in folder.rglob(f"*.{self.suffix}") if not p.name.startswith("."))  # fmt: skip

    def _path(self, side: str, name: str) -> Path:
        return self.root / side / f"{name}.{self.suffix}"

    def _write_header(self, **more: Any) -> None:
        values = {"settings": self.settings, "facts": self.facts, **more}
        write_bytes(self.root / HEADER, (json.dumps(values, indent=2) + "\n").encode())

    def _refuse_other_content(self) -> bool:
        """True when the folder holds a stopped (or finished) run with the same settings."""
        if self.root.is_file():
            raise UserError(f"{self.root} is a file; --out is a folder")
        header = self.root / HEADER
        if not header.is_file():
            if self.root.is_dir() and any(not path.name.startswith(".") for path in self.root.iterdir()):
                raise UserError(f"{self.root} holds something else already (no {HEADER}); give another --out")
            return False
        try:
            held = json.loads(read_text(header))
            settings, self.facts = held["settings"], held["facts"]
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{header} is damaged; delete {self.root} and begin anew") from None
        for key in sorted(settings.keys() | self.settings.keys()):
            old, new = settings.get(key), self.settings.get(key)
            if old != new:
                raise UserError(f"{self.root} holds pairs made with {key} {old}, not {new}; give another --out")
        return True
