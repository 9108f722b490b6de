"""Holding out whole stretches of a sequence: neighbouring frames look alike, so random frames would leak."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stereodistill.errors import UserError
from stereodistill.rng import rng

_SCENE_FRAME = re.compile(r"^(.*\d{6})_\d{2}$")
_SCENES_PER_STRETCH = 8
_MAX_STRETCHES = 5
_PURPOSE = 0x5717


def split_stretches(
    names_or_len: Sequence[str] | int, val_fraction: float, seed: int = 0
) -> tuple[list[int], list[int]]:
    """Indices (train, val), both in sequence order, disjoint, together everything.

    Validation gets about `val_fraction` of the frames in at most five contiguous stretches, at least one frame
    when there are two or more and the fraction is not 0; training always keeps one.  Frames of one scene
    (KITTI's `000003_10` and `000003_11`) are never divided.

    Args:
        names_or_len: names in sequence order, or just how many frames there are.
        val_fraction: 0 <= fraction < 1.
        seed: chooses where the stretches lie.
    """
    if not 0 <= val_fraction < 1:
        raise UserError(f"val_fraction must be at least 0 and less than 1, found {val_fraction}")
    scenes = _scenes(names_or_len)
    num_val = min(len(scenes) - 1, max(1, round(len(scenes) * val_fraction))) if val_fraction > 0 else 0
    held_out = _place(len(scenes), num_val, seed) if num_val > 0 else set()
    train = [index for number, scene in enumerate(scenes) if number not in held_out for index in scene]
    val = [index for number, scene in enumerate(scenes) if number in held_out for index in scene]
    return train, val


def _scenes(names_or_len: Sequence[str] | int) -> list[list[int]]:
    if isinstance(names_or_len, int):
        return [[index] for index in range(names_or_len)]
    scenes: dict[str, list[int]] = {}
    for index, name in enumerate(names_or_len):
        match = _SCENE_FRAME.match(name)
        scenes.setdefault(match[1] if match else f"frame {index}", []).append(index)
    return list(scenes.values())


def _place(num_scenes: int, num_val: int, seed: int) -> set[int]:
    """Spread the stretches: each lies at a random place within its own equal share of the sequence."""
    num_stretches = max(1, min(_MAX_STRETCHES, num_val // _SCENES_PER_STRETCH))
    generator = rng(seed, purpose=_PURPOSE)
    held_out: set[int] = set()
    for number in range(num_stretches):
        start, end = (num_scenes * k // num_stretches for k in (number, number + 1))
        length = num_val * (number + 1) // num_stretches - num_val * number // num_stretches
        first = start + int(generator.integers(0, max(1, end - start - length + 1)))
        held_out.update(range(first, min(first + length, end)))
    return held_out
