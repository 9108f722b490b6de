"""What an export's folder says about itself, and when it may be written to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from stereodistill.config import Config
from stereodistill.errors import UserError
from stereodistill.io.files import read_text, write_bytes
from stereodistill.labels.dataset import LabelledDataset
from stereodistill.labels.export.formats import Format, formats
from stereodistill.labels.export.samples import Sample

HEADER = "export.json"


class ExportHeader(Config):
    """`export.json`: what an export holds; a folder with another one is refused."""

    format: int = 1
    kind: str
    teacher: str
    teacher_hash: str
    min_confidence: float
    cameras: tuple[tuple[float, float, float, int], ...]
    """The rigs: focal length in pixels, baseline in metres, doffs in pixels, and the width they hold at."""
    train: tuple[str, ...]
    val: tuple[str, ...]
    version: str
    """Version of the package that began the export."""
    finished: bool = False

    def write(self, root: Path) -> None:
        """Replace the header of an export's folder, atomically."""
        write_bytes(root / HEADER, (self.model_dump_json(indent=1) + "\n").encode())


def checked_root(kind: str, out: str | Path) -> Path:
    """`out/kind`; refuses an unknown kind, and a folder that holds something else than an export."""
    if kind not in formats():
        raise UserError(f"an export is one of {', '.join(formats())}, found {kind!r}")
    root = Path(out) / kind
    if root.exists() and not root.is_dir():
        raise UserError(f"{root} is a file: give another --out")
    if root.is_dir() and any(root.iterdir()) and not (root / HEADER).is_file():
        raise UserError(f"{root} has files but no {HEADER}, so it is no export of labels; give another --out")
    return root


def make_header(kind: str, dataset: LabelledDataset, samples: Sequence[Sample]) -> ExportHeader:
    """The header of an export of `samples`."""
    rigs = {(float(r.focal_px), float(r.baseline_m), float(r.doffs_px), int(r.width)) for r in (s.rig for s in samples)}
    return ExportHeader(
        kind=kind,
        teacher=dataset.header.teacher,
        teacher_hash=dataset.header.teacher_hash,
        min_confidence=dataset.min_confidence,
        cameras=tuple(sorted(rigs)),
        train=tuple(sample.name for sample in samples if sample.split == "train"),
        val=tuple(sample.name for sample in samples if sample.split == "val"),
        version=version("stereodistill"),
    )


def refuse_lopsided(kind: type[Format], num_train: int, num_val: int) -> None:
    """Raises UserError when a split is empty that the other side cannot do without."""
    if not num_train:
        raise UserError("no pairs are left to train on: give a smaller --val-fraction")
    if kind.needs_val and not num_val:
        raise UserError(
            f"{kind.name} wants pairs to validate on: at least two labelled pairs and a --val-fraction above 0"
        )


def claim(root: Path, header: ExportHeader) -> None:
    """Put our header into the folder, or refuse when another export is there."""
    path = root / HEADER
    if path.is_file():
        try:
            found = ExportHeader.parse(json.loads(read_text(path, limit=1 << 28)), source=str(path))
        except (json.JSONDecodeError, TypeError) as error:
            raise UserError(f"{path}: not readable ({error}); delete {root} and export again") from None
        for key in ("kind", "teacher_hash", "min_confidence", "cameras", "train", "val"):
            if getattr(found, key) != getattr(header, key):
                raise UserError(
                    f"{root} holds an export with {_shown(key, found)}, not {_shown(key, header)}: "
                    "give another --out or delete it"
                )
    header.write(root)


def _shown(key: str, header: ExportHeader) -> str:
    value = getattr(header, key)
    if key in ("train", "val"):
        return f"{len(value)} {key} pairs from {value[0] if value else 'none'}"
    return f"{key} {value if key != 'cameras' else '; '.join(map(str, value[:3]))}"
