"""Draws of surface finishes: walls, roofs, leaves, metal, wood, signs."""

from __future__ import annotations

import colorsys
from dataclasses import replace

import numpy as np

from stereodistill.synth.solids.scene import CABIN, CELLS, FACADE, GLYPHS, NUM_TEXTURES, TILED, Finish

Color = tuple[float, ...]


def hsv(h: float, s: float, v: float) -> Color:
    """RGB of hue (turns), saturation, value."""
    return colorsys.hsv_to_rgb(h % 1.0, min(max(s, 0.0), 1.0), min(max(v, 0.0), 1.0))


def times(color: Color, factor: float) -> Color:
    """A lighter or darker version of a colour."""
    return tuple(min(max(c * factor, 0.0), 1.0) for c in color)


def wall_color(g: np.random.Generator) -> Color:
    """Plaster, stone and brick colours: mostly warm and pale, sometimes strong."""
    pick = g.random()
    if pick < 0.5:
        return hsv(g.uniform(0.05, 0.15), g.uniform(0.05, 0.4), g.uniform(0.5, 0.9))
    if pick < 0.75:
        return hsv(g.uniform(0.0, 0.06), g.uniform(0.35, 0.65), g.uniform(0.3, 0.65))
    if pick < 0.92:
        return hsv(g.random(), g.uniform(0.0, 0.12), g.uniform(0.3, 0.85))
    return hsv(g.random(), g.uniform(0.2, 0.6), g.uniform(0.4, 0.85))


def stucco(g: np.random.Generator, color: Color, strength: float = 1.0) -> Finish:
    """Plaster, concrete: cloudy, a little dirty."""
    return Finish(
        a=times(color, 1 - 0.22 * strength), b=times(color, 1 + 0.12 * strength),
        weights=(g.uniform(0.3, 1.2), g.uniform(0.1, 0.9), g.uniform(0, 0.6), g.uniform(0, 0.8)),
        period_m=g.uniform(3, 9),
    )  # fmt: skip


def brickwork(g: np.random.Generator, color: Color) -> Finish:
    """Bricks, blocks, tiles or planks."""
    style = g.random()
    if style < 0.5:
        size, joint, shift = (g.uniform(0.2, 0.45), g.uniform(0.07, 0.2)), 0.008, 0.5
    elif style < 0.75:
        size, joint, shift = (g.uniform(0.4, 1.2), g.uniform(0.3, 0.8)), 0.012, g.choice([0.0, 0.5])
    else:
        size, joint, shift = (60.0, g.uniform(0.1, 0.25)), 0.01, 0.37
    base = stucco(g, color)
    numbers = (*size, joint, shift, g.uniform(0.1, 0.5), g.uniform(0.35, 1.2), g.uniform(0, 90), 0.0)
    return Finish(a=base.a, b=base.b, weights=base.weights, period_m=base.period_m, pattern=CELLS, numbers=numbers)


def windows(g: np.random.Generator, color: Color) -> Finish:
    """A facade with rows of windows."""
    base = stucco(g, color)
    glassy = g.random() < 0.15
    numbers = (
        g.uniform(1.6, 4.0), g.uniform(2.7, 3.8), g.uniform(0.75, 0.92) if glassy else g.uniform(0.3, 0.65),
        g.uniform(0.85, 1.0) if glassy else g.uniform(0.5, 0.85), g.uniform(0, 90),
        g.choice([0.12, 0.5, 0.85, 0.95]), g.choice([0.0, 0.05, 0.2]), g.uniform(0, 0.8),
    )  # fmt: skip
    return Finish(
        a=base.a, b=base.b, weights=base.weights, period_m=base.period_m, pattern=FACADE, numbers=numbers,
        gloss=g.choice([0.0, 0.1]),
    )  # fmt: skip


def leaves(g: np.random.Generator, autumn: float = 0.12) -> Finish:
    """Foliage: strong fine contrast."""
    hue = g.uniform(0.04, 0.15) if g.random() < autumn else g.uniform(0.18, 0.36)
    saturation, value = g.uniform(0.3, 0.75), g.uniform(0.25, 0.6)
    return Finish(
        a=hsv(hue, saturation, value * 0.12), b=hsv(hue - 0.03, saturation * 0.8, min(1.0, value * 1.7)),
        weights=(0.5, g.uniform(1.2, 2.4), g.uniform(0.0, 0.9), 0.0), period_m=g.uniform(2.0, 5.0),
    )  # fmt: skip


def shaded(finish: Finish, factor: float) -> Finish:
    """The same finish in deep shade."""
    return replace(finish, a=times(finish.a, factor), b=times(finish.b, factor))


