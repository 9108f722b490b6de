"""Stateless random numbers on any device: a value is a function of integers, never of a generator's past."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

_TABLE_SIZE = 1 << 20


def hash_uint32(*parts: Tensor | int) -> Tensor:
    """Mix integers (broadcast together) into uniform values of [0, 2^32), as int64.

    Multiply-xor-shift rounds; products stay below 2^63, so every device gives the same bits.
    """
    state = torch.zeros((), dtype=torch.int64)
    for part in parts:
        part = torch.as_tensor(part, dtype=torch.int64)
        state = state.to(part.device) if part.ndim else state
        state = (state ^ (part & 0xFFFFFFFF)) + 0x9E3779B9 & 0xFFFFFFFF
        for shift, factor in ((16, 0x7FEB352D), (15, 0x6C8E9CF5)):
            state = (state ^ (state >> shift)) * factor & 0xFFFFFFFF
        state = state ^ (state >> 16)
    return state


@functools.lru_cache(maxsize=8)
def _normal_table(device: str) -> Tensor:
    return torch.from_numpy(np.random.default_rng(20180908).standard_normal(_TABLE_SIZE, dtype=np.float32)).to(device)


def normal_rows(row_keys: Tensor, width: int) -> Tensor:
    """Standard normal noise, (*S, width) for row keys (*S) from `hash_uint32`.

    Each row is a stretch of one fixed table of 2^20 draws, starting where its key says: copying a stretch costs a
    tenth of hashing every pixel, and the reuse of a stretch at another offset elsewhere cannot be seen.
    """
    table = _normal_table(str(row_keys.device))
    windows = table.unfold(0, width, 1)
    starts = row_keys.flatten() % windows.shape[0]
    return windows.index_select(0, starts).reshape(*row_keys.shape, width)
