"""Which files lie below a folder."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path


def files_below(folder: str | Path, suffixes: Collection[str]) -> list[Path]:
    """Plain files anywhere below `folder` whose names end in one of `suffixes` (in small letters), in no order.

    Links to folders are followed, but never in a circle; hidden files and folders are left out, and so is what is no
    file (a pipe would be waited for without end).
    """
    found: list[Path] = []
    _collect(str(folder), frozenset(suffixes), frozenset(), found)
    return found


def _collect(folder: str, suffixes: frozenset[str], above: frozenset[tuple[int, int]], found: list[Path]) -> None:
    try:
        status = os.stat(folder)
        entries = list(os.scandir(folder))
    except OSError:  # no folder, or one that may not be listed
        return
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            is_file, is_folder = entry.is_file(), entry.is_dir()
        except OSError:  # a link to itself
            continue
        if is_file and os.path.splitext(entry.name)[1].lower() in suffixes:
            found.append(Path(entry.path))
        elif is_folder:
            _collect(entry.path, suffixes, above | {here}, found)