def dull(finish: Finish, share: float) -> Finish:
    """The same finish with less contrast: both colours this share of the way to their mean."""
    a, b = np.array(finish.a), np.array(finish.b)
    middle = (a + b) / 2
    return replace(finish, a=tuple(a + share * (middle - a)), b=tuple(b + share * (middle - b)))


def bark(g: np.random.Generator) -> Finish:
    """Trunks and wooden posts."""
    color = hsv(g.uniform(0.05, 0.1), g.uniform(0.15, 0.5), g.uniform(0.2, 0.45))
    return Finish(a=times(color, 0.4), b=times(color, 1.5), weights=(0.2, 0.5, 0.2, 1.6), period_m=g.uniform(0.8, 1.6))


def metal(g: np.random.Generator, color: Color | None = None, gloss: float | None = None) -> Finish:
    """Painted or bare metal, plastic."""
    color = color or hsv(g.random(), g.choice([0.0, 0.05, 0.5]), g.uniform(0.1, 0.8))
    return Finish(
        a=times(color, 0.85), b=times(color, 1.1), weights=(0.5, 0.2, 0.1, 0.2), period_m=3.0,
        gloss=g.uniform(0.05, 0.5) if gloss is None else gloss,
    )  # fmt: skip


def car_paint(g: np.random.Generator, gloss: float) -> Finish:
    """Glossy bodies; many are white, grey or black, as on the road."""
    color = hsv(
        g.choice([0.0, 0.02, 0.08, 0.13, 0.35, 0.55, 0.6, 0.65, g.random()]), g.uniform(0.4, 0.9), g.uniform(0.2, 0.7)
    )
    if g.random() < 0.65:
        color = hsv(g.random(), g.uniform(0, 0.08), g.choice([0.03, 0.1, 0.25, 0.45, 0.7, 0.92]))
    return Finish(a=times(color, 0.93), b=times(color, 1.05), weights=(0.6, 0.0, 0.0, 0.0), period_m=6.0, gloss=gloss)


def glass(gloss: float) -> Finish:
    """Dark panes that mirror their surroundings."""
    return Finish(a=(0.03, 0.04, 0.04), b=(0.12, 0.13, 0.14), weights=(1.0, 0.0, 0.0, 0.0), period_m=4.0, gloss=gloss)


def cabin(g: np.random.Generator, gloss: float, paint: Finish | None = None) -> Finish:
    """Panes of a vehicle in a frame of `paint` (dark without): most can be looked through, some only mirror."""
    paint = paint or glass(gloss)
    # Draws of its own: the rest of the scene does not depend on them.
    g = g.spawn(1)[0]
    clear = g.uniform(0.4, 0.95) if g.random() < 0.7 else 0.0
    numbers = (
        clear, g.uniform(0, 90), g.uniform(0.08, 0.6), g.uniform(0.03, 0.09),
        g.uniform(-0.3, 0.2), g.uniform(0.03, 0.07),
    )  # fmt: skip
    shine = gloss * (g.uniform(0.25, 1.0) if clear else 1.0)
    return replace(paint, weights=(0.6, 0.0, 0.0, 0.0), pattern=CABIN, numbers=numbers, gloss=shine)


def writing(g: np.random.Generator, half: tuple[float, float]) -> Finish:
    """A sign or poster with rows of letters; `half` extents in metres."""
    hue, dark = g.random(), g.random() < 0.5
    ground = hsv(hue, g.uniform(0, 0.9), g.uniform(0.05, 0.45) if dark else g.uniform(0.7, 1.0))
    ink = hsv(g.random(), g.uniform(0, 0.5), g.uniform(0.75, 1.0) if dark else g.uniform(0, 0.3))
    letter = half[1] * g.uniform(0.08, 0.5)
    numbers = (
        letter,
        letter * g.uniform(1.6, 2.6),
        g.uniform(0, 90),
        g.uniform(0.4, 0.7),
        half[0] * 0.88,
        half[1] * 0.85,
    )
    return Finish(a=ground, b=ink, weights=(0.0, 0.0, 0.0, 0.0), period_m=3.0, pattern=GLYPHS, numbers=numbers)


def texture(g: np.random.Generator, texels_per_m: float | None = None, gloss: float = 0.0) -> Finish:
    """One of the scene's textures from the shared bank (patterns, photos)."""
    scale = texels_per_m or float(np.exp(g.uniform(np.log(60), np.log(500))))
    numbers = (float(g.integers(0, NUM_TEXTURES)), scale)
    return Finish(a=(0.5,) * 3, b=(0.5,) * 3, pattern=TILED, numbers=numbers, gloss=gloss)
