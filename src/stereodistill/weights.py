"""Self-describing weights: a folder with `model.safetensors` and `config.json`.  Nothing is ever unpickled.

`config.json` holds the header: what the tensors are, what they were trained for and how good they are.  The
options of the network stand beside the header's fields at the top level, as `PyTorchModelHubMixin` writes and
reads them.  The same text is kept in the metadata of `model.safetensors`, so that the file alone can be loaded.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from stereodistill.config import Config
from stereodistill.errors import UserError
from stereodistill.io.files import atomic_path
from stereodistill.models import build, model_class

FORMAT = 1
TENSORS, CONFIG = "model.safetensors", "config.json"
_METADATA_KEY = "stereodistill"
_PICKLE_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class WeightsHeader(Config):
    """What a set of weights is.  Sizes are (height, width); `rig` holds the fields of a `Rig` or None (no metres)."""

    format: int = FORMAT
    architecture: str
    kind: Literal["stereo", "mono"]
    options: dict[str, Any] = {}
    input_size: tuple[int, int] | None = None
    """Size the photo is resized to before a mono network; None = the photo's own size."""
    rig: dict[str, float] | None = None
    recipe: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    licence: str = "Apache-2.0"
    teacher_hash: str | None = None
    version: str = ""
    """Version of the package that wrote the file."""
    notes: str = ""


def save_weights(folder: str | Path, model: nn.Module, header: WeightsHeader, half: bool = False) -> Path:
    """Write `folder/model.safetensors` and `folder/config.json`, each whole or not at all.

    Architecture, kind and options are taken from the model.  `half` stores floating tensors as float16.
    Raises UserError when a tensor is not finite (in float16 when `half`) or the disk refuses.
    """
    folder = Path(folder)
    own = {"architecture": model.name, "kind": model.kind, "options": dict(model.options)}
    header = header.model_copy(update={"version": _version(), **own, "format": FORMAT})
    tensors = {name: _stored(tensor, half) for name, tensor in model.state_dict().items()}
    _check_finite(tensors, f"weights for {folder}")
    text = _header_text(header)
    with atomic_path(folder / TENSORS) as temporary:
        save_file(tensors, str(temporary), metadata={"format": "pt", _METADATA_KEY: text})
    with atomic_path(folder / CONFIG) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")
    return folder


def load_weights(source: str | Path) -> tuple[nn.Module, WeightsHeader]:
    """The network in `source`, in eval mode and float32 on the CPU, and its header.

    `source`: name of shipped weights, folder, `.safetensors` file or Hugging Face id `org/name`.
    Raises UserError when anything is absent, damaged, of another architecture, or not safetensors.
    """
    file = _tensor_file(source)
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
    file = _tensor_file(source)
    return _read_header(file, is_folder=file.name == TENSORS and Path(source) != file)


