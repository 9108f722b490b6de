"""Tables whose rows have names: what `Light`, `Finish` and `Ground` are once scenes are numbers on a device."""

from __future__ import annotations

from typing import Any, ClassVar

Array = Any
"""A torch tensor or a NumPy array."""


class NamedRows:
    """A table (K, P): row by name, (P,) of one number, (n, P) of n, in the order of `WIDTHS`; P are pixels or scenes.

    The named rows are views of `table`.
    """

    WIDTHS: ClassVar[dict[str, int]]

    def __init__(self, table: Array):
        assert len(table) == sum(self.WIDTHS.values()), f"{type(self).__name__}: {len(table)} rows"
        self.table = table
        first = 0
        for name, width in self.WIDTHS.items():
            setattr(self, name, table[first] if width == 1 else table[first : first + width])
            first += width


class LightRows(NamedRows):
    """`Light` of every pixel."""

    WIDTHS = {
        "sun_direction": 3, "sun": 3, "ambient": 3, "haze": 3, "haze_per_m": 1, "zenith": 3, "horizon": 3, "cloud": 4,
        "far_m": 1, "exposure": 1, "shadow": 1, "lamp_position": 3, "lamp": 3,
    }  # fmt: skip
    sun_direction: Array
    sun: Array
    ambient: Array
    haze: Array
    haze_per_m: Array
    zenith: Array
    horizon: Array
    cloud: Array
    """Amount, scale, offsets."""
    far_m: Array
    exposure: Array
    shadow: Array
    lamp_position: Array
    lamp: Array


class FinishRows(NamedRows):
    """`Finish` of every pixel."""

    WIDTHS = {
        "a": 3, "b": 3, "weights": 4, "period_m": 1, "offset": 2, "gloss": 1, "glow": 1, "pattern": 1, "numbers": 8,
    }  # fmt: skip
    a: Array
    b: Array
    weights: Array
    period_m: Array
    offset: Array
    """Where in the noise the surface begins (u, v)."""
    gloss: Array
    glow: Array
    pattern: Array
    numbers: Array


NUM_LOOK = sum(FinishRows.WIDTHS.values())


class SolidRows(NamedRows):
    """Place, shape and look of every solid."""

    WIDTHS = {"center": 3, "half": 3, "cos": 1, "sin": 1, "cut": 2, "look": NUM_LOOK}
    center: Array
    half: Array
    """Half extents, metres."""
    cos: Array
    sin: Array
    """Of the turn about the vertical."""
    cut: Array
    """What the kind of solid says: taper of a wedge, holes of a card."""
    look: Array

    @property
    def finish(self) -> FinishRows:
        """The look, by name."""
        return FinishRows(self.look)


class GroundRows(NamedRows):
    """`Ground` of every pixel."""

    WIDTHS = {
        "road": NUM_LOOK, "beside": NUM_LOOK, "road_center_m": 1, "road_half_m": 1, "cross": 2, "paint": 1, "dash": 2,
        "lanes": 1, "edge_lines": 1, "zebra_m": 1,
    }  # fmt: skip
    road: Array
    beside: Array
    road_center_m: Array
    road_half_m: Array
    cross: Array
    paint: Array
    dash: Array
    lanes: Array
    edge_lines: Array
    zebra_m: Array
