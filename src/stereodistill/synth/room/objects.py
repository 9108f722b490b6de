"""Furniture; each function adds a few solids to the scene."""

from __future__ import annotations

import numpy as np

from stereodistill.synth.draw import leafy, place
from stereodistill.synth.paint import finishes
from stereodistill.synth.paint.finishes import hsv, times
from stereodistill.synth.solids.raycast import Kind
from stereodistill.synth.solids.scene import CELLS, Finish, Scene


def wood(g: np.random.Generator) -> Finish:
    """Varnished, raw or painted boards."""
    color = hsv(g.uniform(0.05, 0.12), g.uniform(0.15, 0.7), g.uniform(0.2, 0.85))
    if g.random() < 0.3:
        color = hsv(g.random(), g.uniform(0, 0.15), g.uniform(0.1, 0.95))
    return Finish(
        a=times(color, 0.75),
        b=times(color, 1.2),
        weights=(0.4, 0.2, 0.0, g.uniform(0.0, 1.4)),
        period_m=g.uniform(0.5, 1.5),
        gloss=g.choice([0.0, 0.0, 0.15]),
    )


def fabric(g: np.random.Generator) -> Finish:
    """Cloth: plain, grainy or patterned."""
    if g.random() < 0.3:
        return finishes.texture(g, g.uniform(150, 600))
    color = hsv(g.random(), g.uniform(0, 0.6), g.uniform(0.1, 0.9))
    return Finish(a=times(color, 0.8), b=times(color, 1.15), weights=(0.6, g.uniform(0, 1.5), 0.2, 0.0), period_m=0.8)


class Piece:
    """Adds parts given in a piece's own axes: origin on the floor at (x, z), turned by `turn`."""

    def __init__(self, scene: Scene, x: float, z: float, turn: float):
        self.scene, self.x, self.z, self.turn = scene, x, z, turn

    def add(self, kind: Kind, center, half, finish: Finish, cut=(0.0, 0.0)) -> None:
        """One solid."""
        px, pz = place(self.x, self.z, self.turn, center[0], center[2])
        self.scene.add(kind, (px, center[1], pz), half, finish, turn=self.turn, cut=cut)


def table(scene: Scene, g: np.random.Generator, x: float, z: float, turn: float) -> None:
    """A plate on four legs with things on it."""
    piece, boards = Piece(scene, x, z, turn), wood(g)
    half_x, half_z, height = (
        g.uniform(0.3, 0.9),
        g.uniform(0.25, 0.5),
        g.choice([g.uniform(0.35, 0.5), g.uniform(0.68, 0.8)]),
    )
    piece.add(Kind.BOX, (0, height - 0.02, 0), (half_x, 0.02, half_z), boards)
    leg = g.uniform(0.015, 0.035)
    for side in (-1, 1):
        for end in (-1, 1):
            center = (side * (half_x - 0.06), (height - 0.04) / 2, end * (half_z - 0.06))
            piece.add(Kind.BOX, center, (leg, (height - 0.04) / 2, leg), boards)
    for _ in range(g.integers(0, 5)):
        clutter(piece, g, (g.uniform(-0.8, 0.8) * half_x, height, g.uniform(-0.8, 0.8) * half_z))


