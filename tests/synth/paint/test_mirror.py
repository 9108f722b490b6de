import torch

from stereodistill.synth.paint import mirror
from stereodistill.synth.solids.rows import LightRows
from stereodistill.synth.solids.surface import dot


def unit(count: int, seed: int = 0) -> list[torch.Tensor]:
    vectors = torch.randn(3, count, generator=torch.Generator().manual_seed(seed))
    return list(vectors / vectors.norm(dim=0))


def test_a_mirrored_ray_leaves_at_the_angle_at_which_it_came():
    direction, normal = unit(50), unit(50, 1)
    across, out = mirror.reflected([3.0 * d for d in direction], normal)
    assert torch.allclose(across, dot(direction, normal), atol=1e-5)
    assert torch.allclose(dot(out, normal), -across, atol=1e-5)
    assert torch.allclose(dot(out, out), torch.ones(50), atol=1e-5)
    _, back = mirror.reflected(out, normal)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(back, direction, strict=True))


def test_dents_bend_a_panel_a_little_and_the_same_for_both_cameras():
    normal, point = unit(200), [torch.linspace(-3, 3, 200) * factor for factor in (1.0, 0.3, 2.0)]
    bent = mirror.dented(normal, point)
    assert torch.allclose(dot(bent, bent), torch.ones(200), atol=1e-5)
    cosine = dot(bent, normal)
    assert cosine.min() > 0.95 and cosine.min() < 0.9999
    assert all(torch.equal(a, b) for a, b in zip(mirror.dented(normal, point), bent, strict=True))


def daylight() -> LightRows:
    light = LightRows(torch.zeros(32, 1))
    light.sun_direction[1], light.sun[:], light.ambient[:] = 1.0, 1.0, 0.5  # sun overhead
    light.zenith[:] = light.horizon[:] = 0.9
    return light


ROAD = torch.tensor([[0.0], [4.0]])


def test_surroundings_are_bright_above_dark_below_and_full_of_contrast():
    azimuth = torch.linspace(-3, 3, 400)
    point = [torch.full_like(azimuth, value) for value in (1.0, 1.0, 5.0)]

    def seen(elevation: float) -> torch.Tensor:
        direction = [torch.sin(azimuth), torch.full_like(azimuth, elevation), torch.cos(azimuth)]
        size = (1 + elevation**2) ** 0.5
        return mirror.surroundings([d / size for d in direction], daylight(), point, ROAD)

    sky, skyline, ground = seen(4.0), seen(0.2), seen(-0.5)
    assert sky.mean() > 1.5 * ground.mean()
    assert skyline.std() > 0.2 * skyline.mean() and ground.std() > 0.2 * ground.mean()
    assert all(torch.isfinite(c).all() and c.min() >= 0 for c in (sky, skyline, ground))


def test_mirrored_things_have_a_place_of_their_own():
    """Two points of a panel that look at one thing, on the ground or on the wall, see the same colours there."""
    light = daylight()
    light.sun[:] = 0.0  # no glow of the sun, which is at no place
    z = torch.linspace(0, 40, 300)
    wall = [torch.full_like(z, 4.0 + mirror.VERGE_M), torch.full_like(z, 0.8), z]
    ground = [torch.full_like(z, 3.0), torch.zeros_like(z), z]
    for target in (wall, ground):
        colors = []
        for shift in (-1.0, 1.0):
            point = [torch.full_like(z, 1.0), torch.full_like(z, 1.0), z + shift]
            way = [a - b for a, b in zip(target, point, strict=True)]
            direction = [w / torch.stack(way).norm(dim=0) for w in way]
            colors.append(mirror.surroundings(direction, light, point, ROAD))
            ahead = mirror.surroundings([d[:1].expand_as(z) for d in direction], light, point, ROAD)
        assert torch.allclose(*colors, atol=2e-3) and colors[0].std() > 0.01
        assert ahead.std() > 0.01
