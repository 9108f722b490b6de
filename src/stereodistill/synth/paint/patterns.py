"""The tiles of the texture bank: seamless 256 x 256 patterns, generated once per process from fixed seeds."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from stereodistill.rng import rng

TILE_SIZE = 256
_N = TILE_SIZE
_PURPOSE = 0x711E
Fields = tuple[np.ndarray, np.ndarray, np.ndarray]
"""(pattern, fine detail, random value per cell), each (256, 256) in [0, 1]."""


@functools.lru_cache(maxsize=1)
def pattern_tiles() -> np.ndarray:
    """All procedural tiles, float32 (num, 3, 256, 256); the same in every process."""
    tiles = []
    for number, make in enumerate(make for family in _FAMILIES.values() for make in family):
        tiles.append(np.stack(make(rng(0, 0, number, _PURPOSE))).astype(np.float32))
    return np.clip(np.stack(tiles), 0, 1)


def photo_tiles(photos: Sequence[np.ndarray]) -> np.ndarray:
    """Photos (H, W, 3) in [0, 1] as seamless tiles (num, 3, 256, 256): the central square, mirrored."""
    tiles = []
    for photo in photos:
        side = min(photo.shape[:2])
        top, left = (photo.shape[0] - side) // 2, (photo.shape[1] - side) // 2
        square = np.ascontiguousarray(photo[top : top + side, left : left + side, :3], np.float32)
        half = cv2.resize(square, (_N // 2, _N // 2), interpolation=cv2.INTER_AREA)
        half = np.concatenate([half, half[::-1]], 0)
        tiles.append(np.concatenate([half, half[:, ::-1]], 1).transpose(2, 0, 1))
    return np.clip(np.stack(tiles), 0, 1).astype(np.float32)


def power_law(generator: np.random.Generator, exponent: float, stretch: float = 1.0) -> np.ndarray:
    """Gaussian field with amplitude spectrum 1 / frequency^exponent (periodic), squashed to [0, 1]."""
    fy = np.fft.fftfreq(_N)[:, None] * stretch
    fx = np.fft.rfftfreq(_N)[None]
    spectrum = np.fft.rfft2(generator.standard_normal((_N, _N)))
    frequency = np.sqrt(fx**2 + fy**2 + (0.5 / _N) ** 2)
    field = np.fft.irfft2(spectrum * frequency**-exponent, s=(_N, _N))
    return _squash(field)


def _squash(field: np.ndarray) -> np.ndarray:
    field = (field - field.mean()) / (field.std() + 1e-9)
    return 0.5 + 0.5 * np.tanh(field / 1.5)


def _blur(field: np.ndarray, sigma: float) -> np.ndarray:
    radius = int(3 * sigma) + 1
    padded = np.pad(field.astype(np.float32), radius, mode="wrap")
    return cv2.GaussianBlur(padded, (0, 0), sigma)[radius:-radius, radius:-radius]


def _grid() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[0:_N, 0:_N].astype(np.float32)
    return x, y


def _warp(generator: np.random.Generator, x: np.ndarray, y: np.ndarray, amount_px: float):
    return (
        x + amount_px * 2 * (power_law(generator, 2.2) - 0.5),
        y + amount_px * 2 * (power_law(generator, 2.2) - 0.5),
    )


def _cloud(exponent: float, stretch: float = 1.0) -> Callable[[np.random.Generator], Fields]:
    return lambda g: (power_law(g, exponent, stretch), power_law(g, 0.7), power_law(g, 1.8))


def _cartoon(exponent: float, levels: int) -> Callable[[np.random.Generator], Fields]:
    def make(g: np.random.Generator) -> Fields:
        field = power_law(g, exponent)
        ranks = np.floor(field.argsort(axis=None).argsort().reshape(_N, _N) / field.size * levels).astype(int)
        return g.random(levels)[ranks], power_law(g, 0.75), g.random(levels)[ranks]

    return make


def _stripes(count: int, duty: float, wobble_px: float, jitter: float = 0.0) -> Callable[[np.random.Generator], Fields]:
    def make(g: np.random.Generator) -> Fields:
        x, _ = _warp(g, *_grid(), wobble_px)
        if jitter:
            edges = np.sort((np.arange(2 * count) + g.uniform(-jitter, jitter, 2 * count)) / (2 * count) * _N)
            cell = np.searchsorted(edges, x % _N) % (2 * count)
        else:
            phase = x * count / _N
            cell = 2 * np.floor(phase).astype(int) % (2 * count) + (phase % 1 > duty)
        values = np.where(np.arange(2 * count) % 2, g.uniform(0, 0.4, 2 * count), g.uniform(0.6, 1, 2 * count))
        return _blur(values[cell], 0.5), power_law(g, 0.75), g.random(2 * count)[cell]

    return make


def _checks(count: int, wobble_px: float = 0.0) -> Callable[[np.random.Generator], Fields]:
    def make(g: np.random.Generator) -> Fields:
        x, y = _warp(g, *_grid(), wobble_px) if wobble_px else _grid()
        i, j = (np.floor(t * count / _N).astype(int) % count for t in (x, y))
        return _blur(((i + j) % 2).astype(float), 0.5), power_law(g, 0.75), g.random((count, count))[i, j]

    return make


def _bricks(rows: int, columns: int, mortar_px: float, offset: float) -> Callable[[np.random.Generator], Fields]:
    def make(g: np.random.Generator) -> Fields:
        x, y = _grid()
        row = np.floor(y * rows / _N).astype(int)
        phase = x * columns / _N + offset * (row % 2)
        column = np.floor(phase).astype(int) % columns
        edge_px = np.minimum(
            np.minimum(phase % 1, 1 - phase % 1) * _N / columns,
            np.minimum(y * rows / _N % 1, 1 - y * rows / _N % 1) * _N / rows,
        )
        face = np.clip(edge_px - mortar_px + 0.5, 0, 1)
        cells = g.random((rows, columns))[row, column]
        return face * (0.6 + 0.4 * cells), power_law(g, 0.75), cells * face

    return make


def _glyphs(rows: int, fill: float) -> Callable[[np.random.Generator], Fields]:
    """Rows of random strokes on a small raster: reads as text or as signs from afar."""

    def make(g: np.random.Generator) -> Fields:
        pitch = _N // rows
        page = np.zeros((_N, _N), np.float32)
        tone = np.ones((_N, _N), np.float32) * 0.5
        for row in range(rows):
            x, glyph_height = 0, int(pitch * 0.65)
            while x < _N - pitch:
                width = max(3, int(pitch * g.uniform(0.25, 0.6)))
                if g.random() < fill:
                    raster = (g.random((5, 3)) < 0.55).astype(np.float32)
                    glyph = cv2.resize(raster, (width, glyph_height), interpolation=cv2.INTER_LINEAR)
                    top = row * pitch + pitch // 6
                    page[top : top + glyph_height, x : x + width] = np.clip(glyph * 3 - 1, 0, 1)
                x += width + max(1, pitch // 10)
            tone[row * pitch : (row + 1) * pitch] = g.random()
        return page, power_law(g, 1.2), tone

    return make


def _speckles(count: int, radius_px: tuple[float, float]) -> Callable[[np.random.Generator], Fields]:
    """Dead leaves of discs that wrap around: many sizes give the edge statistics of natural pictures."""

    def make(g: np.random.Generator) -> Fields:
        canvas = np.full((_N, _N), g.random(), np.float32)
        cells = np.full((_N, _N), 0.5, np.float32)
        low, high = np.log(radius_px[0]), np.log(radius_px[1])
        for _ in range(count):
            cx, cy = g.uniform(0, _N, 2)
            axes = np.exp(g.uniform(low, high, 2) if g.random() < 0.5 else np.full(2, g.uniform(low, high)))
            angle, value, tone = float(g.uniform(0, 180)), float(g.random()), float(g.random())
            for dx in (-_N, 0, _N):
                for dy in (-_N, 0, _N):
                    if abs(cx + dx - _N / 2) < _N / 2 + axes.max() and abs(cy + dy - _N / 2) < _N / 2 + axes.max():
                        place = ((cx + dx, cy + dy), (2 * float(axes[0]), 2 * float(axes[1])), angle)
                        cv2.ellipse(canvas, place, value, -1)
                        cv2.ellipse(cells, place, tone, -1)
        return _blur(canvas, 0.5), power_law(g, 0.75), cells

    return make


def _voronoi(count: int, edges: bool) -> Callable[[np.random.Generator], Fields]:
    def make(g: np.random.Generator) -> Fields:
        points = g.uniform(0, _N, (count, 2))
        x, y = _grid()
        first, second = np.full((_N, _N), 1e9), np.full((_N, _N), 1e9)
        owner = np.zeros((_N, _N), int)
        for number, (px, py) in enumerate(points):
            dx, dy = (np.minimum(np.abs(a - b), _N - np.abs(a - b)) for a, b in ((x, px), (y, py)))
            distance = np.sqrt(dx**2 + dy**2)
            closer = distance < first
            second = np.where(closer, first, np.minimum(second, distance))
            owner[closer] = number
            first = np.minimum(first, distance)
        cells = g.random(count)[owner]
        pattern = np.clip((second - first) / 3, 0, 1) * (0.5 + 0.5 * cells) if edges else cells
        return _blur(pattern, 0.5), power_law(g, 0.75), g.random(count)[owner]

    return make


def _wood(rings: int, wobble: float) -> Callable[[np.random.Generator], Fields]:
    def make(g: np.random.Generator) -> Fields:
        _, y = _grid()
        phase = y * rings / _N + wobble * (power_law(g, 2.5, 6.0) - 0.5)
        return 0.5 + 0.5 * np.sin(2 * np.pi * phase), power_law(g, 0.8, 8.0), power_law(g, 2.0, 6.0)

    return make


def _marble(exponent: float, sharpness: float) -> Callable[[np.random.Generator], Fields]:
    def make(g: np.random.Generator) -> Fields:
        ridge = 1 - np.abs(2 * power_law(g, exponent) - 1)
        return ridge**sharpness, power_law(g, 0.75), power_law(g, 2.0)

    return make


def _waves(count_x: int, count_y: int, power: float) -> Callable[[np.random.Generator], Fields]:
    def make(g: np.random.Generator) -> Fields:
        x, y = _grid()
        wave = 0.5 + 0.5 * np.cos(2 * np.pi * (count_x * x + count_y * y) / _N)
        return wave**power, power_law(g, 1.2), power_law(g, 2.0)

    return make


def _dots(count: int, radius: float) -> Callable[[np.random.Generator], Fields]:
    def make(g: np.random.Generator) -> Fields:
        x, y = _grid()
        i, j = (np.floor(t * count / _N).astype(int) for t in (x, y))
        du, dv = (t * count / _N % 1 - 0.5 for t in (x, y))
        inside = np.clip((radius - np.sqrt(du**2 + dv**2)) * _N / count + 0.5, 0, 1)
        cells = g.random((count, count))[i, j]
        return inside, power_law(g, 0.75), cells

    return make


def _soft_blobs(count: int, sigma: float) -> Callable[[np.random.Generator], Fields]:
    """Smooth light and shadow: used to modulate brightness."""

    def make(g: np.random.Generator) -> Fields:
        base = _speckles(count, (12, 60))(g)[0]
        return _squash(_blur(base, sigma)), power_law(g, 1.5), power_law(g, 2.0)

    return make


_FAMILIES: dict[str, list[Callable[[np.random.Generator], Fields]]] = {
    "shade": [
        _cloud(2.2), _cloud(3.0), _soft_blobs(30, 6.0), _soft_blobs(50, 2.0), _waves(1, 0, 1.0), _waves(0, 1, 1.0),
        _waves(1, 1, 1.0), _soft_blobs(24, 1.2),
    ],
    "cloud": [
        _cloud(0.6), _cloud(1.0), _cloud(1.0), _cloud(1.3), _cloud(1.3), _cloud(1.6), _cloud(1.6, 4.0), _cloud(2.0),
        _cloud(1.2, 6.0),
    ],
    "cartoon": [
        _cartoon(1.4, 3), _cartoon(1.7, 4), _cartoon(2.0, 5), _cartoon(2.0, 2), _cartoon(2.4, 8), _cartoon(1.5, 2),
    ],
    "stripes": [
        _stripes(8, 0.5, 0.0), _stripes(20, 0.3, 0.0), _stripes(12, 0.5, 4.0), _stripes(16, 0.5, 0.0, 0.45),
        _waves(8, 4, 2.0),
    ],
    "checks": [_checks(8), _checks(16), _checks(10, 5.0), _dots(10, 0.33), _dots(20, 0.25)],
    "bricks": [
        _bricks(16, 6, 1.2, 0.5), _bricks(8, 4, 2.0, 0.5), _bricks(6, 6, 1.5, 0.0), _bricks(12, 12, 1.0, 0.0),
        _bricks(32, 10, 0.8, 0.5),
    ],
    "windows": [_bricks(4, 8, 12.0, 0.0), _bricks(6, 10, 8.0, 0.0)],
    "glyphs": [_glyphs(8, 0.85), _glyphs(16, 0.8), _glyphs(5, 0.9), _glyphs(12, 0.4)],
    "leaves": [
        _speckles(900, (2, 30)), _speckles(2500, (1.2, 12)), _speckles(500, (4, 60)), _speckles(1500, (1, 40)),
        _speckles(4000, (1, 5)),
    ],
    "speckles": [_speckles(120, (2, 6)), _speckles(400, (0.7, 2))],
    "stones": [_voronoi(40, False), _voronoi(150, True), _voronoi(400, False), _voronoi(80, True)],
    "wood": [_wood(10, 6.0), _wood(24, 9.0)],
    "marble": [_marble(1.8, 3.0), _marble(1.5, 6.0), _marble(2.2, 10.0)],
}  # fmt: skip


def _number_tiles() -> dict[str, tuple[int, ...]]:
    numbers, start = {}, 0
    for family, makers in _FAMILIES.items():
        numbers[family] = tuple(range(start, start + len(makers)))
        start += len(makers)
    return numbers


FAMILY_TILES = _number_tiles()
"""Family name -> its tiles; "shade" is smooth enough to act as light and shadow."""
