"""Laws of the world `street`, and of the perspective renderer that it shares with `room`."""

import numpy as np
import pytest
import torch

from stereodistill import synth
from stereodistill.errors import UserError
from stereodistill.rng import rng
from stereodistill.synth.paint import finishes
from stereodistill.synth.paint.textures import draw_textures, texture_bank
from stereodistill.synth.rendering.perspective import render_scenes
from stereodistill.synth.sensor import SensorConfig
from stereodistill.synth.solids.raycast import Kind
from stereodistill.synth.solids.scene import NUM_TEXTURES, Scene
from stereodistill.synth.street.asphalt import even_road
from stereodistill.synth.street.setting import draw_ground, draw_light
from stereodistill.synth.street.sides import thicket, undergrowth, woods
from stereodistill.synth.street.world import StreetConfig, neighbour, street_scene

SIZE = (128, 224)
CLEAN = StreetConfig.clean()


@pytest.fixture(scope="module")
def clean() -> synth.SynthBatch:
    return synth.render("street", seed=5, indices=range(6), size=SIZE, config=CLEAN)


def sample_row(image: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Linear interpolation of (B, C, H, W) at columns x (B, 1, H, W)."""
    x = x.clamp(0, image.shape[-1] - 1)
    low = x.floor().clamp(max=image.shape[-1] - 2)
    share, low = x - low, low.long().expand(-1, image.shape[1], -1, -1)
    return image.gather(3, low) * (1 - share) + image.gather(3, low + 1) * share


def views(batch: synth.SynthBatch):
    """(view, other view, visible, direction) for both views."""
    pair = batch.pair
    return [(pair.left, pair.right, batch.visible_left, -1), (pair.right, pair.left, batch.visible_right, 1)]


def assert_rebuilds(batch: synth.SynthBatch, least_db: float = 30.0) -> None:
    columns = torch.arange(batch.pair.size[1])
    for view, other, visible, sign in views(batch):
        error = (sample_row(other.image, columns + sign * view.disparity) - view.image).square().mean(1, keepdim=True)
        for i in range(len(error)):
            psnr = -10 * torch.log10(error[i][visible[i]].mean())
            assert psnr > least_db, f"sample {i}: {float(psnr):.1f} dB"


def assert_visibility_agrees(batch: synth.SynthBatch, most: float) -> None:
    columns = torch.arange(batch.pair.size[1])
    for view, other, visible, sign in views(batch):
        target = columns + sign * view.disparity
        inside = (target >= 0) & (target <= batch.pair.size[1] - 1)
        check = inside & ((sample_row(other.disparity, target) - view.disparity).abs() < 1)
        assert float((check != visible).float().mean()) < most


def test_warping_by_true_disparity_rebuilds_the_view(clean):
    assert_rebuilds(clean)


def test_visibility_is_the_left_right_check(clean):
    assert_visibility_agrees(clean, 0.02)


def test_disparity_is_focal_baseline_over_depth_on_bare_ground_and_a_box():
    """Ground at row y: Z = f h / (y - cy), so disparity = B (y - cy) / h; a box face: f B / Z."""
    scene = bare_scene()
    scene.position, scene.baseline_m, scene.largest_disparity = (0.0, 1.5, 0.0), 0.5, 0.5
    scene.add(Kind.BOX, (0.0, 2.0, 20.0), (3.0, 2.0, 2.0), finishes.stucco(scene.generator, (0.5,) * 3))
    batch = render_one(scene)
    focal, center_y = scene.focal_width * SIZE[1], (SIZE[0] - 1) / 2
    for view in (batch.pair.left, batch.pair.right):
        rows = torch.arange(SIZE[0] - 30, SIZE[0])
        expected = 0.5 * (rows - center_y) / 1.5
        torch.testing.assert_close(view.disparity[0, 0, -30:, 20], expected, rtol=1e-4, atol=1e-3)
        assert float(view.disparity[0, 0, int(center_y), 110]) == pytest.approx(focal * 0.5 / 18.0, rel=1e-4)
        assert float(view.disparity[0, 0, 0, 5]) == pytest.approx(focal * 0.5 / scene.light.far_m, rel=1e-4)
    assert float(batch.pair.rig.focal_px[0] * batch.pair.rig.baseline_m[0]) == pytest.approx(focal * 0.5)


def test_what_a_pole_hides_is_not_visible():
    """Behind a card of disparity d the other view loses a strip as wide as d minus the background's disparity."""
    scene = bare_scene()
    scene.position, scene.baseline_m, scene.largest_disparity = (0.0, 1.5, 0.0), 0.5, 0.5
    scene.add(Kind.CARD, (0.0, 1.5, 5.0), (0.6, 1.0, 0.01), finishes.stucco(scene.generator, (0.5,) * 3))
    batch = render_one(scene)
    row = int((SIZE[0] - 1) / 2) - 5
    hidden = ~batch.visible_left[0, 0, row, 30:]
    strip = scene.focal_width * SIZE[1] * 0.5 / 5.0
    assert int(hidden.sum()) == pytest.approx(strip, abs=2)


def test_sample_depends_on_its_index_alone(clean):
    alone = synth.render("street", seed=5, indices=[3], size=SIZE, config=CLEAN)
    assert torch.equal(alone.pair.left.image[0], clean.pair.left.image[3])
    assert torch.equal(alone.pair.right.disparity[0], clean.pair.right.disparity[3])
    assert torch.equal(alone.visible_left[0], clean.visible_left[3])
    assert not torch.equal(clean.pair.left.image[2], clean.pair.left.image[3])


def test_rendering_together_is_rendering_one_by_one():
    """The path for GPUs (whole batch, whole picture) and the path for CPUs (windows) show the same."""
    bank = texture_bank("cpu")
    scenes = [street_scene(rng(7, 0, i), CLEAN, SIZE) for i in range(3)]
    for scene in scenes:
        scene.textures = draw_textures(scene.generator, NUM_TEXTURES, bank.num_tiles)
    one, many = (render_scenes(scenes, ["a", "b", "c"], SIZE, bank, together=t).pair for t in (False, True))
    for alone, batched in ((one.left, many.left), (one.right, many.right)):
        same = (alone.disparity - batched.disparity).abs() < 1e-3 * (1 + alone.disparity)
        assert float(same.float().mean()) > 0.999
        assert float((alone.image - batched.image).abs().mean()) < 1e-3


def test_disparities_are_positive_bounded_and_varied(clean):
    batch = synth.render("street", seed=1, indices=range(12), size=(64, 112), config=CLEAN)
    disparity = batch.pair.left.disparity
    assert bool((disparity > 0).all()) and bool(batch.pair.left.valid.all())
    largest = torch.quantile(disparity.flatten(1), 0.99, dim=1) / 112
    assert float(largest.max()) < CLEAN.largest_disparity[1] * 1.05
    assert float(largest.max()) > 0.08 and float(largest.std()) > 0.01
    visible = batch.visible_left.float().mean((1, 2, 3))
    assert float(visible.min()) > 0.6 and float(visible.mean()) > 0.85


def test_what_is_too_near_for_the_width_is_unknown():
    """A box 20 cm before the right camera, which the left one does not see, is displaced by 1.4 widths."""
    scene = bare_scene()
    scene.position, scene.baseline_m, scene.focal_width, scene.largest_disparity = (0.0, 1.5, 0.0), 0.5, 0.58, 0.5
    scene.add(Kind.BOX, (0.75, 1.5, 0.22), (0.15, 0.3, 0.02), finishes.stucco(scene.generator, (0.5,) * 3))
    right = render_one(scene).pair.right
    assert float(right.disparity.max()) == pytest.approx(0.58 * SIZE[1] * 0.5 / 0.2, rel=0.01)
    assert torch.equal(right.valid, right.disparity <= SIZE[1]) and right.valid.float().mean() > 0.5


def test_driving_rig_looks_like_driving():
    config = StreetConfig(driving_rig=1.0, largest_disparity=(0.25, 0.26), sensor=SensorConfig.off())
    batch = synth.render("street", seed=2, indices=range(8), size=(64, 208), config=config)
    focal = batch.pair.rig.focal_px / batch.pair.rig.width
    assert float((focal - 0.58).abs().max()) < 0.2
    assert float(batch.pair.rig.baseline_m.median()) > 0.35


def test_without_spread_every_street_has_the_same_rig():
    config = StreetConfig(driving_rig=1.0, rig_spread=0.0, largest_disparity=(0.4, 0.4))
    scenes = [street_scene(rng(3, 0, index, 0), config, (96, 320)) for index in range(20)]
    assert {(s.focal_width, s.baseline_m, s.position[1]) for s in scenes} == {(0.58, 0.54, 1.65)}
    spread = config.model_copy(update={"rig_spread": 1.0})
    assert len({street_scene(rng(3, 0, index, 0), spread, (96, 320)).baseline_m for index in range(5)}) == 5


def test_sensor_and_mirrors_change_pictures_only(clean):
    noisy = synth.render("street", seed=5, indices=range(2), size=SIZE)
    assert torch.equal(noisy.pair.left.disparity, clean.pair.left.disparity[:2])
    assert not torch.allclose(noisy.pair.left.image, clean.pair.left.image[:2], atol=1e-3)


def test_unknown_setting_is_one_clear_line():
    with pytest.raises(UserError, match="camera_heigth"):
        StreetConfig.parse({"camera_heigth": 3})


def bare_scene() -> Scene:
    """Level camera, ground, sky."""
    generator = np.random.default_rng(0)
    scene = Scene(generator=generator, focal_width=0.8)
    scene.ground = draw_ground(generator, "town")
    draw_light(scene, generator)
    return scene


def render_one(scene: Scene) -> synth.SynthBatch:
    bank = texture_bank("cpu")
    scene.textures = draw_textures(scene.generator, NUM_TEXTURES, bank.num_tiles)
    return render_scenes([scene], ["bare"], SIZE, bank)


def mismatch_on_a_pane(gloss: float) -> float:
    """How far the right view, moved by the true disparity, is from the left one on a clear pane 6 m away."""
    scene = bare_scene()
    scene.position, scene.baseline_m, scene.largest_disparity, scene.gloss = (0.0, 1.5, 0.0), 0.5, 0.5, gloss
    paint = finishes.stucco(scene.generator, (0.5,) * 3)
    finish = next(f for f in iter(lambda: finishes.cabin(scene.generator, 0.3, paint), None) if f.numbers[0] > 0.7)
    scene.add(Kind.BOX, (0.0, 1.5, 8.0), (2.0, 1.2, 2.0), finish)
    pair = render_one(scene).pair
    warped = sample_row(pair.right.image, torch.arange(SIZE[1]) - pair.left.disparity)
    pane = (..., slice(SIZE[0] // 2 - 8, SIZE[0] // 2 + 8), slice(SIZE[1] // 2 - 10, SIZE[1] // 2 + 10))
    disparity = pair.left.disparity[pane]
    torch.testing.assert_close(disparity, torch.full_like(disparity, 0.8 * SIZE[1] * 0.5 / 6.0))
    return float((warped - pair.left.image)[pane].abs().mean())


def test_what_shows_through_a_pane_does_not_match_at_the_panes_own_disparity():
    """Without gloss a scene shows the same colours in both views, its panes too."""
    opaque, clear = mismatch_on_a_pane(gloss=0.0), mismatch_on_a_pane(gloss=1.0)
    assert opaque < 0.003 and clear > 0.01


def centers_of(scene: Scene) -> np.ndarray:
    return np.array([row[:3] for rows in scene.solids.values() for row in rows])


def test_a_vehicle_stands_right_beside_the_camera_when_asked_for():
    for seed in range(5):
        scene = Scene(generator=rng(seed, 0, 0, 1), position=(1.0, 1.6, 0.0))
        x, z = neighbour(scene, scene.generator, gloss=1.0)
        assert 2.1 <= abs(x - 1.0) <= 5.0 and 2.0 <= z <= 9.0
        assert (
            len(scene.solids.get(Kind.ROUNDED, scene.solids[Kind.BOX])) >= 2
            and np.abs(centers_of(scene)[:, 0] - x).max() < 6
        )


def test_a_vehicle_beside_the_camera_leaves_room_for_the_widest_rig():
    for seed in range(400):
        scene = Scene(generator=np.random.default_rng(seed), position=(0.0, 1.2, 0.0))
        neighbour(scene, scene.generator, gloss=1.0)
        x, _, z, half_x, _, half_z, cos, sin = np.array([row[:8] for rows in scene.solids.values() for row in rows]).T
        for camera_x in (0.0, StreetConfig().baseline_m[1]):
            across, along = cos * (camera_x - x) + sin * z, sin * (camera_x - x) - cos * z
            assert np.maximum(np.abs(across) - half_x, np.abs(along) - half_z).min() > 0.1, seed


def test_woods_are_dense_and_stay_off_the_road():
    scene = Scene(generator=np.random.default_rng(3))
    woods(scene, scene.generator, lambda offset: offset, front=5.0)
    centers = centers_of(scene)
    assert len(centers) >= 24 and centers[:, 0].min() >= 3.0


def test_a_thicket_is_mostly_leaves_and_ends_a_few_metres_behind_its_edge():
    for seed in range(4):
        scene = Scene(generator=np.random.default_rng(seed))
        thicket(scene, scene.generator, lambda offset: offset, front=5.0)
        rows = np.array([row for kind, rows in scene.solids.items() if kind != Kind.BOX for row in rows])
        x, y, z, _, half_y, _ = rows[:, :6].T
        assert x.min() > 3.5 and x.max() < 15.0  # between the road and the dark inside
        across = rows[:, 3:6:2].max(axis=1)
        (inside,) = scene.solids[Kind.BOX]
        assert 6.0 <= inside[0] - inside[3] <= 10.0
        at = np.stack(np.meshgrid(np.geomspace(5, 40, 40), np.linspace(0.3, 2.5, 20)), axis=-1).reshape(-1, 1, 2)
        covered = (np.abs(at[..., 0] - z) < across) & (np.abs(at[..., 1] - y) < half_y)
        assert covered.any(axis=1).mean() > 0.5  # the rest shows the dark inside


def test_dull_leaves_have_less_contrast_and_the_same_mean():
    leaves = finishes.leaves(np.random.default_rng(0))
    dull = finishes.dull(leaves, 0.25)
    assert np.subtract(dull.b, dull.a) == pytest.approx(0.75 * np.subtract(leaves.b, leaves.a))
    assert np.add(dull.b, dull.a) == pytest.approx(np.add(leaves.b, leaves.a))


def test_undergrowth_is_thin_and_stays_off_the_road():
    scene = Scene(generator=np.random.default_rng(3))
    undergrowth(scene, scene.generator, lambda offset: offset, front=5.0)
    assert len(scene.solids[Kind.LEAVES]) > 50 and len(scene.solids[Kind.CYLINDER]) > 10
    assert np.array(scene.solids[Kind.CYLINDER])[:, 3].max() < 0.1
    assert centers_of(scene)[:, 0].min() > 2.0


def test_no_vehicle_stands_on_the_cameras():
    config = StreetConfig(driving_rig=1.0, objects=1.4)
    for index in range(150):
        scene = street_scene(rng(0, 0, index, 0), config, (96, 320))
        for row in (row for kind in (Kind.BOX, Kind.ROUNDED, Kind.WEDGE) for row in scene.solids.get(kind, ())):
            x, y, z, half_x, half_y, half_z, cos, sin = row[:8]
            if y - half_y > scene.position[1] or y + half_y < 0.3:
                continue  # overhead, or a kerb
            for camera_x in (scene.position[0], scene.position[0] + scene.baseline_m):
                dx, dz = camera_x - x, scene.position[2] - z
                inside = abs(cos * dx - sin * dz) < half_x and abs(sin * dx + cos * dz) < half_z
                assert not inside, f"street {index}: a box from {y - half_y:.1f} to {y + half_y:.1f} m on the camera"


def test_an_even_road_has_one_grey_and_what_lies_on_it_is_flat():
    for seed in range(20):
        g = rng(seed)
        scene = Scene(generator=g)
        scene.ground = draw_ground(g, "suburb")
        mottled, even = scene.ground.road, even_road(scene, g).road
        spread = [max(b / a for a, b in zip(road.a, road.b, strict=True)) for road in (mottled, even)]
        assert spread[1] < 1.3 < spread[0]
        for rows in scene.solids.values():
            for row in rows:
                assert row[1] + row[4] < 0.006 and abs(row[0]) < scene.ground.road_half_m + 0.01


def test_no_even_roads_leaves_every_street_as_it_was():
    plain, asked = (street_scene(rng(3), StreetConfig(even_roads=share), (64, 160)) for share in (0.0, 1.0))
    assert plain.ground == street_scene(rng(3), StreetConfig(), (64, 160)).ground != asked.ground
