"""Random colour schemes with the statistics of pictures: mostly greyish, often low contrast, sometimes vivid."""

from __future__ import annotations

import numpy as np


def draw_colours(generator: np.random.Generator, num: int, is_photo: np.ndarray) -> np.ndarray:
    """(12, num): a base colour and the colour added by a full value of each of the three tile channels.

    A photo's channels are its own R, G, B: they keep their colour, with a random gain and tint.
    """
    first, second = draw_rgb(generator, num), draw_rgb(generator, num)
    contrast = generator.beta(1.3, 1.1, num)
    pattern = (second - first) * contrast
    # Fine detail is what most real surfaces are matched by: nearly always there, nearly grey.
    detail = generator.exponential(0.17, num) * (1 + 0.25 * generator.normal(0, 1, (3, num)))
    cell = generator.exponential(0.15, num) * (1 + 0.5 * generator.normal(0, 1, (3, num)))
    strength = np.where(generator.random(num) < 0.85, 1.0, 0.05)
    pattern, detail, cell = pattern * strength, detail * strength, cell * strength
    colours = np.stack([first - detail / 2 - cell / 2, pattern, detail, cell])
    if is_photo.any():
        colours[:, :, is_photo] = _photo_colours(generator, int(is_photo.sum()))
    return colours.reshape(12, num).astype(np.float32)


def draw_rgb(generator: np.random.Generator, num: int) -> np.ndarray:
    """(3, num) colours in [0.02, 0.98]: a grey level, plus chroma that is small for most."""
    grey = generator.beta(1.3, 1.4, num)
    chroma = generator.normal(0, 1, (3, num)) * generator.exponential(0.07, num)
    warm = generator.normal(0, 0.04, num) * np.array([[1.0], [0.1], [-1.0]])
    return np.clip(grey + chroma + warm, 0.02, 0.98)


def _photo_colours(generator: np.random.Generator, num: int) -> np.ndarray:
    gain = generator.uniform(0.6, 1.1, num) * (1 + 0.06 * generator.normal(0, 1, (3, num)))
    colours = np.zeros((4, 3, num))
    colours[0] = generator.uniform(-0.05, 0.15, num)
    for channel in range(3):
        colours[channel + 1, channel] = gain[channel]
    return colours
