"""What the drawing of streets and of rooms has in common: numbers, places, foliage."""

from __future__ import annotations

import numpy as np

from stereodistill.synth.solids.raycast import Kind
from stereodistill.synth.solids.scene import Finish, Scene


def log_uniform(g: np.random.Generator, low: float, high: float) -> float:
    """A draw whose logarithm is uniform."""
    return float(np.exp(g.uniform(np.log(low), np.log(high))))


def place(x: float, z: float, turn: float, dx: float, dz: float) -> tuple[float, float]:
    """World x, z of a point given in an object's own axes."""
    return x + np.cos(turn) * dx + np.sin(turn) * dz, z - np.sin(turn) * dx + np.cos(turn) * dz


def leafy(scene: Scene, g: np.random.Generator, center, half, foliage: Finish, holes_rad_m: float) -> None:
    """One blob of leaves, full or with holes."""
    turn = g.uniform(0, 3)
    if holes_rad_m > 0:
        cut = (float(np.mean(half)) * holes_rad_m, g.uniform(-1.1, 0.3))
        scene.add(Kind.LEAFY, center, half, foliage, turn=turn, cut=cut)
    else:
        scene.add(Kind.ELLIPSOID, center, half, foliage, turn=turn)
