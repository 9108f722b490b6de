"""Depth along rays against hand-computed geometry."""

import numpy as np
import pytest
import torch

from stereodistill.synth.solids.raycast import Camera, Kind, hexahedron_boxes, local_rays, look, solid_corners, trace
from stereodistill.synth.solids.rows import SolidRows
from stereodistill.synth.solids.surface import solid_surface

SIZE = (60, 100)
FOCAL_PX = 80.0


def camera(height_m: float = 1.5, yaw: float = 0.0, pitch: float = 0.0) -> Camera:
    return Camera(
        rotation=look(yaw, pitch, 0.0)[None],
        position=np.array([[0.0, height_m, 0.0]]),
        focal_px=np.array([FOCAL_PX]),
        center_x_px=np.array([49.5]),
        center_y_px=np.array([29.5]),
    )


def solid(center, half, turn: float = 0.0, cut=(0.0, 0.0)) -> np.ndarray:
    return np.array([*center, *half, np.cos(turn), np.sin(turn), *cut])


def see(kind: Kind, row: np.ndarray, view: Camera | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    behind = torch.full((1, *SIZE), 1000.0)
    depth, winner = trace(np.array([int(kind)]), row[None, None], view or camera(), SIZE, behind)
    return depth[0], winner[0]


@pytest.mark.parametrize(
    "kind", [Kind.BOX, Kind.SHELL, Kind.CYLINDER, Kind.ELLIPSOID, Kind.CARD, Kind.DISC, Kind.WEDGE, Kind.ROUNDED]
)
def test_first_hit_straight_ahead(kind: Kind):
    """A solid of half extent 1 at 10 m is met at 9 m, a flat one at 10 m."""
    depth, _ = see(kind, solid((0.0, 1.5, 10.0), (1.0, 1.0, 1.0)))
    middle = float(depth[29:31, 49:51].mean())
    assert middle == pytest.approx(10.0 if kind in (Kind.CARD, Kind.DISC) else 9.0, abs=0.01)


def test_front_face_of_a_box_is_flat_and_as_large_as_pinhole_geometry_says():
    depth, winner = see(Kind.BOX, solid((0.0, 1.5, 10.0), (1.0, 0.5, 2.0)))
    face = winner == 0
    assert torch.allclose(depth[face], torch.tensor(8.0), atol=1e-4)
    assert int(face.any(0).sum()) == int(2 * 1.0 * FOCAL_PX / 8)
    assert int(face.any(1).sum()) == int(2 * 0.5 * FOCAL_PX / 8)


def test_depth_is_along_the_optical_axis_of_a_turned_camera():
    yaw = 0.4
    view = camera(yaw=yaw)
    far = 12.0
    center = (far * np.sin(yaw), 1.5, far * np.cos(yaw))
    depth, winner = see(Kind.CARD, solid(center, (3.0, 1.0, 1.0), turn=yaw), view)
    assert torch.allclose(depth[winner == 0], torch.tensor(far), atol=1e-3)
    assert int((winner == 0).sum()) > 500


def test_sphere_outline_obeys_its_equation():
    """All rays that hit a sphere pass its centre within one radius; all others do not."""
    row = solid((0.3, 1.2, 6.0), (1.0, 1.0, 1.0))
    _, winner = see(Kind.ELLIPSOID, row)
    directions = camera().directions()[0]
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    rays = directions[:, 0] * x[..., None] + directions[:, 1] * y[..., None] + directions[:, 2]
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    away = row[:3] - camera().position[0]
    distance = np.linalg.norm(np.cross(rays, away), axis=-1)
    np.testing.assert_array_equal(winner.numpy() == 0, distance < 1.0)


def test_a_rounded_box_obeys_its_equation_and_its_normals_stand_on_it():
    """Hits lie on x^4 + y^4 + z^4 = 1 of unit space; the rays that miss stay outside all along."""
    row = solid((0.4, 1.3, 6.0), (1.5, 0.7, 2.0), turn=0.5)
    depth, winner = see(Kind.ROUNDED, row)
    rays = local_rays(row[None, None], camera())[0, 0]
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    direction = x[..., None] * rays[:, 0] + y[..., None] * rays[:, 1] + rays[:, 2]
    hit = winner.numpy() == 0
    met = rays[:, 3] + depth.numpy()[hit][:, None] * direction[hit]
    np.testing.assert_allclose((met**4).sum(-1), 1.0, atol=2e-3)
    along = np.linspace(2, 12, 4000)[:, None, None]
    lowest = ((rays[:, 3] + along * direction[~hit]) ** 4).sum(-1).min(0)
    assert hit.sum() > 500 and lowest.min() > 0.99

    numbers = (x[hit], y[hit], *(np.repeat(c[:, None], hit.sum(), 1) for c in (row, rays.reshape(-1))))
    pixel_x, pixel_y, shape, ray = (torch.from_numpy(n.astype(np.float32)) for n in numbers)
    kinds = torch.full((int(hit.sum()),), int(Kind.ROUNDED))
    plain = torch.zeros(sum(SolidRows.WIDTHS.values()) - len(shape), shape.shape[1])  # how it looks does not matter
    shape = SolidRows(torch.cat([shape, plain]))
    normal = torch.stack(solid_surface(kinds, shape, ray, pixel_x, pixel_y, depth[winner == 0]).normal)
    field = np.full((3, *SIZE), np.nan)
    field[:, hit] = normal.numpy()
    point = camera().position[0] + depth.numpy()[..., None] * (
        x[..., None] * camera().directions()[0][:, 0]
        + y[..., None] * camera().directions()[0][:, 1]
        + camera().directions()[0][:, 2]
    )
    step = point[:, 2:] - point[:, :-2]
    slope = np.abs((step * field[:, :, 1:-1].transpose(1, 2, 0)).sum(-1)) / np.linalg.norm(step, axis=-1)
    inner = hit[:, 2:] & hit[:, :-2] & hit[:, 1:-1]
    assert np.median(slope[inner]) < 0.01


def test_wedge_narrows_to_its_ridge():
    _, winner = see(Kind.WEDGE, solid((0.0, 1.5, 10.0), (2.0, 1.5, 0.5), cut=(1.0, 0.0)))
    widths = (winner == 0).sum(1)
    rows = widths.nonzero()[:, 0]
    assert int(widths[rows[0]]) <= 3 < 25 < int(widths[rows[-1]])


def test_cut_outs_let_the_background_through():
    row = solid((0.0, 1.5, 5.0), (2.0, 1.0, 1.0), cut=(8.0, 0.3))
    _, full = see(Kind.CARD, row)
    _, bars = see(Kind.BARS, row)
    share = float((bars == 0).sum() / (full == 0).sum())
    assert 0.25 < share < 0.65


def test_windows_of_culling_lose_no_pixel():
    """A solid behind, beside and around the near plane is seen where a trace of the whole picture sees it."""
    view = camera(yaw=0.3, pitch=0.1)
    generator = np.random.default_rng(3)
    for _ in range(30):
        row = solid(generator.uniform((-4, 0, -4), (4, 3, 8)), generator.uniform(0.1, 3, 3), generator.uniform(0, 3))
        behind = torch.full((2, *SIZE), 1000.0)
        twice = Camera(**{k: np.repeat(v, 2, axis=0) for k, v in view.__dict__.items()})
        everywhere = np.stack([row, solid((0.0, 1.5, 0.0), (500.0, 500.0, 500.0))])[:, None]
        whole, _ = trace(np.array([0]), everywhere, twice, SIZE, behind)
        alone, _ = see(Kind.BOX, row, view)
        assert torch.allclose(alone, whole[0], rtol=1e-4, atol=1e-4)


def test_box_of_an_invisible_solid_is_empty():
    row = solid((0.0, 1.5, -10.0), (1.0, 1.0, 1.0))
    top, bottom, left, right = hexahedron_boxes(solid_corners(row[None, None]), camera(), SIZE)[0, 0]
    assert top >= bottom or left >= right
