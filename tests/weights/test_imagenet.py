"""ImageNet weights for `vgg_mono`: torchvision's names, from a file, strictly."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stereodistill.errors import UserError
from stereodistill.models import build
from stereodistill.weights import load_encoder

# torchvision's VGG-16: number of the convolution in `features` -> its place here.
PLACES = {0: "conv1.0", 2: "conv1.2", 5: "conv2.0", 7: "conv2.2", 10: "conv3.0", 12: "conv3.2", 14: "conv3.4",
          17: "conv4.0", 19: "conv4.2", 21: "conv4.4", 24: "conv5.0", 26: "conv5.2", 28: "conv5.4"}  # fmt: skip


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build("vgg_mono", channel_share=0.1)


@pytest.fixture
def table(network) -> dict[str, torch.Tensor]:
    state = network.state_dict()
    table = {
        f"features.{number}.{kind}": torch.randn(state[f"{name}.{kind}"].shape)
        for number, name in PLACES.items()
        for kind in ("weight", "bias")
    }
    return table | {"classifier.0.weight": torch.zeros(3, 4), "classifier.6.bias": torch.zeros(3)}


def saved(path: Path, table: dict[str, torch.Tensor]) -> str:
    (save_file if path.suffix == ".safetensors" else torch.save)(table, path)
    return str(path)


@pytest.mark.parametrize("file", ["vgg16.pth", "vgg16.safetensors"])
def test_every_layer_gets_its_own_weights_and_the_decoder_none(network, table, tmp_path, file):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    load_encoder(network, saved(tmp_path / file, table))
    after = network.state_dict()
    for number, name in PLACES.items():
        assert torch.equal(after[f"{name}.weight"], table[f"features.{number}.weight"])
        assert torch.equal(after[f"{name}.bias"], table[f"features.{number}.bias"])
    changed = {name.split(".")[0] for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"conv1", "conv2", "conv3", "conv4", "conv5"}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("features.28.bias", None, r"not VGG-16.*1 missing \(first 'features.28.bias'\)"),
        ("features.30.weight", torch.zeros(2), r"1 surplus \(first 'features.30.weight'\)"),
        ("features.0.weight", torch.zeros(2), r"another shape \(first 'features.0.weight'\): found \(2,\)"),
    ],
)
def test_another_file_is_one_clear_line(network, table, tmp_path, name, value, message):
    table.pop(name, None)
    if value is not None:
        table[name] = value
    with pytest.raises(UserError, match=message):
        load_encoder(network, saved(tmp_path / "other.pth", table))


def test_a_network_without_such_an_encoder_is_refused(tmp_path):
    with pytest.raises(UserError, match="lite_mono has no encoder for ImageNet weights"):
        load_encoder(build("lite_mono"), str(tmp_path / "vgg16.pth"))


def test_nothing_is_downloaded_unless_asked_for(network, monkeypatch):
    from stereodistill.weights import imagenet

    asked = []
    monkeypatch.setattr(imagenet, "tensor_file", lambda name: asked.append(name) or Path("nowhere.safetensors"))
    with pytest.raises(UserError, match="timm/vgg16.tv_in1k: no such file"):
        load_encoder(network, "timm/vgg16.tv_in1k")
    assert asked == []
    with pytest.raises(UserError, match="nowhere"):
        load_encoder(network, "hub:timm/vgg16.tv_in1k")
    assert asked == ["timm/vgg16.tv_in1k"]
