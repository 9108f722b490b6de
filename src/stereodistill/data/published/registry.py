"""Data sets by name: `NAME[:SPLIT]=ROOT`, or `NAME[:SPLIT]` with the root from `$STEREODISTILL_DATA/NAME`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from stereodistill.data.published.listed import ListedPairs
from stereodistill.errors import UserError
from stereodistill.types import Rig

DATASETS: dict[str, str] = {
    "kitti_raw": "kitti_raw:KittiRaw",
    "kitti_depth": "kitti_depth:KittiDepth",
    "kitti_stereo": "kitti_stereo:KittiStereo",
    "vkitti2": "vkitti2:VirtualKitti2",
    "sceneflow": "sceneflow:SceneFlow",
    "cityscapes": "cityscapes:Cityscapes",
    "make3d": "make3d:Make3D",
    "middlebury": "middlebury:Middlebury",
    "eth3d": "eth3d:Eth3D",
    "drivingstereo": "drivingstereo:DrivingStereo",
}
"""Name -> `MODULE:CLASS` in `stereodistill.data.published`, imported when it is asked for."""
ROOTS_VARIABLE = "STEREODISTILL_DATA"

_SOURCE = re.compile(r"(?P<name>[a-z][a-z0-9_]+)(?::(?P<split>[^=/\\]*))?(?:=(?P<root>.*))?", re.DOTALL)


@dataclass(frozen=True)
class NamedSource:
    """What `NAME[:SPLIT][=ROOT]` says; `split` None = the data set's first."""

    name: str
    split: str | None
    root: Path


def parse_source(text: str | Path, environment: Mapping[str, str] = os.environ) -> NamedSource | None:
    """The named data set that `text` means; None = it is a path (anything that exists is one).

    Raises:
        UserError: a name that is not known, or no root given and none in the environment.
    """
    text = str(text)
    match = _SOURCE.fullmatch(text)
    if match is None or os.path.lexists(text):
        return None
    name, split, root = match["name"], match["split"], match["root"]
    if name not in DATASETS:
        if split is None and root is None:
            return None
        near = get_close_matches(name, DATASETS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"{text}: no such path and no data set {name!r}; {hint}known: {', '.join(DATASETS)}")
    if split == "?":
        return NamedSource(name, split, Path(root or "."))
    if root:
        return NamedSource(name, split or None, Path(root).expanduser())
    if not environment.get(ROOTS_VARIABLE):
        raise UserError(
            f"{text}: where is it? say {name}:SPLIT=ROOT, or set {ROOTS_VARIABLE} to the folder that holds {name}/"
        )
    return NamedSource(name, split or None, Path(environment[ROOTS_VARIABLE]).expanduser() / name)


def dataset_class(name: str) -> type[ListedPairs]:
    """The class of a name in `DATASETS`."""
    module, _, cls = DATASETS[name].partition(":")
    return getattr(import_module(f"stereodistill.data.published.{module}"), cls)


def open_named(source: NamedSource, *, rig: Rig | None = None, limit: int | None = None) -> ListedPairs:
    """Open it; errors as the data set's class: wrong root, unknown split (with a list of them)."""
    return dataset_class(source.name)(source.root, source.split, rig=rig, limit=limit)
