"""1-D correlation: how well each left feature matches the right features of its row."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint  # pyright: ignore[reportUnknownVariableType]

_SEGMENT = 16
_ROWS = 12
"""Rows of the image that a training step on the CPU keeps the matrices of."""


def correlation_1d(
    left: Float[Tensor, "B C H W"],
    right: Float[Tensor, "B C H W"],
    num_displacements: int,
    num_groups: int = 1,
) -> Float[Tensor, "B G D H W"]:
    """Mean over channels of left(x) * right(x - d) for d = 0 .. num_displacements - 1, zero outside the image.

    DispNetC's correlation (Mayer et al. 2016; Guo et al. 2018), in `num_groups` channel groups (GwcNet).
    """
    assert left.shape[1] % num_groups == 0, "channels must divide into groups"
    groups = (num_groups, left.shape[1] // num_groups)
    rows_left, rows_right = (_unflatten(t, 1, groups).flatten(0, 1) for t in (left, right))
    scores = _banded(rows_left, rows_right, before=num_displacements - 1, after=0)
    return _unflatten(scores.flip(1), 0, (left.shape[0], num_groups))


def local_correlation_1d(
    left: Float[Tensor, "B C H W"], right: Float[Tensor, "B C H W"], reach: int
) -> Float[Tensor, "B K H W"]:
    """Mean over channels of left(x) * right(x + k - reach) for k = 0 .. 2 * reach, zero outside the image.

    For features that already lie nearly on each other.
    """
    return _banded(left, right, before=reach, after=reach)


def _banded(left: Tensor, right: Tensor, before: int, after: int) -> Tensor:
    """Mean of left(x) * right(x + k - before) for k = 0 .. before + after, (B, K, H, W).

    On the CPU a gradient is worked out a few rows at a time, from matrices that are made again: a fifth more time,
    two thirds of the memory.
    """
    if torch.compiler.is_exporting():
        return _shifted(left, right, before, after)
    if left.device.type != "cpu" or not torch.is_grad_enabled() or not (left.requires_grad or right.requires_grad):
        return _banded_rows(left, right, before, after)
    rows = zip(torch.split(left, _ROWS, dim=2), torch.split(right, _ROWS, dim=2), strict=True)
    return torch.cat([_remade_rows(*views, before, after) for views in rows], dim=2)


def _remade_rows(left: Tensor, right: Tensor, before: int, after: int) -> Tensor:
    """`_banded_rows`, computed again for the gradient instead of kept."""
    return checkpoint(  # pyright: ignore[reportUnknownVariableType]
        _banded_rows, left, right, before, after, use_reentrant=False, preserve_rng_state=False
    )


def _unflatten(tensor: Tensor, dim: int, sizes: tuple[Any, Any]) -> Tensor:
    """`sizes` are whole numbers, symbolic ones while a graph is converted."""
    return tensor.unflatten(dim, sizes)  # pyright: ignore[reportUnknownVariableType]


def _shifted(left: Tensor, right: Tensor, before: int, after: int) -> Tensor:
    """The same from shifted copies: slow, but a graph whose shapes a converter can follow."""
    width = left.shape[-1]
    other = F.pad(right, (before, after))
    return torch.stack([(left * other[..., k : k + width]).mean(1) for k in range(before + after + 1)], dim=1)


def _banded_rows(left: Tensor, right: Tensor, before: int, after: int) -> Tensor:
    """The same of all rows at once.

    A row is cut into segments, each compared with all columns within reach by one small matrix product, whose
    diagonals are the result: some needless arithmetic, far less time than a loop over shifted copies.
    """
    batch, channels, height, width = left.shape
    num_offsets = before + after + 1
    segment = min(max(_SEGMENT, num_offsets), max(width, 1))
    span = segment + before + after
    missing = -width % segment
    rows = F.pad(left.permute(0, 2, 3, 1), (0, 0, 0, missing)).reshape(-1, segment, channels)
    other = F.pad(right.permute(0, 2, 3, 1), (0, 0, before, after + missing))
    other = other.unfold(2, span, segment).reshape(-1, channels, span)
    scores = torch.bmm(rows / channels, other).flatten(1)
    # Offset k of pixel i stands at i * span + i + k.
    scores = _unflatten(F.pad(scores, (0, segment)), 1, (segment, span + 1))[..., :num_offsets]
    return scores.reshape(batch, height, -1, num_offsets)[:, :, :width].permute(0, 3, 1, 2)
