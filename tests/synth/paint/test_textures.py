"""The texture bank: seamless tiles, colours that depend on the surface point alone, band-limited when far away."""

import numpy as np
import torch

from stereodistill.rng import rng
from stereodistill.synth.paint import patterns
from stereodistill.synth.paint.textures import NUM_PARAMS, draw_textures, look_up, sample_texture, texture_bank


def surfaces(num, seed=0):
    bank = texture_bank()
    return bank, torch.from_numpy(draw_textures(rng(seed), num, bank.num_tiles))


def test_every_family_has_tiles_with_a_pattern():
    tiles = patterns.pattern_tiles()
    numbers = [n for family in patterns.FAMILY_TILES.values() for n in family]
    assert numbers == list(range(len(tiles))) and len(tiles) > 50
    assert tiles.min() >= 0 and tiles.max() <= 1 and tiles.dtype == np.float32
    assert (tiles[:, 0].std((1, 2)) > 0.02).all()


def test_look_up_at_texel_centres_returns_texels_and_wraps():
    bank = texture_bank()
    tile = torch.full((4,), 17.0)
    u, v = torch.tensor([0.5, 100.5, 0.5 + 256, 0.5 - 256]), torch.tensor([3.5, 200.5, 3.5, 3.5 + 512])
    found = look_up(bank, tile, u, v)
    expected = torch.from_numpy(patterns.pattern_tiles()[17])[:, [3, 200, 3, 3], [0, 100, 0, 0]].T
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_tiles_have_no_seam():
    tiles = patterns.pattern_tiles()[:, 0]
    random = [n for name in ("shade", "cloud", "leaves", "stones", "marble") for n in patterns.FAMILY_TILES[name]]
    for tile in tiles[random]:
        inner = np.abs(np.diff(tile, axis=0)).mean(1)
        assert np.abs(tile[0] - tile[-1]).mean() < 1.5 * inner.max() + 1e-6


def test_colour_depends_on_the_surface_point_alone():
    bank, table = surfaces(6)
    g = torch.Generator().manual_seed(1)
    surface = torch.randint(0, 6, (1000,), generator=g)
    u, v = torch.rand(2, 1000, generator=g) * 400 - 100
    colours = sample_texture(bank, table, surface, u, v)
    order = torch.randperm(1000, generator=g)
    assert colours.shape == (3, 1000) and colours.min() >= 0 and colours.max() <= 1
    assert torch.equal(sample_texture(bank, table, surface[order], u[order], v[order]), colours[:, order])


def test_far_away_textures_fade_instead_of_flickering():
    bank, table = surfaces(40)
    table[6] = 0  # no light and shadow: the pattern alone
    g = torch.Generator().manual_seed(2)
    surface = torch.arange(40).repeat_interleave(200)
    u, v = torch.rand(2, 8000, generator=g) * 2000
    near = sample_texture(bank, table, surface, u, v).view(3, 40, 200).std(2).mean()
    far = sample_texture(bank, table, surface, u, v, torch.full((8000,), 64.0)).view(3, 40, 200).std(2).mean()
    assert far < 0.5 * near


def test_drawing_is_a_function_of_the_generator():
    bank = texture_bank()
    a, b, c = (draw_textures(rng(s), 5, bank.num_tiles) for s in (0, 0, 1))
    assert a.shape == (NUM_PARAMS, 5) and a.dtype == np.float32
    assert np.array_equal(a, b) and not np.array_equal(a, c)
    assert not np.isin(a[0], patterns.FAMILY_TILES["shade"]).any()


def test_photos_become_tiles_in_their_own_colours():
    photo = np.random.default_rng(0).random((40, 90, 3), dtype=np.float32) * [1.0, 0.1, 0.0]
    bank = texture_bank("cpu", [photo, photo])
    assert bank.num_photos == 2 and bank.num_tiles == bank.num_patterns + 2
    texels = look_up(bank, torch.full((50,), float(bank.num_patterns)), torch.arange(50) * 5.0, torch.arange(50) * 3.0)
    assert texels[:, 0].mean() > 0.3 and texels[:, 2].max() < 1e-6