def weights_hash(source: str | Path) -> str:
    """SHA-256 (hex) of architecture, options and stored tensors: equal hash = equal network; notes do not count."""
    header = read_header(source)
    digest = hashlib.sha256(json.dumps([header.architecture, header.options], sort_keys=True).encode())
    for name, tensor in sorted(_read_tensors(_tensor_file(source)).items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def catalogue() -> dict[str, WeightsHeader]:
    """Headers of the weights that ship with the package, by name."""
    root = _shipped_root()
    return {path.parent.name: read_header(path.parent) for path in sorted(root.glob(f"*/{TENSORS}"))}


def push_to_hub(source: str | Path, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
    """Upload a weights folder to the Hugging Face hub and return its address; `from_pretrained(repo_id)` reads it.

    Needs a token of the hub (argument, `HF_TOKEN` or `hf auth login`).  Raises UserError when the hub refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    folder = _tensor_file(source).parent
    load_weights(folder)  # what cannot be loaded is not published
    api = HfApi(token=token)
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        api.upload_folder(repo_id=repo_id, folder_path=folder, allow_patterns=[TENSORS, CONFIG, "README.md"])
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise UserError(f"Hugging Face hub: could not upload to {repo_id!r}: {_first_line(error)}") from error
    return f"https://huggingface.co/{repo_id}"


def _tensor_file(source: str | Path) -> Path:
    """Where the tensors of `source` lie on disk (downloaded first for a hub id)."""
    path = Path(source)
    if path.is_dir():
        return _inside(path)
    if path.is_file():
        return path
    shipped = _shipped_root() / str(source)
    if re.fullmatch(r"\w+", str(source)) and shipped.is_dir():
        return _inside(shipped)
    if isinstance(source, str) and _HUB_ID.fullmatch(source) and path.suffix not in (".safetensors", *_PICKLE_SUFFIXES):
        return _inside(_download(source))
    names = ", ".join(p.parent.name for p in sorted(_shipped_root().glob(f"*/{TENSORS}"))) or "none"
    raise UserError(
        f"no weights {str(source)!r}: expected a folder, a .safetensors file, a Hugging Face id or a shipped name ({names})"
    )


def _inside(folder: Path) -> Path:
    if not (folder / TENSORS).is_file():
        other = next((p.name for p in sorted(folder.iterdir()) if p.suffix in _PICKLE_SUFFIXES), None)
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
            f"no folder {repo_id!r} here, and the Hugging Face hub did not give it ({_first_line(error)}): "
            "check the name, or the network connection"
        ) from error


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
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{origin}: not readable JSON: {_first_line(error)}") from error
    return _parse_header(values, origin)


def _parse_header(values: Any, origin: Path) -> WeightsHeader:
    if not isinstance(values, dict):
        raise UserError(f"{origin}: expected a JSON object with the header's fields, found {type(values).__name__}")
    version = values.get("format", FORMAT)
    if not isinstance(version, int) or version > FORMAT:
        raise UserError(
            f"{origin}: format {version!r} is newer than this package reads ({FORMAT}): upgrade stereodistill"
        )
    fields = set(WeightsHeader.model_fields) - {"options"}
    options = {key: value for key, value in values.items() if key not in fields}
    header = WeightsHeader.parse({k: v for k, v in values.items() if k in fields} | {"options": options}, str(origin))
    try:
        kind = model_class(header.architecture).kind
    except UserError as error:
        raise UserError(f"{origin}: {error}") from error
    if kind != header.kind:
        raise UserError(f"{origin}: kind is {header.kind!r}, but {header.architecture} is a {kind} network")
    return header


def _metadata(file: Path) -> Mapping[str, str]:
    _refuse_pickle(file)
    try:
        with safe_open(str(file), framework="pt") as handle:
            return handle.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{file}: not a whole safetensors file ({_first_line(error)}): copy or download it again"
        ) from error


def _read_tensors(file: Path) -> dict[str, Tensor]:
    _refuse_pickle(file)
    try:
        with safe_open(str(file), framework="pt") as handle:
            return {name: handle.get_tensor(name) for name in handle.keys()}
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{file}: not a whole safetensors file ({_first_line(error)}): copy or download it again"
        ) from error


def _refuse_pickle(file: Path) -> None:
    try:
        with file.open("rb") as handle:
            start = handle.read(4)
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    if file.suffix.lower() in _PICKLE_SUFFIXES or start[:1] == b"\x80" or start == b"PK\x03\x04":
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


def _stored(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu()
    return (tensor.half() if half and tensor.is_floating_point() else tensor).contiguous()


def _header_text(header: WeightsHeader) -> str:
    values = header.model_dump(mode="json")
    options = values.pop("options")
    assert not options.keys() & values.keys(), "an option of the network has the name of a header field"
    return json.dumps({**values, **options}, indent=2, allow_nan=False)


def _shipped_root() -> Path:
    return Path(str(files("stereodistill") / "pretrained"))


def _version() -> str:
    from stereodistill import __version__

    return __version__


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
