"""Writing, reading and publishing weights, with every check that a foreign file deserves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from stereodistill import __version__
from stereodistill.errors import UserError
from stereodistill.io.files import write_bytes
from stereodistill.models import build
from stereodistill.weights.header import FORMAT, WeightsHeader, header_text, parse_header
from stereodistill.weights.locate import CONFIG, PICKLE_SUFFIXES, TENSORS, first_line, shipped, tensor_file

_METADATA_KEY = "stereodistill"
CARD = ("README.md", "*.jpg")
"""A model card and its pictures, beside the weights."""
FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
"""How the numbers of a network may be stored."""


def save_weights(folder: str | Path, model: Any, header: WeightsHeader, half: bool = False) -> Path:
    """Write `folder/model.safetensors` and `folder/config.json`, each whole or not at all.

    Architecture, kind and options are taken from the model.  `half` stores floating tensors as float16.
    Raises UserError when a tensor is not finite (in float16 when `half`), the header gives what was trained from a
    foreign model another licence than that model's, or the disk refuses.
    """
    folder = Path(folder)
    own = {"architecture": model.name, "kind": model.kind, "options": dict(model.options)}
    values = header.model_dump() | {"version": __version__, **own, "format": FORMAT}
    header = WeightsHeader.parse(values, f"weights for {folder}")
    tensors = {name: _stored(tensor, half) for name, tensor in model.state_dict().items()}
    _check_finite(tensors, f"weights for {folder}")
    text = header_text(header)
    # Not save_file: its files can be read by their owner alone.
    write_bytes(folder / TENSORS, _in_order(save(tensors, metadata={"format": "pt", _METADATA_KEY: text})))
    write_bytes(folder / CONFIG, text.encode("utf-8"))
    return folder


def load_weights(source: str | Path) -> tuple[nn.Module, WeightsHeader]:
    """The network in `source`, in eval mode and float32 on the CPU, and its header.

    `source`: name of shipped weights, folder, `.safetensors` file or Hugging Face id `org/name`.
    Raises UserError when anything is absent, damaged, of another architecture, or not safetensors.
    """
    file = tensor_file(source)
    header = _read_header(file, is_folder=file.name == TENSORS and Path(source) != file)
    tensors = _read_tensors(file)
    # Shapes are compared before anything is allocated: a header cannot ask for more memory than the file holds.
    with torch.device("meta"):
        expected = build(header.architecture, **header.options).state_dict()
    _check_same(tensors, expected, file)
    _check_finite(tensors, str(file))
    model = build(header.architecture, **header.options)
    model.load_state_dict(tensors)
    return model.eval(), header


def read_header(source: str | Path) -> WeightsHeader:
    """The header alone (see `load_weights` for what `source` can be)."""
    file = tensor_file(source)
    return _read_header(file, is_folder=file.name == TENSORS and Path(source) != file)


def weights_hash(source: str | Path) -> str:
    """SHA-256 (hex) of architecture, options and stored tensors: equal hash = equal network; notes do not count."""
    header = read_header(source)
    digest = hashlib.sha256(json.dumps([header.architecture, header.options], sort_keys=True).encode())
    for name, tensor in sorted(_read_tensors(tensor_file(source)).items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def catalogue() -> dict[str, WeightsHeader]:
    """Headers of the weights that ship with the package, by name."""
    return {name: read_header(folder) for name, folder in shipped().items()}


def push_to_hub(source: str | Path, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
    """Upload a weights folder to the Hugging Face hub and return its address; `from_pretrained(repo_id)` reads it.

    A model card in it, `README.md` and `*.jpg`, goes along.

    Needs a token of the hub (argument, `HF_TOKEN` or `hf auth login`).  Raises UserError when the hub refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    folder = tensor_file(source).parent
    load_weights(folder)  # what cannot be loaded is not published
    api = HfApi(token=token)
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        api.upload_folder(repo_id=repo_id, folder_path=folder, allow_patterns=[TENSORS, CONFIG, *CARD])
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise UserError(f"Hugging Face hub: could not upload to {repo_id!r}: {first_line(error)}") from error
    return f"https://huggingface.co/{repo_id}"


def _read_header(file: Path, *, is_folder: bool) -> WeightsHeader:
    config = file.parent / CONFIG
    origin, text = (config, None) if is_folder else (file, _metadata(file).get(_METADATA_KEY))
    if text is None:
        origin = config
        if not config.is_file():
            raise UserError(f"{file}: no header: expected {CONFIG} beside it (architecture, options, input size)")
        text = config.read_text(encoding="utf-8", errors="replace")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of more digits than Python reads
        raise UserError(f"{origin}: not readable JSON: {first_line(error)}") from error
    return parse_header(values, origin)


def _metadata(file: Path) -> Mapping[str, str]:
    _refuse_pickle(file)
    try:
        with safe_open(str(file), framework="pt") as handle:
            return handle.metadata() or {}
    except (SafetensorError, OSError, ValueError, LookupError, RuntimeError, AttributeError) as error:
        raise UserError(
            f"{file}: not a whole safetensors file ({first_line(error)}): copy or download it again"
        ) from error


def _read_tensors(file: Path) -> dict[str, Tensor]:
    _refuse_pickle(file)
    try:
        with safe_open(str(file), framework="pt") as handle:
            return {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, LookupError, RuntimeError, AttributeError) as error:
        raise UserError(
            f"{file}: not a whole safetensors file ({first_line(error)}): copy or download it again"
        ) from error


def _refuse_pickle(file: Path) -> None:
    try:
        with file.open("rb") as handle:
            start = handle.read(9)
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    # Eight bytes of header length, any of which may look like a pickle's first, then JSON: that is safetensors.
    looks_pickled = start[:1] == b"\x80" and start[8:] != b"{"
    if file.suffix.lower() in PICKLE_SUFFIXES or looks_pickled or start[:4] == b"PK\x03\x04":
        raise UserError(f"{file}: a pickled file can run code and is never loaded: expected safetensors ({TENSORS})")


def _check_same(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], file: Path) -> None:
    missing, extra = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing:
        raise UserError(
            f"{file}: {len(missing)} tensors missing, first {missing[0]!r}: weights of another architecture?"
        )
    if extra:
        raise UserError(f"{file}: {len(extra)} tensors too many, first {extra[0]!r}: weights of another architecture?")
    for name, tensor in expected.items():
        found = tensors[name]
        if found.is_floating_point() and found.dtype not in FLOATS:
            known = ", ".join(str(dtype).removeprefix("torch.") for dtype in FLOATS)
            raise UserError(f"{file}: {name!r} is stored as {found.dtype}: expected {known}; convert the weights")
        if found.shape != tensor.shape or found.is_floating_point() != tensor.is_floating_point():
            raise UserError(
                f"{file}: {name!r} is {found.dtype} {tuple(found.shape)}, expected {tensor.dtype} {tuple(tensor.shape)}"
            )


def _check_finite(tensors: Mapping[str, Tensor], what: str) -> None:
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise UserError(
                f"{what}: {name!r} holds NaN or infinite values: the training diverged or the file is damaged"
            )


def _in_order(blob: bytes) -> bytes:
    """A safetensors file with its metadata sorted: the library writes them in another order each time."""
    end = 8 + int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8:end])
    metadata = dict(sorted(header.pop("__metadata__").items()))
    text = json.dumps({"__metadata__": metadata, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + blob[end:]


def _stored(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu()
    return (tensor.half() if half and tensor.is_floating_point() else tensor).contiguous()
