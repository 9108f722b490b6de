"""Where weights lie: a folder, a file, a shipped name or the Hugging Face hub."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from stereodistill.errors import UserError

TENSORS, CONFIG = "model.safetensors", "config.json"
PICKLE_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def tensor_file(source: str | Path) -> Path:
    """Where the tensors of `source` lie on disk (downloaded first for a hub id)."""
    path = Path(source)
    if path.is_dir():
        return _inside(path)
    if path.suffix.lower() == ".onnx":
        raise UserError(
            f"{path}: an ONNX file is for ONNX Runtime and other programs; give the weights folder that it was "
            f"exported from ({TENSORS} and {CONFIG}), or weights in safetensors"
        )
    if path.is_file():
        return path
    folders = shipped()
    if str(source) in folders:
        return folders[str(source)] / TENSORS
    if isinstance(source, str) and HUB_ID.fullmatch(source) and path.suffix not in (".safetensors", *PICKLE_SUFFIXES):
        return _inside(_download(source))
    raise UserError(
        f"no weights {str(source)!r}: expected a folder, a .safetensors file, a Hugging Face id "
        f"or a shipped name ({', '.join(folders) or 'none'})"
    )


def shipped() -> dict[str, Path]:
    """Folders of the weights that ship with the package, by name."""
    return {path.parent.name: path.parent for path in sorted(shipped_root().glob(f"*/{TENSORS}"))}


def _inside(folder: Path) -> Path:
    if not (folder / TENSORS).is_file():
        other = next((p.name for p in sorted(folder.iterdir()) if p.suffix in PICKLE_SUFFIXES), None)
        hint = f" ({other} is a pickle and is never loaded)" if other else ""
        raise UserError(f"{folder}: expected {TENSORS} and {CONFIG} in this folder{hint}")
    return folder / TENSORS


def _download(repo_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(repo_id, allow_patterns=[TENSORS, CONFIG]))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise UserError(
            f"no folder {repo_id!r} here, and the Hugging Face hub did not give it ({first_line(error)}): "
            "check the name, or the network connection"
        ) from error


def shipped_root() -> Path:
    """The folder of the shipped weights."""
    return Path(str(files("stereodistill") / "pretrained"))


def first_line(error: Exception) -> str:
    """An error of another library, short enough for one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
