"""Learning curves from a training log, drawn as small SVG figures that follow the page's light or dark colours."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from stereodistill.errors import UserError

MAX_POINTS = 200
NUM_COLORS = 6
# The drawing's coordinate system; the page scales it to its column.
WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 12, 44
AUTO_LOG_RATIO = 30.0


@dataclass(frozen=True)
class Curve:
    """Numbers over steps; both sequences have the same length."""

    name: str
    steps: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True)
class Chart:
    """Curves with one vertical axis.  `log_y` None: logarithmic when the values span more than a factor of 30."""

    title: str
    curves: tuple[Curve, ...]
    y_label: str = ""
    x_label: str = "step"
    log_y: bool | None = None


def read_log(path: str | Path, x_key: str = "step") -> dict[str, Curve]:
    """Every number in a JSON-lines log as a curve over `x_key`; nested keys are joined by dots (`terms.l1`).

    Lines without `x_key` and a last line cut off by an interrupted run are passed over.

    Raises:
        UserError: the file is missing or a line before the last one is not JSON.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no training log there: expected the log.jsonl of a run")
    points: dict[str, tuple[list[float], list[float]]] = {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line) if line.strip() else {}
        except (ValueError, RecursionError):
            if number == len(lines):
                break
            raise UserError(f"{path}: line {number} is not JSON: is this the log.jsonl of a run?") from None
        if not isinstance(entry, dict) or not _is_number(entry.get(x_key)):
            continue
        for key, value in _numbers(entry):
            if key != x_key:
                steps, values = points.setdefault(key, ([], []))
                steps.append(float(entry[x_key]))
                values.append(value)
    return {key: Curve(key, steps, values) for key, (steps, values) in points.items()}


def chart_svg(chart: Chart) -> str:
    """The chart as an `<svg>` element without any reference to the outside; colours are the page's CSS classes."""
    drawn = {index: _thin(curve) for index, curve in enumerate(chart.curves)}
    drawn = {index: points for index, points in drawn.items() if points[0].size}
    if not drawn:
        return '<p class="empty">no values yet</p>'
    steps = np.concatenate([points[0] for points in drawn.values()])
    values = np.concatenate([values for points in drawn.values() for values in points[1:]])
    log_y = bool(values.min() > 0) and (
        chart.log_y if chart.log_y is not None else values.max() / values.min() > AUTO_LOG_RATIO
    )
    first, last = steps.min(), max(max(curve.steps) for curve in chart.curves if len(curve.steps))
    first = 0.0 if 0 < first < 0.1 * last else first
    x_axis = _Axis(first, last, LEFT, WIDTH - RIGHT, log=False)
    y_axis = _Axis(values.min(), values.max(), HEIGHT - BOTTOM, TOP, log=log_y)
    parts = [*_grid(x_axis, y_axis, chart, log_y)]
    for index, (at, mean, low, high) in drawn.items():
        places = y_axis.place(mean), y_axis.place(low), y_axis.place(high)
        parts += _curve(x_axis.place(at), *places, index % NUM_COLORS + 1)
    label = escape(f"{chart.title}: {', '.join(summary(curve) for curve in chart.curves)}", quote=True)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def summary(curve: Curve) -> str:
    """Name and last value in words, for legends and alternative texts."""
    known = [v for v in curve.values if math.isfinite(v)]
    return f"{curve.name} {known[-1]:.4g}" if known else f"{curve.name} –"


class _Axis:
    """Maps values to drawing coordinates and knows its round tick values."""

    def __init__(self, low: float, high: float, start: float, end: float, *, log: bool) -> None:
        self.log = log
        low, high = (math.log10(low), math.log10(high)) if log else (float(low), float(high))
        if high - low < 1e-12 * max(1.0, abs(low)):
            low, high = low - 0.5, high + 0.5
        margin = 0.04 * (high - low) if start > end else 0.0
        self.low, self.high, self.start, self.end = low - margin, high + margin, start, end

    def place(self, values: np.ndarray) -> np.ndarray:
        values = np.log10(values) if self.log else np.asarray(values, dtype=np.float64)
        return self.start + (values - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        if self.log:
            exponents = range(math.floor(self.low), math.ceil(self.high) + 1)
            for digits in ((1,), (1, 3), (1, 2, 5)):
                found = [d * 10.0**e for e in exponents for d in digits]
                found = [v for v in found if self.low <= math.log10(v) <= self.high]
                if len(found) >= 3:
                    return found
            return found
        raw = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
        return [k * step for k in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


def _grid(x_axis: _Axis, y_axis: _Axis, chart: Chart, log_y: bool) -> Iterator[str]:
    for value in y_axis.ticks():
        y = float(y_axis.place(np.array(value)))
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_tick_text(value)}</text>'
    for value in x_axis.ticks():
        x = float(x_axis.place(np.array(value)))
        anchor = "end" if x > WIDTH - RIGHT - 16 else "middle"
        yield f'<path class="grid" d="M{x:.1f} {HEIGHT - BOTTOM}v5"/>'
        yield (
            f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 19}" text-anchor="{anchor}">'
            f"{_tick_text(value)}</text>"
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<path class="axis" d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>'
    yield f'<text class="tick" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(chart.x_label)}</text>'
    y_label = f"{chart.y_label} (log scale)".strip() if log_y else chart.y_label
    y = (TOP + HEIGHT - BOTTOM) / 2
    yield (
        f'<text class="tick" transform="translate(13 {y}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'
    )


def _curve(x: np.ndarray, mean: np.ndarray, low: np.ndarray, high: np.ndarray, color: int) -> list[str]:
    def line(xs: np.ndarray, ys: np.ndarray) -> str:
        return "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(xs, ys, strict=True))

    band = f'<path class="band c{color}" d="M{line(x, high)}L{line(x[::-1], low[::-1])}Z"/>'
    dot = f'<circle class="dot c{color}" cx="{x[-1]:.1f}" cy="{mean[-1]:.1f}" r="3.5"/>'
    return [band, f'<path class="line c{color}" d="M{line(x, mean)}"/>', dot]


def _thin(curve: Curve) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """At most 200 points: steps, and mean, smallest and largest value of each bin; NaN and infinity are dropped."""
    steps, values = (np.asarray(v, dtype=np.float64) for v in (curve.steps, curve.values))
    assert steps.shape == values.shape, f"curve {curve.name!r}: {steps.size} steps, {values.size} values"
    known = np.isfinite(steps) & np.isfinite(values)
    order = np.argsort(steps[known], kind="stable")
    steps, values = steps[known][order], values[known][order]
    bins = [b for b in np.array_split(np.arange(values.size), min(MAX_POINTS, max(values.size, 1))) if b.size]
    means = [(steps[b].mean(), values[b].mean(), values[b].min(), values[b].max()) for b in bins]
    at, mean, low, high = np.array(means).reshape(-1, 4).T
    return at, mean, low, high


def _numbers(entry: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for key, value in entry.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{key}.")
        elif _is_number(value):
            yield f"{prefix}{key}", float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _tick_text(value: float) -> str:
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k" if abs(value) < 1e6 else f"{value / 1e6:g}M"
    return f"{value:.6g}" if abs(value) >= 1e-4 or abs(value) < 1e-12 else f"{value:.0e}"
