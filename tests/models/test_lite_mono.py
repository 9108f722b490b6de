"""`lite_mono`: positive, any size, right scale, light, and able to learn."""

import copy

import pytest
import torch
from torch import nn

from stereodistill.errors import UserError
from stereodistill.models import build
from stereodistill.models.layers import WideResidual, coordinates, for_inference, upsample_to
from stereodistill.models.lite_mono import INITIAL_FRACTION

SMALL = {"channels": (8, 8, 12, 12, 16), "decoder_channels": (8, 8, 8, 8), "num_blocks": (1, 1, 1, 1)}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return _trained_looking(build("lite_mono", **SMALL))


def _trained_looking(model: nn.Module) -> nn.Module:
    """Running statistics, biases and heads unlike those of a fresh network."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(0.2 * torch.randn(module.num_features, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=generator))
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.uniform_(module.bias, -0.2, 0.2, generator=generator)
    return model.eval()


@pytest.mark.parametrize("size", [(64, 96), (33, 47), (1, 1), (31, 200), (97, 64)])
def test_any_size_gives_four_scales_rounded_up(network, size):
    with torch.inference_mode():
        disparities = network(torch.rand(2, 3, *size)).disparities
    expected = [(2, 1, -(-size[0] // 2**s), -(-size[1] // 2**s)) for s in range(4)]
    assert [tuple(d.shape) for d in disparities] == expected


def test_disparity_is_positive_and_finite_also_for_strange_images(network):
    with torch.inference_mode():
        for image in (torch.zeros(1, 3, 64, 64), torch.ones(1, 3, 64, 64), 50 * torch.randn(1, 3, 64, 64)):
            for disparity in network(image).disparities:
                assert bool((disparity > 0).all()) and bool(torch.isfinite(disparity).all())


def test_fresh_network_starts_near_the_initial_fraction_of_the_width_at_every_scale():
    torch.manual_seed(0)
    fresh = build("lite_mono").eval()
    with torch.inference_mode():
        for width in (96, 320):
            for disparity in fresh(torch.rand(1, 3, 64, width)).disparities:
                assert disparity.mean().item() == pytest.approx(INITIAL_FRACTION * width, rel=0.2)


def test_features_are_the_decoders_finest_first(network):
    with torch.inference_mode():
        features = network(torch.rand(1, 3, 64, 96)).features
    assert [tuple(f.shape[2:]) for f in features] == [(32, 48), (16, 24), (8, 12), (4, 6)]


def test_folded_channels_last_copy_gives_the_same_disparity(network):
    image = torch.rand(2, 3, 50, 70)
    before = copy.deepcopy(network.state_dict())
    light = for_inference(network)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in light.modules())
    with torch.inference_mode():
        ours = network(image).disparities
        theirs = light(image.contiguous(memory_format=torch.channels_last)).disparities
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_bfloat16_autocast_keeps_float32_outputs_close(network):
    image = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        exact = network(image).disparities[0]
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(image).disparities[0]
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, rtol=0.02, atol=0)


def test_every_output_pixel_sees_the_whole_image():
    torch.manual_seed(0)
    model = _trained_looking(build("lite_mono"))
    image = torch.rand(1, 3, 192, 640, requires_grad=True)
    model(image).disparities[0][0, 0, 96, 320].backward()
    corners = image.grad[0, :, :: 192 - 32, :: 640 - 32].abs().sum(0)
    assert bool((corners > 0).all())


def test_learns_one_image_of_varied_disparity():
    torch.manual_seed(0)
    model = build("lite_mono", **SMALL).train()
    target = torch.linspace(2, 20, 48)[:, None].expand(48, 64).clone()
    target[10:30, 20:40] = 25
    image = torch.rand(2, 3, 48, 64) * 0.2 + target / 40
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        loss = (model(image).disparities[0] - target).abs().mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1.5  # a constant reaches 5.4


def test_wrong_number_of_channels_is_a_user_error():
    with pytest.raises(UserError, match="5 channels, 4 decoder_channels"):
        build("lite_mono", channels=(8, 8))


def test_nearest_enlargement_doubles_also_odd_sizes():
    coarse = torch.arange(12.0).reshape(1, 1, 3, 4)
    fine = upsample_to(coarse, torch.zeros(1, 1, 5, 7))
    doubled = coarse.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert torch.equal(fine, doubled[..., :5, :7])


def test_coordinates_are_symmetric_cell_centres():
    grid = coordinates(torch.zeros(1, 8, 2, 4))
    assert torch.equal(grid[0, 0, :, 0], torch.tensor([-0.5, 0.5]))
    assert torch.equal(grid[0, 1, 0], torch.tensor([-0.75, -0.25, 0.25, 0.75]))


def test_wide_residual_sees_its_kernel_and_no_more():
    block = WideResidual(4, kernel=7).eval()
    x = torch.rand(1, 4, 15, 15, requires_grad=True)
    block(x)[0, :, 7, 7].sum().backward()
    seen = x.grad.abs().sum((0, 1)) > 0
    assert bool(seen[4:11, 4:11].any()) and int(seen.sum()) == int(seen[4:11, 4:11].sum())
