"""`log.jsonl`: one JSON record a line, and TensorBoard beside it where asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stereodistill.errors import UserError
from stereodistill.io.files import write_bytes

LOG = "log.jsonl"


class TrainLog:
    """Appends records to `out/log.jsonl`; a resumed run first cuts what lies after its checkpoint."""

    def __init__(self, out: Path, tensorboard: bool = False):
        self.path = out / LOG
        self.board = _board(out) if tensorboard else None

    def write(self, record: dict[str, Any]) -> None:
        """Append one record; a full disk is a UserError."""
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror}; free space, then --resume") from None
        if self.board:
            scalars = record.get("terms", {}) | record.get("validation", {})
            for name, value in scalars.items():
                self.board.add_scalar(name, value, record["step"])

    def rewind(self, step: int) -> None:
        """Drop records after `step`, and lines that are none; the file is replaced as a whole."""
        if not self.path.exists():
            return
        kept = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            at = record.get("step") if isinstance(record, dict) else None
            if isinstance(at, int) and at <= step:
                kept.append(line + "\n")
        write_bytes(self.path, "".join(kept).encode("utf-8"))


def _board(out: Path):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError("loop.tensorboard needs TensorBoard: pip install tensorboard") from None
    return SummaryWriter(str(out / "tensorboard"))
