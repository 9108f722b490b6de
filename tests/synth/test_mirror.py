import torch

from stereodistill.synth import mirror
from stereodistill.synth.surface import dot


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


def test_surroundings_are_bright_above_dark_below_and_full_of_contrast():
    light = torch.zeros(33, 1)
    light[1], light[3:6], light[6:9], light[13:19] = 1.0, 1.0, 0.5, 0.9  # sun overhead, sunlight, sky light, sky
    azimuth = torch.linspace(-3, 3, 400)

    def seen(elevation: float) -> torch.Tensor:
        direction = [torch.sin(azimuth), torch.full_like(azimuth, elevation), torch.cos(azimuth)]
        size = (1 + elevation**2) ** 0.5
        return mirror.surroundings([d / size for d in direction], light)

    sky, skyline, ground = seen(4.0), seen(0.4), seen(-0.5)
    assert sky.mean() > 1.5 * ground.mean()
    assert skyline.std() > 3 * ground.std()
    assert all(torch.isfinite(c).all() and c.min() >= 0 for c in (sky, skyline, ground))
