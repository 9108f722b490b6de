"""Procedural worlds as samples; scenes that come back are packed as a camera would deliver them, and kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, MutableMapping, Sequence
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
from stereodistill.io.images import ChooseWindow
from stereodistill.ops.geometry import crop_pair
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
            sizes = [source.sizes] if source.sizes else []
            self.kept = SceneCache(source.cache, [seed, *source.size, *sizes, source.options, __version__])

    def __len__(self) -> int:
        return self.source.num or ENDLESS

    @property
    def names(self) -> Sequence[str]:
        """World, seed and number of the scene."""
        return _Names(self)

    def rig(self, index: int) -> Rig:
        """The cameras of scene `index`, which is rendered for it."""
        return self.load(index).rig

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of scene `index`: that of its world."""
        return self._size_of(self.scene(index)[0])

    def load(self, index: int, window: ChooseWindow | None = None) -> StereoPair:
        """Render scene `index`, or bring back the one it shares with earlier samples of its kind (see `reuse`)."""
        kind, number = self.scene(index)
        if kind not in self.source.reuse:
            pair = self._render(kind, number)
        else:
            packed = self.kept.get((kind, number))
            if packed is None:
                packed = self.kept[kind, number] = pack(self._render(kind, number))
            pair = unpack(packed, self.names[index])
        return pair if window is None else crop_pair(pair, *window(pair.size))

    def scene(self, index: int) -> tuple[str, int]:
        """World and number of the scene that sample `index` shows."""
        kind = str(rng(self.seed, 0, index, purpose=2).choice(self.kinds, p=self.shares))
        return kind, index % self.source.reuse.get(kind, ENDLESS)

    def _render(self, kind: str, index: int) -> StereoPair:
        config = self.source.options.get(kind)
        rendered = render(kind, seed=self.seed, indices=[index], size=self._size_of(kind), config=config)
        return uncollate(rendered.pair)[0]

    def _size_of(self, kind: str) -> tuple[int, int]:
        return self.source.sizes.get(kind, self.source.size)


class _Names(Sequence[str]):
    """The names of all scenes, worked out when asked for: there may be no end of them."""

    def __init__(self, worlds: Worlds):
        self._worlds = worlds

    def __len__(self) -> int:
        return len(self._worlds)

    def __getitem__(self, index):
        kind, number = self._worlds.scene(range(len(self))[index])
        return f"{kind}_{self._worlds.seed}_{number:06d}"


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
