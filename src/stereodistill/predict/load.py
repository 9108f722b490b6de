"""By name: predictors and teachers."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from stereodistill.errors import UserError
from stereodistill.io.disparity import DISPARITY_SUFFIXES
from stereodistill.predict.mono import MonoPredictor
from stereodistill.predict.mono_teacher import MonoTeacher
from stereodistill.predict.predictor import Predictor, choose_device
from stereodistill.predict.stereo import StereoPredictor
from stereodistill.predict.teachers import FolderTeacher, SgbmTeacher, Teacher
from stereodistill.weights import TENSORS, load_weights, weights_hash

T = TypeVar("T")
NEEDS_WEIGHTS = ("dispnet", "psmnet", "recursive")
"""Teachers of the papers: networks that ship without weights."""


def from_pretrained(source: str | Path, device: str = "auto") -> MonoPredictor | StereoPredictor:
    """A predictor from shipped weights (by name), a folder, a `.safetensors` file or a Hugging Face id `org/name`.

    `device`: `auto` (CUDA when there is one), `cpu`, `cuda`, `cuda:1` ...  Raises UserError as `load_weights`.
    """
    place = choose_device(device)
    model, header = load_weights(source)
    if header.kind == "mono":
        return MonoPredictor(model, header, place)
    return StereoPredictor(model, header, place, name=_name_of(source), hash=weights_hash(source))


def seen_at(size: tuple[int, int] | None, loaded: T) -> T:
    """The same network, asked about every picture at `size` (height, width); None leaves it as it is.

    Raises:
        UserError: it is no network.
    """
    if size is None:
        return loaded
    if not isinstance(loaded, Predictor):
        raise UserError("--size is the input of a network; SGBM and finished maps have the size of the pictures")
    return loaded.at_size(size)


def load_teacher(source: str | Path = "lite_stereo", device: str = "auto", mono: bool = False) -> Teacher:
    """A teacher: `lite_stereo` (shipped), `sgbm`, stereo weights (file, folder, Hugging Face id), a folder of maps.

    `mono`: mono weights too, which label what they see in each picture alone (a second teacher, see `labels.filled`).
    Raises UserError for anything else, saying what is missing.
    """
    text, path = str(source), Path(source)
    if text == SgbmTeacher.name and not path.exists():
        return SgbmTeacher()
    if path.suffix.lower() == ".onnx":
        raise UserError(f"teacher {text!r}: ONNX networks cannot teach yet: write their maps to a folder and give that")
    if text in NEEDS_WEIGHTS and not path.exists():
        raise UserError(
            f"teacher {text!r} ships without weights: train it (recipes guo2018/..., ye2021/...) or import "
            "released ones (`stereodistill weights import`), then give their folder"
        )
    if path.is_dir() and not (path / TENSORS).is_file() and _holds_maps(path):
        return FolderTeacher(path)
    predictor = from_pretrained(source, device)
    if isinstance(predictor, MonoPredictor) and mono:
        return MonoTeacher(predictor, name=_name_of(source), hash=weights_hash(source))
    if isinstance(predictor, MonoPredictor):
        raise UserError(f"teacher {text!r} is a mono network: a teacher matches two views, give stereo weights")
    return predictor


def _holds_maps(folder: Path) -> bool:
    if (folder / "disparity").is_dir():
        return True
    return any(path.suffix.lower() in DISPARITY_SUFFIXES for path in folder.iterdir())


def _name_of(source: str | Path) -> str:
    """A short name for reports: the last part of the path, or of the run when that is `weights`."""
    path = Path(source)
    return path.parent.name if path.name == "weights" and path.parent.name else path.name
