"""Which pixels belong to thin things: poles, branches, bars, that a mean over all pixels hardly notices."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

STEP_PX = 2.0
"""How much nearer than what surrounds it a thing must be, in pixels of disparity."""


def thin_things(
    disparity: Float[Tensor, "B 1 H W"], valid: Bool[Tensor, "B 1 H W"], width_px: int
) -> Bool[Tensor, "B 1 H W"]:
    """Pixels in front of what is behind them, on things at most `width_px` wide or high.

    The white top-hat of the disparity: where no larger square fits onto the surface.  Unknown pixels neither narrow a
    surface nor belong to one.
    """
    before, after = (width_px + 1) // 2, width_px // 2
    known = disparity.float().masked_fill(~valid, torch.inf)
    eroded = -_largest(-known, width_px + 1, before, after)
    # Where nothing around is known the smallest is infinite; such a place must not spread.
    opened = _largest(eroded.masked_fill(eroded.isinf(), -torch.inf), width_px + 1, after, before)
    return valid & (disparity - opened > STEP_PX)


def _largest(values: Tensor, window: int, before: int, after: int) -> Tensor:
    """Maximum over windows that begin `before` pixels before theirs, upwards and to the left."""
    return F.max_pool2d(F.pad(values, (before, after, before, after), value=-torch.inf), window, 1)
