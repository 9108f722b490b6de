"""Networks by name, fresh or with weights."""

import pytest
import torch

import stereodistill as sd
from stereodistill.errors import UserError
from stereodistill.models import MONO, STEREO, build
from stereodistill.weights import WeightsHeader, save_weights

SMALL = {"max_disparity_px": 32, "channels": 16, "width": 32}


def test_the_list_names_every_network_once():
    assert sd.list_models() == sorted({*MONO, *STEREO}) and set(sd.list_models("mono")) == set(MONO)
    for name in sd.list_models():
        with torch.device("meta"):
            assert sd.create_model(name).name == name


def test_shipped_weights_by_name():
    model = sd.create_model("lite_stereo", pretrained=True)
    shipped = sd.from_pretrained("lite_stereo", "cpu")
    image = torch.rand(1, 3, 64, 96)
    assert not model.training
    with torch.no_grad():
        found = model(image, image.roll(4, -1)).disparities[0]
    torch.testing.assert_close(found, shipped(image, image.roll(4, -1)), rtol=1e-3, atol=1e-3)


def test_own_weights_and_options(tmp_path):
    network = build("lite_stereo", **SMALL)
    save_weights(tmp_path, network, WeightsHeader(architecture="lite_stereo", kind="stereo"))
    model = sd.create_model("lite_stereo", pretrained=tmp_path)
    assert model.options == network.options == sd.create_model("lite_stereo", **SMALL).options
    with pytest.raises(UserError, match="holds weights of lite_stereo, not of dispnet"):
        sd.create_model("dispnet", pretrained=tmp_path)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("resnet50", {}, "unknown network 'resnet50': expected one of"),
        (
            "vgg_mono",
            {"pretrained": True},
            r"no weights ship for the network 'vgg_mono' \(they do for: lite0_mono, lite_stereo",
        ),
        ("lite_stereo", {"pretrained": True, "width": 32}, "the weights say how 'lite_stereo' is built: leave out"),
        ("lite_stereo", {"pretrained": "nowhere"}, "no weights 'nowhere'"),
    ],
)
def test_what_cannot_be(name, given, message):
    with pytest.raises(UserError, match=message):
        sd.create_model(name, **given)
