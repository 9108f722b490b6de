"""Foreign networks as students: what they say is what the library says, as disparity of one rig."""

import json
import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from stereodistill.errors import UserError
from stereodistill.models import build
from stereodistill.weights import WeightsHeader, load_weights, save_weights
from stereodistill.weights.transformer import load_transformer

DEPTH = ("depth_anything", "depth_anything_metric", "dpt", "glpn", "zoedepth", "depth_pro")
BACKBONES = ("dinov2", "convnextv2", "swin", "resnet")
IS_DEPTH = {"depth_anything": False, "depth_anything_metric": True, "dpt": False, "glpn": True, "zoedepth": True,
            "depth_pro": False}  # fmt: skip


def student(folder, **options):
    return load_transformer(f"hf:{folder}", **options).eval()


def image(height, width, batch=1):
    coarse = torch.rand(batch, 3, height // 8, width // 8, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, size=(height, width), mode="bilinear")


@pytest.mark.parametrize("kind", DEPTH)
@torch.no_grad()
def test_a_depth_model_says_what_the_library_says(tiny_transformer, kind):
    """Normalised by hand from the published numbers, at a size that the library takes as it is."""
    import transformers

    folder = tiny_transformer(kind)
    theirs = transformers.AutoModelForDepthEstimation.from_pretrained(folder).eval()
    pictures = json.loads((folder / "preprocessor_config.json").read_text())
    mean, deviation = (
        torch.tensor(pictures.get(key, [default] * 3)).reshape(3, 1, 1)
        for key, default in (("image_mean", 0.0), ("image_std", 1.0))
    )
    photo = image(112, 112) if kind.startswith("depth_anything") else image(64, 64)
    expected = theirs(pixel_values=(photo - mean) / deviation).predicted_depth[:, None]
    expected = F.interpolate(expected, size=photo.shape[-2:], mode="bilinear")
    assert expected.std() > 0
    ours = student(folder)
    found = ours.inverse_depth(photo)
    torch.testing.assert_close(1 / found if IS_DEPTH[kind] else found, expected, rtol=1e-4, atol=1e-5)
    # d = width * (scale * inverse + offset) where that is well above zero
    ours.log_scale.fill_(0.0)
    ours.offset.fill_(0.25)
    line = ours(photo).disparities[0] / 64 if photo.shape[-1] == 64 else ours(photo).disparities[0] / 112
    torch.testing.assert_close(line, found + 0.25, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", DEPTH + BACKBONES)
@torch.no_grad()
def test_any_size_gives_positive_disparity_of_that_size_and_survives_saving(tiny_transformer, kind, tmp_path):
    network = student(tiny_transformer(kind))
    photo = image(56, 136, batch=2)
    maps = network(photo).disparities
    assert [tuple(m.shape) for m in maps] == [(2, 1, -(-56 // 2**s), -(-136 // 2**s)) for s in range(len(maps))]
    assert len(maps) == (1 if kind in DEPTH else 4)
    assert all(bool((m > 0).all()) and m.dtype == torch.float32 for m in maps)
    header = WeightsHeader(architecture=network.name, kind="mono", input_size=(64, 128), licence="mit")
    again, header = load_weights(save_weights(tmp_path / "w", network, header))
    assert torch.equal(again(photo).disparities[0], maps[0])
    assert header.options == json.loads(json.dumps(network.options)) and "id2label" not in header.options["config"]


@pytest.mark.parametrize("kind", DEPTH + BACKBONES)
def test_layers_hold_every_parameter_of_the_encoder_once_from_input_to_output(tiny_transformer, kind):
    network = student(tiny_transformer(kind))
    layers = network.encoder_layers()
    assert len(layers) == (2 if kind == "depth_pro" else 4)
    found = [id(p) for layer in layers for p in layer]
    assert sorted(found) == sorted(id(p) for p in network.encoder_parameters())
    names = {id(p): name for name, p in network.named_parameters()}
    assert any("embed" in names[id(p)] for p in layers[0])
    assert not any("embed" in names[id(p)] for p in layers[-1] if kind != "glpn")


def test_the_scale_of_the_picture_that_a_network_sees(tiny_transformer):
    sizes = {kind: student(tiny_transformer(kind)).pictures.size(192, 640) for kind in DEPTH + BACKBONES}
    assert sizes["depth_anything"] == (196, 644) and sizes["dinov2"] == (196, 644)
    assert sizes["dpt"] == (352, 352)  # its tokens are folded into a square
    assert sizes["glpn"] == sizes["zoedepth"] == sizes["swin"] == sizes["convnextv2"] == (192, 640)
    assert sizes["depth_pro"] == (352, 352)


def test_fit_line_finds_the_line_that_the_labels_lie_on(tiny_transformer):
    network = student(tiny_transformer("depth_anything"))
    said = torch.linspace(0, 9, 200)
    assert network.fit_line(said, 0.02 * said + 0.005) == pytest.approx(1, abs=1e-5)
    scale, offset = network.log_scale.detach().exp(), network.offset.detach()
    assert float(scale) == pytest.approx(0.02, rel=1e-4) and float(offset) == pytest.approx(0.005, abs=1e-6)
    # Opposed: the scale alone, so that the mean is right.
    assert network.fit_line(said + 1, 0.1 - 0.01 * said) < -0.99
    assert float(network.offset.detach()) == 0 and bool(network.log_scale.detach().isfinite())


@torch.no_grad()
def test_adapters_start_as_nothing_and_become_part_of_the_weights(tiny_transformer):
    pytest.importorskip("peft", reason="pip install 'stereodistill[lora]'")
    folder, photo = tiny_transformer("depth_anything"), image(56, 112)
    plain, adapted = student(folder), student(folder, lora_rank=2)
    assert torch.equal(plain(photo).disparities[0], adapted(photo).disparities[0])
    trained = {name for name, p in adapted.named_parameters() if p.requires_grad}
    inside = {name for name in trained if name.startswith("network.backbone")}
    assert inside and all("lora_" in name for name in inside)
    assert any(name.startswith("network.head") for name in trained)
    slow = {id(p) for layer in adapted.encoder_layers() for p in layer}
    assert not any(id(p) in slow for name, p in adapted.named_parameters() if name in inside)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.normal_(std=0.1)
    changed = adapted(photo).disparities[0]
    assert not torch.allclose(changed, plain(photo).disparities[0], rtol=1e-3)
    merged = adapted.without_lora()
    assert merged.state_dict().keys() == plain.state_dict().keys() and merged.options["lora_rank"] == 0
    torch.testing.assert_close(merged(photo).disparities[0], changed, rtol=1e-4, atol=1e-4)


def test_what_cannot_be_built_says_so(tiny_transformer):
    options = student(tiny_transformer("depth_anything")).options
    for change, message in (
        ({"config": {"model_type": "no_such"}}, "knows no model_type 'no_such'"),
        ({"config": {"model_type": "resnet"}}, "no depth network for model_type 'resnet'"),
        ({"lora_rank": -1}, "not be negative"),
        ({"deviation": [1.0, 0.0, 1.0]}, "positive deviation"),
        ({"multiple": 0}, "multiple must be positive"),
    ):
        with pytest.raises(UserError, match=message):
            build("hf_depth", **{**options, **change})


def test_an_output_that_is_not_one_map_is_refused(tiny_transformer, monkeypatch):
    network = student(tiny_transformer("depth_anything"))
    shaped = type("Output", (), {"predicted_depth": torch.zeros(1, 2, 56, 56)})
    monkeypatch.setattr(network.network, "forward", lambda **_: shaped)
    with pytest.raises(UserError, match=r"expected one depth map.*\(1, 2, 56, 56\)"):
        network(image(56, 56))


def test_a_broken_torchvision_does_not_matter(tiny_transformer, tmp_path):
    """As installed for another torch: there for whoever asks, and an error for whoever imports it."""
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    (tmp_path / "torchvision-0.28.0.dist-info").mkdir()
    (tmp_path / "torchvision-0.28.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torchvision\nVersion: 0.28.0\n"
    )
    code = (
        "import sys\nfrom stereodistill.weights.transformer import load_transformer\n"
        f"load_transformer('hf:{tiny_transformer('resnet')}')\nassert 'torchvision' not in sys.modules"
    )
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": paths})
