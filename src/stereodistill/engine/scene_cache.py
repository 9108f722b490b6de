"""Rendered scenes on disk, so that a slow world is rendered once for many runs and for every worker process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from stereodistill.io.files import write_bytes
from stereodistill.types import Rig, StereoPair, View


class SceneCache(MutableMapping[tuple[str, int], StereoPair]):
    """(world, scene number) -> unbatched pair with pictures in 8 bits, a safetensors file each; a damaged file counts as absent.

    `origin`: everything (JSON values) that the scenes depend on beside their key; another origin, another folder.
    """

    def __init__(self, folder: str | Path, origin: Any):
        fingerprint = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()[:12]
        self.folder = Path(folder) / fingerprint

    def __getitem__(self, key: tuple[str, int]) -> StereoPair:
        try:
            tensors = load_file(self._file(key))
        except (FileNotFoundError, SafetensorError):
            raise KeyError(key) from None
        left, right = (
            View(
                image=tensors[f"{side}_image"].float().div_(255),
                disparity=tensors[f"{side}_disparity"],
                valid=tensors[f"{side}_valid"],
            )
            for side in ("left", "right")
        )
        focal_px, baseline_m, width, doffs_px = tensors["rig"].tolist()
        rig = Rig(focal_px=focal_px, baseline_m=baseline_m, width=round(width), doffs_px=doffs_px)
        return StereoPair(left=left, right=right, rig=rig, name=f"{key[0]}_{key[1]:06d}")

    def __setitem__(self, key: tuple[str, int], pair: StereoPair) -> None:
        numbers = [float(getattr(pair.rig, name)) for name in ("focal_px", "baseline_m", "width", "doffs_px")]
        tensors = {"rig": torch.tensor(numbers, dtype=torch.float64)}
        for side, view in (("left", pair.left), ("right", pair.right)):
            tensors |= {f"{side}_image": _bytes(view.image), f"{side}_disparity": view.disparity}
            tensors[f"{side}_valid"] = view.valid
        path = self._file(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, save({name: tensor.contiguous() for name, tensor in tensors.items()}))

    def __delitem__(self, key: tuple[str, int]) -> None:
        self._file(key).unlink()

    def __iter__(self) -> Iterator[tuple[str, int]]:
        for path in sorted(self.folder.glob("*/*.safetensors")):
            yield path.parent.name, int(path.stem)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _file(self, key: tuple[str, int]) -> Path:
        return self.folder / key[0] / f"{key[1]:06d}.safetensors"


def eight_bit(image: Tensor) -> Tensor:
    """The picture in [0, 1], float32, in the 256 steps in which a camera delivers it."""
    return _bytes(image).float().div_(255)


def _bytes(image: Tensor) -> Tensor:
    return (image.float() * 255).round_().to(torch.uint8)


def with_images(pair: StereoPair, function: Callable[[Tensor], Tensor]) -> StereoPair:
    """The pair with both pictures put through `function` (another number format)."""
    left, right = (replace(view, image=function(view.image)) for view in (pair.left, pair.right))
    return replace(pair, left=left, right=right)
