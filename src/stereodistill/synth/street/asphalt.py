"""Asphalt as most of it looks from a car: one even grey, often dark, with seams of tar, mended patches and covers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stereodistill.synth.paint.finishes import hsv, times
from stereodistill.synth.solids.raycast import Kind
from stereodistill.synth.solids.scene import Finish, Ground, Scene

LAID_M = 0.0025
"""Half the thickness of what lies on a road: nothing to a camera, enough to be drawn above it."""


def even_road(scene: Scene, g: np.random.Generator) -> Ground:
    """The scene's ground with an even road; what lies on the road is added to the scene.

    A network that has only seen mottled roads takes a dark, even one for the shadow or the body of something near.
    """
    ground = scene.ground
    grey, spread = float(np.exp(g.uniform(np.log(0.05), np.log(0.45)))), g.uniform(0.02, 0.12)
    color = hsv(g.uniform(0.05, 0.65), g.uniform(0.0, 0.1), grey)
    weights = (g.uniform(0.1, 0.6), g.uniform(0.1, 0.5), g.uniform(0.0, 0.8), 0.0)
    road = Finish(a=times(color, 1 - spread), b=times(color, 1 + spread), weights=weights, period_m=g.uniform(3, 12))
    centre, half = ground.road_center_m, ground.road_half_m

    def lay(x: float, z: float, half_x: float, half_z: float, shade: float, turn: float) -> None:
        tone = times(color, shade)
        finish = Finish(a=times(tone, 0.93), b=times(tone, 1.07), weights=weights, period_m=3.0)
        scene.add(Kind.SHELL, (x, 0.002, z), (half_x, LAID_M, half_z), finish, turn=turn)

    def across() -> float:
        return centre + g.uniform(-1, 1) * half

    def darker_or_lighter(darkest: float, lightest: float) -> float:
        return g.choice([g.uniform(darkest, 0.8), g.uniform(1.1, lightest)])

    for _ in range(g.poisson(1.5)):  # seams along the road
        lay(
            across(),
            g.uniform(0, 40),
            g.uniform(0.02, 0.07),
            g.uniform(4, 40),
            darker_or_lighter(0.3, 1.5),
            g.normal(0, 0.01),
        )
    for _ in range(g.poisson(1.5)):  # seams across it
        lay(centre, g.uniform(3, 50), half, g.uniform(0.02, 0.1), darker_or_lighter(0.3, 1.5), g.normal(0, 0.02))
    for _ in range(g.poisson(1.2)):  # patches
        lay(
            across(),
            g.uniform(2, 45),
            g.uniform(0.3, 1.6),
            g.uniform(0.4, 8),
            darker_or_lighter(0.4, 1.6),
            g.normal(0, 0.03),
        )
    for _ in range(g.poisson(0.8)):  # covers
        lay(across(), g.uniform(3, 30), 0.3, 0.3, g.uniform(0.3, 0.7), g.uniform(0, 3))
    return replace(ground, road=road)