def clutter(piece: Piece, g: np.random.Generator, foot) -> None:
    """A book, cup, vase, ball, box or screen standing at `foot`."""
    x, y, z = foot
    pick = g.integers(0, 5)
    if pick == 0:
        half = (g.uniform(0.06, 0.16), g.uniform(0.01, 0.08), g.uniform(0.06, 0.16))
        piece.add(Kind.BOX, (x, y + half[1], z), half, finishes.texture(g) if g.random() < 0.5 else fabric(g))
    elif pick == 1:
        half = (g.uniform(0.03, 0.06), g.uniform(0.04, 0.13), 0.0)
        finish = finishes.metal(g, gloss=g.uniform(0, 0.4))
        piece.add(Kind.CYLINDER, (x, y + half[1], z), (half[0], half[1], half[0]), finish)
    elif pick == 2:
        radius = g.uniform(0.04, 0.13)
        finish = finishes.metal(g, gloss=g.uniform(0, 0.5)) if g.random() < 0.6 else finishes.texture(g)
        piece.add(Kind.ELLIPSOID, (x, y + radius, z), (radius, radius * g.uniform(0.8, 1.0), radius), finish)
    elif pick == 3:
        half = (g.uniform(0.18, 0.35), g.uniform(0.12, 0.22), 0.015)
        screen = finishes.texture(g) if g.random() < 0.5 else finishes.glass(0.4)
        piece.add(Kind.BOX, (x, y + half[1] + 0.06, z), half, screen)
        piece.add(Kind.BOX, (x, y + 0.03, z), (0.04, 0.03, 0.03), finishes.metal(g, (0.1, 0.1, 0.1)))
    else:
        half = (g.uniform(0.02, 0.1), g.uniform(0.03, 0.16), g.uniform(0.02, 0.1))
        piece.add(Kind.BOX, (x, y + half[1], z), half, finishes.writing(g, half[:2]))


def chair(scene: Scene, g: np.random.Generator, x: float, z: float, turn: float) -> None:
    """Seat, legs and an open back."""
    piece, boards, half = Piece(scene, x, z, turn), wood(g), g.uniform(0.18, 0.24)
    piece.add(Kind.BOX, (0, 0.45, 0), (half, 0.02, half), boards if g.random() < 0.5 else fabric(g))
    for side in (-1, 1):
        piece.add(Kind.BOX, (side * (half - 0.02), 0.22, half - 0.02), (0.016, 0.22, 0.016), boards)
        piece.add(Kind.BOX, (side * (half - 0.02), 0.45, -half + 0.02), (0.016, 0.45, 0.016), boards)
    if g.random() < 0.5:
        piece.add(Kind.BARS, (0, 0.68, -half + 0.02), (half, 0.2, 0.01), boards, (g.integers(4, 8), 0.35))
    else:
        piece.add(Kind.BOX, (0, 0.75, -half + 0.02), (half, g.uniform(0.05, 0.15), 0.012), boards)


def sofa(scene: Scene, g: np.random.Generator, x: float, z: float, turn: float) -> None:
    """Seat, back, arms, cushions."""
    piece, cloth, half = Piece(scene, x, z, turn), fabric(g), g.uniform(0.5, 1.1)
    piece.add(Kind.BOX, (0, 0.22, 0), (half, 0.2, 0.4), cloth)
    piece.add(Kind.BOX, (0, 0.58, -0.36), (half, 0.27, 0.1), cloth)
    for side in (-1, 1):
        piece.add(Kind.BOX, (side * half, 0.32, 0), (0.09, 0.3, 0.42), cloth)
        if g.random() < 0.6:
            center = (side * half * 0.6, 0.55, -0.2)
            piece.add(Kind.ELLIPSOID, center, (0.22, 0.17, 0.09), fabric(g))


def shelf(scene: Scene, g: np.random.Generator, x: float, z: float, turn: float) -> None:
    """An open bookcase, back at local z = 0, opening to +z."""
    piece, boards = Piece(scene, x, z, turn), wood(g)
    half, height, deep = g.uniform(0.3, 0.7), g.uniform(0.8, 2.1), g.uniform(0.12, 0.18)
    piece.add(Kind.BOX, (0, height / 2, 0.01), (half, height / 2, 0.01), boards)
    for side in (-1, 1):
        piece.add(Kind.BOX, (side * half, height / 2, deep), (0.012, height / 2, deep), boards)
    num = max(2, int(height / g.uniform(0.28, 0.42)))
    for level in range(num + 1):
        y = 0.04 + (height - 0.05) * level / num
        piece.add(Kind.BOX, (0, y, deep), (half, 0.012, deep), boards)
        if level == num:
            continue
        start = -half + 0.03
        while start < half - 0.1:
            reach = min(g.uniform(0.06, 0.4), (half - start) / 2)
            tall = (height / num) * g.uniform(0.3, 0.42)
            if g.random() < 0.7:
                color = hsv(g.random(), g.uniform(0.1, 0.7), g.uniform(0.3, 0.8))
                books = (g.uniform(0.02, 0.05), 9.0, 0.0015, 0.0, 1.5, 0.2, g.uniform(0, 90), 0.0)
                finish = Finish(a=times(color, 0.6), b=times(color, 1.2), period_m=0.6, pattern=CELLS, numbers=books)
                center = (start + reach, y + 0.012 + tall, deep * g.uniform(0.8, 1.0))
                piece.add(Kind.BOX, center, (reach, tall, deep * 0.75), finish)
            elif g.random() < 0.6:
                clutter(piece, g, (start + reach, y + 0.012, deep))
            start += 2 * reach + g.choice([0.0, 0.02, 0.1])


