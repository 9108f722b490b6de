"""The field's split lists, carried compactly: which drives and frames, as gzip text in `data/splits/`."""

from __future__ import annotations

import gzip
from importlib.resources import files


def read_split(name: str) -> list[str]:
    """The lines of `data/splits/NAME.gz`; what a line says is the data set's business."""
    data = (files("stereodistill.data.published") / "splits" / f"{name}.gz").read_bytes()
    return gzip.decompress(data).decode().splitlines()


def expand_ranges(text: str) -> list[int]:
    """`"7,3-5"` -> [7, 3, 4, 5]: numbers in the order of the text, ranges with both their ends."""
    numbers: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers.extend(range(int(first), int(last or first) + 1))
    return numbers
