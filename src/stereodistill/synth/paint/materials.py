"""Colours of surfaces: one bank of band-limited noise, and patterns drawn with the pixel's own sharpness.

A material is numbers in a solid's row: two colours mixed by four kinds of noise, then cells (bricks, tiles,
planks), a facade of windows, or rows of glyphs on top.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from stereodistill.synth.solids.rows import FinishRows
from stereodistill.synth.solids.surface import Surface

BANK_SIZE = 512
NUM_LEVELS = 8
NUM_NOISES = 4
"""Channels of the bank: clouds, grain, blotches with sharp borders, upright streaks."""


@functools.cache
def noise_bank(device: str) -> Tensor:
    """(1, 4, H, W) tileable noise, zero mean, unit variance at the finest level; all mip levels in one picture.

    Level l has side `BANK_SIZE >> l` and a wrapped border of one texel; levels lie below each other.
    """
    generator = np.random.default_rng(20180816)
    y, x = (np.fft.fftfreq(BANK_SIZE, 1 / BANK_SIZE)[:, None], np.fft.rfftfreq(BANK_SIZE, 1 / BANK_SIZE)[None])

    def noise(power: float, stretch: float = 1.0) -> np.ndarray:
        radius = np.maximum(np.hypot(x, y * stretch), 1)
        phase = np.fft.rfft2(generator.standard_normal((BANK_SIZE, BANK_SIZE)))
        field = np.fft.irfft2(phase * radius**-power * (radius < BANK_SIZE / 3.2), s=(BANK_SIZE, BANK_SIZE))
        return (field - field.mean()) / field.std()

    blotches = np.tanh(3 * noise(1.8)) * 0.8 + 0.5 * np.tanh(4 * noise(1.3))
    streaks = noise(1.0, stretch=12.0)
    layers = np.stack([noise(1.6), noise(0.6), blotches, streaks])
    layers = torch.as_tensor(layers, dtype=torch.float32)[None]
    levels = []
    for level in range(NUM_LEVELS):
        if level:
            layers = F.avg_pool2d(layers, 2)
        padded = F.pad(layers, (1, 1, 1, 1), mode="circular")
        levels.append(F.pad(padded, (0, BANK_SIZE + 2 - padded.shape[-1], 0, 0)))
    return torch.cat(levels, dim=2).to(device)


def sample_noise(u: Tensor, v: Tensor, footprint: Tensor, period_m: Tensor | float, blend: bool = True) -> Tensor:
    """(4, P) noise at surface coordinates, filtered to the pixel; the bank repeats every `period_m` metres.

    `blend`: between the two nearest mip levels (twice the cost), else the nearest one.
    """
    bank = noise_bank(str(u.device))
    level = torch.log2((footprint * (BANK_SIZE / period_m)).clamp_min(1e-6)).clamp(0, NUM_LEVELS - 1.001)
    base = level.floor() if blend else level.round()
    share = level - base
    u, v = u / period_m, v / period_m
    u, v = u - u.floor(), v - v.floor()
    # A tile of few texels would show as a regular pattern: let it fade.
    keep = (2 - footprint * (12 / period_m)).clamp(0, 1)
    first = _sample_level(bank, u, v, base)
    if not blend:
        return first * keep
    second = _sample_level(bank, u, v, base + 1)
    return (first + (second - first) * share) * keep


def _sample_level(bank: Tensor, u: Tensor, v: Tensor, level: Tensor) -> Tensor:
    scale = torch.exp2(-level)
    top = (2 * BANK_SIZE) * (1 - scale) + 2 * level
    side = BANK_SIZE * scale
    height, width = bank.shape[-2:]
    grid = torch.stack([(u * side + 1) * (2 / width) - 1, (v * side + 1 + top) * (2 / height) - 1], dim=-1)
    return F.grid_sample(bank, grid[None, None], mode="bilinear", padding_mode="border", align_corners=False)[0, :, 0]


def hash01(i: Tensor, j: Tensor, seed: Tensor | float) -> Tensor:
    """A fixed random number in [0, 1) per cell (i, j)."""
    wave = torch.sin(i * 12.9898 + j * 78.233 + seed * 37.719)
    return torch.frac(wave.abs() * 4375.85453)


def band(position: Tensor, low: Tensor | float, high: Tensor | float, step: Tensor) -> Tensor:
    """1 inside [low, high], 0 outside, with borders as soft as one pixel (`step`, same unit as position)."""
    step = step.clamp_min(1e-6)
    rise = ((position - low) / step + 0.5).clamp(0, 1)
    fall = ((high - position) / step + 0.5).clamp(0, 1)
    return (rise + fall - 1).clamp_min(0)


def noise_color(look: FinishRows, surface: Surface) -> Tensor:
    """(3, P) two colours mixed by noise."""
    place = surface.u + look.offset[0], surface.v + look.offset[1]
    noise = sample_noise(*place, surface.footprint, look.period_m, blend=False)
    mix = (0.5 + 0.25 * (noise * look.weights).sum(0)).clamp(0, 1)
    return look.a + (look.b - look.a) * mix


def cells(color: Tensor, p: Tensor, surface: Surface) -> Tensor:
    """Bricks, tiles, planks: `p` = period u, period v, joint width m, row shift, contrast, joint shade, seed."""
    row = torch.floor(surface.v / p[1])
    along = surface.u / p[0] + row * p[3]
    column = torch.floor(along)
    tone = 1 + (hash01(row, column, p[6]) - 0.5) * p[4] * _fade(surface, p[0], p[1])
    across = (surface.v / p[1] - row) * p[1]
    along = (along - column) * p[0]
    body = band(along, p[2], p[0] - p[2], surface.step_u) * band(across, p[2], p[1] - p[2], surface.step_v)
    mean = (1 - 2 * p[2] / p[0]) * (1 - 2 * p[2] / p[1])
    keep = _fade(surface, p[0], p[1])
    body = mean + (body - mean) * keep
    return color * tone * (p[5] + (1 - p[5]) * body)


def _fade(surface: Surface, period_u: Tensor, period_v: Tensor) -> Tensor:
    """1 where the pattern is well resolved, 0 where it is finer than the pixels."""
    return (2 - 2.5 * torch.maximum(surface.step_u / period_u, surface.step_v / period_v)).clamp(0, 1)


def facade(color: Tensor, p: Tensor, surface: Surface, sky: Tensor) -> Tensor:
    """Windows in floors: `p` = period u, storey height, window share u, share v, seed, frame, lit share, curtains."""
    column, row = torch.floor(surface.u / p[0]), torch.floor(surface.v / p[1])
    x, y = surface.u / p[0] - column, surface.v / p[1] - row
    step_x, step_y = surface.step_u / p[0], surface.step_v / p[1]
    keep = (2.2 - 2.5 * torch.maximum(step_x, step_y)).clamp(0, 1)
    low_x, high_x = 0.5 - p[2] * 0.5, 0.5 + p[2] * 0.5
    low_y, high_y = 0.25, 0.25 + p[3] * 0.7
    pane = band(x, low_x, high_x, step_x) * band(y, low_y, high_y, step_y)
    rim = band(x, low_x - 0.03, high_x + 0.03, step_x) * band(y, low_y - 0.05, high_y + 0.03, step_y)
    bar = band(x, 0.485, 0.515, step_x) + band(
        y, low_y + 0.6 * (high_y - low_y), low_y + 0.6 * (high_y - low_y) + 0.02, step_y
    )
    chance = hash01(row, column, p[4])
    curtain = band(y, high_y - p[7] * chance, high_y + 0.1, step_y)
    glass = sky * (0.15 + 0.35 * chance) + 0.02
    lit = (chance < p[6]).to(color.dtype)
    warm = torch.stack([lit * 0.95, lit * 0.8, lit * 0.5])
    glass = torch.where(lit > 0, warm, glass)
    glass = glass + (0.55 + 0.3 * chance - glass) * (curtain * 0.8)
    glass = glass + (p[5] - glass) * (bar.clamp(0, 1) * 0.9)
    mean = p[2] * p[3] * 0.7
    pane, rim = mean + (pane - mean) * keep, mean + (rim - mean) * keep
    glass = glass * keep + (0.3 * sky + 0.08) * (1 - keep)
    painted = color + (p[5] - color) * (rim - pane).clamp(0, 1)
    ledge = band(y, 0.0, 0.05, step_y) * keep
    return painted * (1 - pane) * (1 - 0.25 * ledge) + glass * pane


def glyphs(color: Tensor, p: Tensor, surface: Surface, other: Tensor) -> Tensor:
    """Rows of writing in colour `other`: `p` = letter width, line height, seed, ink, margin u, margin v (m)."""
    row = torch.floor(surface.v / p[1])
    stroke_u, stroke_v = p[0] / 3, p[1] / 7
    i, j = torch.floor(surface.u / stroke_u), torch.floor(surface.v / stroke_v)
    line = j - row * 7
    letter = torch.floor(i / 3)
    ink = (hash01(i, j, p[2]) < p[3]) & (line >= 1) & (line <= 5) & (hash01(letter, row, p[2] + 1) < 0.85)
    ink = ink & (i - letter * 3 < 2.5) & (surface.u.abs() < p[4]) & (surface.v.abs() < p[5])
    keep = (2 - 2 * torch.maximum(surface.step_u / stroke_u, surface.step_v / stroke_v)).clamp(0, 1)
    mean = p[3] * 0.5
    share = mean + (ink.to(color.dtype) - mean) * keep
    return color + (other - color) * share
