"""What several verbs have in common: options by their type, and what they turn into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from stereodistill.errors import UserError

if TYPE_CHECKING:
    from stereodistill.types import Rig

Data: TypeAlias = Annotated[
    Path,
    typer.Argument(metavar="DATA", help="Stereo pairs: folder, KITTI tree, CSV list, or a data set NAME:SPLIT=ROOT."),
]
Device: TypeAlias = Annotated[
    str, typer.Option("--device", metavar="auto|cpu|cuda", help="auto takes a GPU when there is one.")
]
MAX_SEED = 2**32 - 1
Seed: TypeAlias = Annotated[int, typer.Option("--seed", min=0, max=MAX_SEED, help="All random choices follow from it.")]
Layout: TypeAlias = Annotated[
    str, typer.Option("--layout", help="How the pairs lie on disk: auto, folder, kitti, csv, pair, sbs (side by side).")
]
Limit: TypeAlias = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first so many.")]
Teacher: TypeAlias = Annotated[
    str, typer.Option("--teacher", help="lite_stereo, sgbm, stereo weights, or a folder of finished disparity maps.")
]
FocalPx: TypeAlias = Annotated[float | None, typer.Option("--focal-px", help="Focal length of the cameras in pixels.")]
BaselineM: TypeAlias = Annotated[
    float | None, typer.Option("--baseline-m", help="Distance between the cameras in metres.")
]
Width: TypeAlias = Annotated[
    int | None,
    typer.Option("--width", min=1, help="Image width that --focal-px belongs to; default: each image's own."),
]


InputSize: TypeAlias = Annotated[
    str | None,
    typer.Option("--size", metavar="HxW", help="Height x width at which the network sees the pictures."),
]


def input_size_of(text: str | None) -> tuple[int, int] | None:
    """`384x1280` as (height, width)."""
    if text is None:
        return None
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and 32 <= int(height) <= 8192 and 32 <= int(width) <= 8192):
        raise UserError(f"--size is HEIGHTxWIDTH from 32 to 8192 px, as 384x1280, found {text!r}")
    return int(height), int(width)


def rig_of(focal_px: float | None, baseline_m: float | None, width: int | None) -> Rig | None:
    """The rig that was given by options; None = none was, the data say it themselves."""
    refuse_width_alone(focal_px, width)
    if focal_px is None and baseline_m is None:
        return None
    if focal_px is None or baseline_m is None:
        raise UserError("a rig needs both --focal-px and --baseline-m (metres = focal * baseline / disparity)")
    if not (0 < focal_px < float("inf") and 0 < baseline_m < float("inf")):
        raise UserError(f"--focal-px and --baseline-m must be positive, found {focal_px:g} and {baseline_m:g}")
    from stereodistill.types import Rig

    # Width 0: at each image's own width.
    return Rig(focal_px=focal_px, baseline_m=baseline_m, width=width or 0)


def refuse_width_alone(focal_px: float | None, width: int | None) -> None:
    """Raises UserError for a `--width` that no focal length belongs to."""
    if width is not None and focal_px is None:
        raise UserError("--width is the image width that --focal-px belongs to: give both")


def settle(device: str, seed: int) -> None:
    """Refuse a device that this machine does not have, and seed what has a state, before any work is done."""
    import torch

    from stereodistill.predict.predictor import choose_device

    choose_device(device)
    torch.manual_seed(seed)


@contextmanager
def if_stopped(saved: Callable[[], str]) -> Iterator[None]:
    """Ctrl-C inside leaves with a message that names what is saved."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped; {saved()}") from None


def told(*lines: str) -> None:
    """Say on stdout what was done, and what could come next."""
    for line in lines:
        typer.echo(line)
