"""Foreign networks of the `transformers` library, from a folder or the hub, turned into students of this package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from stereodistill.errors import UserError
from stereodistill.models import build
from stereodistill.models.hf_mono import HfBackbone, HfDepth
from stereodistill.models.hf_mono.library import Task, backbone_config, config_of, library, network_class, quiet
from stereodistill.weights.locate import HUB_ID, TENSORS, first_line
from stereodistill.weights.model_card import licence_of, warn_if_not_commercial

PREFIX = "hf:"
"""Before a hub id or a folder: `hf:depth-anything/Depth-Anything-V2-Small-hf`."""
CONFIG, PICTURES, CARD = "config.json", "preprocessor_config.json", "README.md"
WANTED = (CONFIG, PICTURES, TENSORS)
PATTERNS = [CONFIG, PICTURES, CARD, "model*.safetensors", "model.safetensors.index.json"]
OF_NO_USE = ("_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype", "id2label", "label2id")
"""In a configuration: what says nothing about the network's shape."""
FRESH = ("hidden_states_norms.",)
"""Parts that a backbone adds to the model it was trained as; they start as the identity."""


def load_transformer(source: str, **options: Any) -> HfDepth | HfBackbone:
    """A student that starts from a foreign model: `hf_depth`, or `hf_backbone` where the model knows no depth.

    source: `hf:ORG/NAME` or `hf:FOLDER`, with the library's own files; nothing is unpickled, no code of it is run.
    options: of the network; its configuration, normalisation and licence come from the source.

    Raises:
        UserError: a missing extra, an unknown or gated id, no network, missing files or tensors, another kind of model.
    """
    name = source.removeprefix(PREFIX)
    library()
    folder = _folder_of(name)
    values, pictures = (_read_json(folder / file) for file in (CONFIG, PICTURES))
    task = _task_of(values, name)
    licence = licence_of(folder / CARD)
    warn_if_not_commercial(name, licence)
    state, values = _read_network(folder, values, task, name)
    about = {"id": name, "licence": licence}
    rank = int(options.pop("lora_rank", 0))
    fixed = {"config": values, "source": about, **normalisation(pictures), **sizes(values, pictures)}
    if task == "depth":
        fixed["output"] = output_of(values)
    model = build(f"hf_{task}", **{**fixed, **options})
    assert isinstance(model, HfDepth | HfBackbone)
    (model.network if isinstance(model, HfDepth) else model.encoder).load_state_dict(state)
    return model.with_lora(rank)


def normalisation(pictures: dict[str, Any]) -> dict[str, Any]:
    """`mean` and `deviation` of values in [0, 1], from a `preprocessor_config.json`."""
    factor = 255 * float(pictures.get("rescale_factor", 1 / 255)) if pictures.get("do_rescale", True) else 255.0
    is_plain = "image_mean" not in pictures or not pictures.get("do_normalize", True)
    mean, deviation = ([0.0] * 3, [1.0] * 3) if is_plain else (pictures["image_mean"], pictures["image_std"])
    return {"mean": [float(x) / factor for x in mean], "deviation": [float(x) / factor for x in deviation]}


def sizes(config: dict[str, Any], pictures: dict[str, Any]) -> dict[str, Any]:
    """`multiple` and `square`: which sizes of pictures the network computes."""
    kind = config["model_type"]
    if kind == "depth_pro":  # at its smallest scale one patch is the whole picture
        return {"multiple": round(config["patch_size"] / min(config["scaled_images_ratios"])), "square": True}
    inner = config.get("backbone_config") or config
    is_pyramid = "depths" in inner or kind in ("zoedepth", "glpn")
    patch = inner.get("patch_size") or config.get("patch_size") or 32
    multiple = 32 if is_pyramid else max(patch) if isinstance(patch, (list, tuple)) else int(patch)
    asked = max(int(pictures.get(key) or 1) for key in ("ensure_multiple_of", "size_divisor"))
    # The original DPT folds its tokens into a square.
    square = kind == "dpt" and (not config.get("backbone_config") or bool(config.get("is_hybrid")))
    return {"multiple": multiple if multiple % asked == 0 else multiple * asked, "square": square}