def cupboard(scene: Scene, g: np.random.Generator, x: float, z: float, turn: float) -> None:
    """A closed box with doors and knobs, back at local z = 0."""
    piece, boards = Piece(scene, x, z, turn), wood(g)
    half = (g.uniform(0.3, 0.9), g.choice([g.uniform(0.3, 0.5), g.uniform(0.8, 1.1)]), g.uniform(0.18, 0.3))
    piece.add(Kind.BOX, (0, half[1], half[2]), half, boards)
    num, front = int(g.integers(1, 4)), 2 * half[2]
    for i in range(num):
        x_door, reach = half[0] * ((2 * i + 1) / num - 1), half[0] / num
        piece.add(Kind.BOX, (x_door, half[1], front + 0.008), (reach * 0.94, half[1] * 0.94, 0.008), boards)
        knob = (x_door + reach * 0.75, half[1], front + 0.03)
        piece.add(Kind.ELLIPSOID, knob, (0.015, 0.015, 0.015), finishes.metal(g, gloss=0.4))
    for _ in range(g.integers(0, 4)):
        clutter(piece, g, (g.uniform(-0.8, 0.8) * half[0], 2 * half[1], half[2]))


def standing_lamp(scene: Scene, g: np.random.Generator, x: float, z: float, turn: float) -> None:
    """A thin pole with a shade."""
    piece, height, steel = Piece(scene, x, z, turn), g.uniform(1.2, 1.8), finishes.metal(g)
    piece.add(Kind.CYLINDER, (0, height / 2, 0), (0.012, height / 2, 0.012), steel)
    piece.add(Kind.CYLINDER, (0, 0.015, 0), (0.14, 0.015, 0.14), steel)
    color = hsv(0.1, g.uniform(0.05, 0.4), 0.95)
    shade = Finish(a=color, b=times(color, 0.9), glow=g.choice([0.0, 0.5]))
    piece.add(Kind.WEDGE, (0, height + 0.12, 0), (0.18, 0.13, 0.18), shade, (0.4, 0.4))


def plant(scene: Scene, g: np.random.Generator, x: float, z: float, turn: float) -> None:
    """A pot with leaves."""
    piece, pot, size = Piece(scene, x, z, turn), g.uniform(0.1, 0.2), g.uniform(0.2, 0.45)
    piece.add(
        Kind.CYLINDER,
        (0, pot, 0),
        (pot, pot, pot),
        finishes.stucco(g, hsv(0.04, g.uniform(0, 0.6), g.uniform(0.3, 0.9))),
    )
    foliage = finishes.leaves(g, 0.0)
    for _ in range(g.integers(2, 5)):
        dx, dz = g.normal(0, 0.3, 2) * size
        center = (x + dx, 2 * pot + size * g.uniform(0.3, 1.3), z + dz)
        leafy(scene, g, center, (size * 0.7, size * 0.7, size * 0.7), foliage, g.uniform(40, 90))
    for _ in range(g.integers(0, 4)):
        half = (size * g.uniform(0.5, 1.0), size * g.uniform(0.5, 1.2), 0.005)
        center = (x + g.normal(0, 0.2) * size, 2 * pot + half[1], z + g.normal(0, 0.2) * size)
        scene.add(
            Kind.LEAVES, center, half, foliage, turn=g.uniform(0, 3), cut=(g.uniform(8, 20), g.uniform(-1.2, -0.4))
        )


FURNITURE = (table, table, chair, chair, sofa, standing_lamp, plant)
AT_WALL = (shelf, shelf, cupboard, cupboard)
