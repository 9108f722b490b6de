"""Laws of the `flying` world: exact geometry, exact visibility, independence of the batch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from stereodistill import synth
from stereodistill.errors import UserError
from stereodistill.synth.flying import layers
from stereodistill.synth.flying.layers import surface_point
from stereodistill.synth.flying.world import FlyingConfig

SIZE = (128, 256)


@pytest.fixture(scope="module")
def clean():
    return synth.render("flying", seed=3, indices=range(8), size=SIZE, config=FlyingConfig.clean())


def sides(batch):
    """(view, other view, visible, sign of the displacement) for both directions."""
    return (
        (batch.pair.left, batch.pair.right, batch.visible_left, -1),
        (batch.pair.right, batch.pair.left, batch.visible_right, +1),
    )


def warp(tensor, disparity, sign):
    height, width = tensor.shape[-2:]
    x = torch.arange(width) + sign * disparity[:, 0]
    y = torch.arange(height).view(1, -1, 1).expand_as(x)
    grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], -1)
    return F.grid_sample(tensor, grid, align_corners=True, padding_mode="border")


def test_shapes_types_and_positive_disparity(clean):
    pair = clean.pair
    assert pair.left.image.shape == (8, 3, *SIZE) and pair.left.image.dtype == torch.float32
    assert clean.visible_left.shape == (8, 1, *SIZE) and clean.visible_left.dtype == torch.bool
    for view in (pair.left, pair.right):
        assert view.valid.all() and (view.disparity > 0).all()
        assert view.image.min() >= 0 and view.image.max() <= 1
    assert pair.rig.is_metric and len(set(pair.name)) == 8


def test_warping_by_true_disparity_rebuilds_the_other_view(clean):
    for view, other, visible, sign in sides(clean):
        error = (warp(other.image, view.disparity, sign) - view.image).square().mean(1, keepdim=True)
        psnr = -10 * torch.log10(error[visible].mean())
        assert psnr > 30
        # The mask matters: where the other camera sees something else, the rebuilt picture is wrong.
        assert error[~visible].mean() > 10 * error[visible].mean()


def test_visible_is_what_a_left_right_check_finds(clean):
    for view, other, visible, sign in sides(clean):
        disparity, opposite = view.disparity[:3, 0].numpy(), other.disparity[:3, 0].numpy()
        expected = np.zeros(disparity.shape, bool)
        for index in np.ndindex(disparity.shape):
            sample, y, x = index
            match = x + sign * disparity[index]
            if 0 <= match <= SIZE[1] - 1:
                expected[index] = abs(opposite[sample, y, round(float(match))] - disparity[index]) < 1
        found = visible[:3, 0].numpy()
        assert (found != expected).mean() < 0.02
        assert 0.3 < found.mean() < 0.99


def test_both_views_hit_the_same_surface_point():
    g = torch.Generator().manual_seed(0)
    rows = torch.rand(8, 500, generator=g) * torch.tensor([200, 90, 60, 0.4, 0.4, 1e-3, 1e-3, 1e-3]).view(-1, 1)
    x, y = torch.rand(2, 500, generator=g) * 200
    across, down, disparity = surface_point(rows, x, y, right=False)
    found = surface_point(rows, x - disparity, y, right=True)
    # Only where the surface does not fold over (1 - slope > 0), as scenes guarantee for their shapes.
    sound = rows[3] + down * rows[5] + 2 * rows[6] * across < 0.9
    assert sound.float().mean() > 0.9
    for ours, expected in zip(found, (across, down, disparity), strict=True):
        torch.testing.assert_close(ours[sound], expected[sound], atol=2e-2, rtol=1e-3)


def test_planes_have_affine_disparity():
    config = FlyingConfig(curved_share=0.0)
    view = synth.render("flying", seed=5, indices=range(4), size=SIZE, config=config).pair.left
    d = view.disparity
    for axis in (2, 3):
        bend = d.diff(n=2, dim=axis).abs()
        assert (bend < 2e-3).float().mean() > 0.75  # the rest: outlines


@pytest.mark.parametrize("config", [FlyingConfig(), FlyingConfig.clean()])
def test_leaving_out_hidden_layers_changes_nothing(monkeypatch, config):
    culled = synth.render("flying", seed=7, indices=range(3), size=SIZE, config=config)

    def everything(table, tile_x, tile_y, *, right):
        return table.used.view(-1, 1, table.num_layers).expand(-1, len(tile_x), -1).contiguous()

    monkeypatch.setattr(layers, "_touching", everything)
    full = synth.render("flying", seed=7, indices=range(3), size=SIZE, config=config)
    for ours, expected in ((culled.pair.left, full.pair.left), (culled.pair.right, full.pair.right)):
        assert torch.equal(ours.disparity, expected.disparity) and torch.equal(ours.image, expected.image)


def test_a_sample_depends_only_on_seed_and_index():
    together = synth.render("flying", seed=1, indices=[4, 11, 2], size=SIZE)
    alone = synth.render("flying", seed=1, indices=[11], size=SIZE)
    again = synth.render("flying", seed=2, indices=[11], size=SIZE)
    assert torch.equal(together.pair.left.disparity[1], alone.pair.left.disparity[0])
    assert torch.equal(together.pair.right.image[1], alone.pair.right.image[0])
    assert torch.equal(together.visible_right[1], alone.visible_right[0])
    assert together.pair.name[1] == alone.pair.name[0] != again.pair.name[0]
    assert not torch.equal(again.pair.left.disparity, alone.pair.left.disparity)


def test_disparity_ranges_and_textureless_areas_are_varied():
    pair = synth.render("flying", seed=0, indices=range(24), size=(96, 640), config=FlyingConfig.clean()).pair
    largest = pair.left.disparity.flatten(1).amax(1)
    assert largest.min() < 45 and largest.max() > 150
    grey = pair.left.image.mean(1)
    flat = ((grey.diff(dim=2).abs()[:, :, :-3] + grey.diff(dim=2).abs()[:, :, 3:]) < 0.004).float().mean()
    assert 0.05 < flat < 0.6
    # Contrast of whole pictures: neither grey mush nor all alike.
    assert grey.flatten(1).std(1).median() > 0.08


def test_panes_and_soft_edges_change_pictures_but_not_labels():
    plain = FlyingConfig.clean()
    soft = FlyingConfig(soft_edges=True, gloss_share=0.0, pane_share=0.0, sensor=plain.sensor)
    a, b = (synth.render("flying", seed=9, indices=range(2), size=SIZE, config=c).pair.left for c in (plain, soft))
    same = (a.disparity == b.disparity).float().mean()
    changed = ((a.image - b.image).abs().amax(1) > 1e-3).float().mean()
    assert same > 0.985  # wires thinner than a pixel may differ
    assert 0.01 < changed < 0.4


def test_photos_are_used_as_textures():
    photo = np.zeros((300, 400, 3), np.float32)
    photo[..., 0] = 1
    ours = synth.render("flying", seed=0, indices=[0], size=SIZE, config=FlyingConfig.clean(), photos=[photo]).pair
    image = ours.left.image[0]
    assert ((image[0] > 0.3) & (image[1] < 0.3) & (image[2] < 0.3)).float().mean() > 0.05


@pytest.mark.parametrize(
    ("kind", "size", "word"), [("flyng", (64, 64), "flying, street, room"), ("flying", (8, 640), "32 x 32")]
)
def test_wrong_requests_are_told_in_one_line(kind, size, word):
    with pytest.raises(UserError, match=word):
        synth.render(kind, seed=0, indices=[0], size=size)