def output_of(config: dict[str, Any]) -> str:
    """Whether the larger numbers of a depth model are nearer (`inverse`) or farther (`depth`)."""
    kind, inner = config["model_type"], config.get("backbone_config") or {}
    if kind in ("glpn", "zoedepth") or config.get("depth_estimation_type") == "metric":
        return "depth"
    # Of DPT's released models those on DINOv2 were trained on metres, the others on relative inverse depth.
    return "depth" if kind == "dpt" and inner.get("model_type") == "dinov2" else "inverse"


def _task_of(config: dict[str, Any], name: str) -> Task:
    if "architecture" in config and "model_type" not in config:
        hint = "weights of this package" if "kind" in config else "a model of timm"
        raise UserError(f"{PREFIX}{name}: {hint}, not of transformers (no model_type in its {CONFIG})")
    found = config_of(config)
    classes = [str(c) for c in config.get("architectures") or ()]
    if network_class(found, "depth") is not None and all(c.endswith("ForDepthEstimation") for c in classes):
        return "depth"
    if network_class(found, "backbone") is not None:
        return "backbone"
    raise UserError(
        f"{PREFIX}{name}: {', '.join(classes) or config['model_type']} is neither a depth model nor a backbone of "
        "transformers: give one that AutoModelForDepthEstimation or AutoBackbone reads"
    )


def _read_network(
    folder: Path, values: dict[str, Any], task: Task, name: str
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors by the library's own names, and the whole configuration with its defaults."""
    if values["model_type"] == "depth_pro":
        values = {**values, "use_fov_model": False}  # the focal length is the rig's to say
    config = backbone_config(values) if task == "backbone" else config_of(values)
    found = network_class(config, task)
    assert found is not None
    try:
        with quiet():
            model, info = found.from_pretrained(
                folder, config=config, local_files_only=True, use_safetensors=True, output_loading_info=True,
                dtype=torch.float32,
            )  # fmt: skip
    except Exception as error:  # the library raises many types; all of them speak of these files
        raise UserError(f"{PREFIX}{name}: transformers cannot read it: {first_line(error)}") from error
    missing = sorted(key for key in info["missing_keys"] if not key.startswith(FRESH))
    if missing:
        raise UserError(
            f"{PREFIX}{name}: {len(missing)} tensors of {type(model).__name__} are missing, the first {missing[0]!r}: "
            f"weights of another network than its {CONFIG} says"
        )
    return model.state_dict(), _plain(config.to_dict())


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """JSON values without what is of no use, also of the configurations inside."""
    kept = {key: value for key, value in config.items() if key not in OF_NO_USE}
    kept = {key: _plain(value) if isinstance(value, dict) else value for key, value in kept.items()}
    return json.loads(json.dumps(kept))


def _folder_of(name: str) -> Path:
    """The folder with the model's files, downloaded first for a hub id."""
    path = Path(name).expanduser()
    if not path.is_dir():
        if not HUB_ID.fullmatch(name) or name.count("/") != 1:
            raise UserError(f"{PREFIX}{name}: no such folder, and no id of the Hugging Face hub (ORG/NAME)")
        path = _download(name)
    for file in WANTED:
        there = (path / file).is_file() or (file == TENSORS and (path / f"{TENSORS}.index.json").is_file())
        if not there:
            hint = "; pickled weights (.bin, .pth) are never loaded" if file == TENSORS else ""
            raise UserError(f"{PREFIX}{name}: no {file} there: a student needs {', '.join(WANTED)}{hint}")
    return path


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    copy = f"or copy {', '.join(WANTED)} and {CARD} into a folder and give {PREFIX}FOLDER"
    try:
        return Path(snapshot_download(name, allow_patterns=PATTERNS))
    except GatedRepoError:
        raise UserError(
            f"{PREFIX}{name} is gated: accept its terms at https://huggingface.co/{name} and log in (`hf auth login`), "
            f"{copy}"
        ) from None
    except RepositoryNotFoundError:
        raise UserError(f"{PREFIX}{name}: the Hugging Face hub has no such model (or it is private); {copy}") from None
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = first_line(error)
        raise UserError(
            f"{PREFIX}{name}: the Hugging Face hub did not give it ({reason}): try again, {copy}"
        ) from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable JSON: {first_line(error)}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(values).__name__}")
    return values
