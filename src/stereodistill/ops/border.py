"""The strip at the left border that the right camera does not see."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

REACH = 2.0
"""How far to look to the right of the strip, in widths of the strip: near surfaces are large and lose wide strips."""
SAMPLES = 32
ROWS = 16
"""Rows above and below that share one slope with a row."""
SURFACE = (0.1, 0.03)
"""Relative distance from a surface that hardly counts: at first from its level right beside the strip, then from the
line through it."""
ALIKE = 0.25
"""Relative difference beyond which something in the strip is not taken for the surface beside it."""
TRUST = 0.2
"""Relative difference from a line at which it has little say any more."""


def continue_left(disparity: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
    """Surfaces beside the strip at the left border, whose matches lie off the right image, continued into it.

    There nothing can be matched, and a network that guesses makes slanted surfaces level off: the side of a car
    beside the camera.  A plane in space has disparities that are linear in the image, so in each row a line is
    fitted to the disparities beside the strip, and draws those in the strip to itself that are like it, the more so
    the nearer they are.  Another surface that begins inside the strip stays as it was, and so does all that the right
    camera sees.

    In and out: pixels of the map's own width, positive.  Own work.
    """
    level = disparity.float().squeeze(1)
    columns = torch.arange(level.shape[-1], device=level.device, dtype=level.dtype)
    hidden = columns < level
    strip = torch.where(hidden, columns + 1, 0.0).amax(dim=-1, keepdim=True)
    beside, offset, slope = _lines(level, strip)
    line = beside * (offset + slope * (columns - strip) / strip.clamp(min=1))
    alike = (level - beside).abs() < ALIKE * beside
    drawn = torch.lerp(level, line, torch.exp(-(((line - level) / (TRUST * level)) ** 4)))
    # A disparity below `columns` would claim that the right camera sees the pixel after all.
    continued = torch.where(hidden & alike & (drawn > columns), drawn, level)
    return continued.unsqueeze(1).to(disparity.dtype)


def _lines(level: Tensor, strip: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of each row, each (B, H, 1): the disparity right beside the strip, offset and slope of the line from there on.

    Offset and slope are in units of that disparity and of the strip's width.
    """
    width = level.shape[-1]
    evenly = (torch.arange(SAMPLES, device=level.device) + 0.5) / SAMPLES * REACH
    sampled = (strip + evenly * strip).floor()
    ahead = (sampled - strip) / strip.clamp(min=1)
    values = level.gather(2, sampled.long().clamp(max=width - 1))
    inside = ((sampled <= width - 1) & (values > 0)).to(level.dtype)
    # Of few samples, for a narrow part of the surface may be all that is seen of it.
    beside = values[..., :2].mean(dim=-1, keepdim=True).clamp(min=1e-3)
    values = values / beside
    fitted = torch.ones_like(values)
    offset, slope = fitted[..., :1], torch.zeros_like(fitted[..., :1])
    for distance in SURFACE:
        weight = inside * torch.exp(-(((values - fitted) / distance) ** 2))
        moments = [weight, weight * ahead, weight * ahead**2, weight * values, weight * values * ahead]
        own = torch.stack([moment.sum(dim=-1) for moment in moments], dim=1)
        one, x, xx, y, xy = _over_rows(own).unbind(dim=1)
        slope = (one * xy - x * y) / (one * xx - x**2).clamp(min=1e-3)
        offset = (own[:, 3] - slope * own[:, 1]) / own[:, 0].clamp(min=1e-3)
        offset, slope = offset.unsqueeze(-1), slope.unsqueeze(-1)
        fitted = offset + slope * ahead
    return beside, offset, slope


def _over_rows(moments: Tensor) -> Tensor:
    """(B, N, H), averaged with the rows above and below."""
    return F.avg_pool1d(F.pad(moments, (ROWS, ROWS), mode="replicate"), 2 * ROWS + 1, stride=1)
