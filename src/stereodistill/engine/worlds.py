"""Procedural worlds as samples; scenes that come back are packed as a camera would deliver them, and kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from stereodistill import __version__
from stereodistill.engine.recipe import SynthSource
from stereodistill.errors import UserError
from stereodistill.io.files import write_bytes
from stereodistill.rng import rng
from stereodistill.synth import render
from stereodistill.types import Rig, StereoPair, View, uncollate

Packed = dict[str, Tensor]
"""A pair with pictures in 8 bits: a third of the memory, and what a network meets in practice."""
ENDLESS = 1 << 40


class Worlds:
    """Procedural scenes of several kinds, mixed in fixed shares; sample i is a function of (seed, i)."""

    def __init__(self, source: SynthSource, seed: int):
        self.source, self.seed = source, seed
        self.kinds = list(source.worlds)
        total = sum(source.worlds.values())
        if not self.kinds or total <= 0 or min(source.worlds.values()) < 0:
            raise UserError("data.worlds: expected shares like {flying: 0.7, street: 0.3}, at least one above 0")
        self.shares = [source.worlds[kind] / total for kind in self.kinds]
        self.endless = source.num is None
        self.kept: MutableMapping[tuple[str, int], Packed] = {}
        if source.cache:
            self.kept = SceneCache(source.cache, [seed, *source.size, source.options, __version__])

    def __len__(self) -> int:
        return self.source.num or ENDLESS

    def load(self, index: int) -> StereoPair:
        """Render scene `index`, or bring back the one it shares with earlier samples of its kind (see `reuse`)."""
        kind = str(rng(self.seed, 0, index, purpose=2).choice(self.kinds, p=self.shares))
        num_scenes = self.source.reuse.get(kind)
        if num_scenes is None:
            return self._render(kind, index)
        key = (kind, index % num_scenes)
        packed = self.kept.get(key)
        if packed is None:
            packed = self.kept[key] = pack(self._render(*key))
        return unpack(packed, f"{kind}_{self.seed}_{key[1]:06d}")

    def _render(self, kind: str, index: int) -> StereoPair:
        config = self.source.options.get(kind)
        return uncollate(render(kind, seed=self.seed, indices=[index], size=self.source.size, config=config).pair)[0]


def pack(pair: StereoPair) -> Packed:
    """An unbatched pair as tensors; its pictures are rounded to 8 bits."""
    rig = [float(value) for value in (pair.rig.focal_px, pair.rig.baseline_m, pair.rig.width, pair.rig.doffs_px)]
    tensors = {"rig": torch.tensor(rig, dtype=torch.float64)}
    for side, view in (("left", pair.left), ("right", pair.right)):
        tensors[f"{side}_image"] = (view.image * 255).round().to(torch.uint8)
        tensors[f"{side}_disparity"], tensors[f"{side}_valid"] = view.disparity.contiguous(), view.valid.contiguous()
    return tensors


def unpack(tensors: Packed, name: str) -> StereoPair:
    """The pair that `pack` was given, pictures back in [0, 1]."""
    focal_px, baseline_m, width, doffs_px = tensors["rig"].tolist()
    left, right = (
        View(
            image=tensors[f"{side}_image"].float() / 255,
            disparity=tensors[f"{side}_disparity"],
            valid=tensors[f"{side}_valid"],
        )
        for side in ("left", "right")
    )
    rig = Rig(focal_px=focal_px, baseline_m=baseline_m, width=round(width), doffs_px=doffs_px)
    return StereoPair(left=left, right=right, rig=rig, name=name)


class SceneCache(MutableMapping[tuple[str, int], Packed]):
    """(world, scene number) -> packed pair, a safetensors file each; a damaged file counts as absent.

    `origin`: everything (JSON values) that the scenes depend on beside their key; another origin, another folder.
    """

    def __init__(self, folder: str | Path, origin: Any):
        fingerprint = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()[:12]
        self.folder = Path(folder) / fingerprint

    def __getitem__(self, key: tuple[str, int]) -> Packed:
        try:
            return load_file(self._file(key))
        except (FileNotFoundError, SafetensorError):
            raise KeyError(key) from None

    def __setitem__(self, key: tuple[str, int], value: Packed) -> None:
        path = self._file(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, save(value))

    def __delitem__(self, key: tuple[str, int]) -> None:
        self._file(key).unlink()

    def __iter__(self) -> Iterator[tuple[str, int]]:
        for path in sorted(self.folder.glob("*/*.safetensors")):
            yield path.parent.name, int(path.stem)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _file(self, key: tuple[str, int]) -> Path:
        return self.folder / key[0] / f"{key[1]:06d}.safetensors"
