"""Importing the checkpoints released in 2018, on files of their shape made here: thin, but with every name."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stereodistill.errors import UserError
from stereodistill.models import build
from stereodistill.predict import MonoPredictor, from_pretrained, load_teacher
from stereodistill.weights import guo2018, import_released, load_weights

SHARE = 0.1
STEREO_NAMES = [
    "conv1.0", "conv2.0", "conv_redir.0", *(f"conv{i}.{j}" for i in (3, 4, 5, 6) for j in (0, 2)),
    *(f"{kind}{i}" for kind in ("upconv", "iconv") for i in range(6)),
    *(f"{kind}{i}" for kind in ("disp", "occmask") for i in range(4)),
]  # fmt: skip
MONO_NAMES = [
    *(f"conv{i}.{j}" for i in (1, 2) for j in (0, 2)), *(f"conv{i}.{j}" for i in (3, 4, 5) for j in (0, 2, 4)),
    *(f"{kind}{i}.0" for kind in ("upconv", "iconv") for i in range(5)), *(f"disp{i}" for i in range(4)),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _thin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The importer builds the published networks; a tenth of their channels tests the same code."""
    monkeypatch.setattr(guo2018, "build", lambda name, **options: build(name, channel_share=SHARE, **options))


def table_of(names: list[str], network: torch.nn.Module) -> dict[str, Tensor]:
    """Random tensors under the released names, shaped as our thin network's."""
    g = torch.Generator().manual_seed(0)
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    table = {}
    for name in names:
        for kind in ("weight", "bias"):
            shape = shapes[f"{name.replace('occmask', 'visible')}.{kind}"]
            table[f"module.model.{name}.{kind}"] = 0.2 * torch.randn(shape, generator=g)
    return table


def written(path: Path, table: dict[str, Tensor]) -> Path:
    state = {"state": {0: {"step": 5}}, "param_groups": [{"lr": 1e-4, "params": [0]}]}
    torch.save({"epoch": 49, "model": table, "optimizer": state}, path)
    return path


@pytest.fixture
def stereo_table() -> dict[str, Tensor]:
    return table_of(STEREO_NAMES, build("dispnet", channel_share=SHARE))


@pytest.fixture
def mono_table() -> dict[str, Tensor]:
    return table_of(MONO_NAMES, build("vgg_mono", channel_share=SHARE))


def test_the_names_are_all_there_are(stereo_table, mono_table):
    for table, name in ((stereo_table, "dispnet"), (mono_table, "vgg_mono")):
        assert len(table) == len(build(name, channel_share=SHARE).state_dict())


def test_a_stereo_network_sees_bgr_and_displacements_from_the_largest(stereo_table, tmp_path):
    """The first layers, as the released code computes them, against ours after the import."""
    import_released(written(tmp_path / "stereo.pth.tar", stereo_table), tmp_path / "weights")
    network, header = load_weights(tmp_path / "weights")
    assert (header.architecture, header.kind, header.input_size) == ("dispnet", "stereo", (384, 1280))
    theirs = {name.removeprefix("module.model."): tensor for name, tensor in stereo_table.items()}

    def conv(x: Tensor, name: str, stride: int = 2) -> Tensor:
        weight = theirs[f"{name}.weight"]
        return F.leaky_relu(F.conv2d(x, weight, theirs[f"{name}.bias"], stride, weight.shape[-1] // 2), 0.1)

    left, right = torch.rand(2, 1, 3, 64, 256)
    features = [conv(conv(image[:, [2, 1, 0]], "conv1.0"), "conv2.0") for image in (left, right)]
    cost = torch.stack([(features[0] * F.pad(features[1], (d, 0))[..., :64]).mean(1) for d in range(40, -1, -1)], 1)
    joined = torch.cat([conv(features[0], "conv_redir.0", 1), F.leaky_relu(cost, 0.1)], 1)
    expected = conv(conv(joined, "conv3.0"), "conv3.2", 1)
    seen = {}
    network.conv3.register_forward_hook(lambda module, inputs, output: seen.update(conv3=output))
    with torch.inference_mode():
        answer = network(left, right)
    torch.testing.assert_close(seen["conv3"], expected, rtol=1e-3, atol=1e-4)
    assert torch.equal(network.visible2.weight, theirs["occmask2.weight"])
    assert len(answer.visible_logits) == 4
    assert load_teacher(tmp_path / "weights", "cpu").match(*2 * [torch.rand(20, 30, 3).numpy()])[0].shape == (20, 30)


def test_a_mono_network_keeps_bgr_and_its_training_size(mono_table, tmp_path):
    import_released(written(tmp_path / "mono.pth.tar", mono_table), tmp_path / "weights")
    network, header = load_weights(tmp_path / "weights")
    assert (header.architecture, header.input_size) == ("vgg_mono", (256, 512))
    assert header.options["colour_order"] == "bgr"
    assert torch.equal(network.conv5[4].weight, mono_table["module.model.conv5.4.weight"])
    assert torch.equal(network.iconv0[0].weight, mono_table["module.model.iconv0.0.weight"])
    assert isinstance(from_pretrained(tmp_path / "weights", "cpu"), MonoPredictor)


def drop(table: dict[str, Tensor]) -> None:
    del table["module.model.iconv3.weight"]


def add(table: dict[str, Tensor]) -> None:
    table["module.model.conv7.0.weight"] = torch.zeros(1)


def bend(table: dict[str, Tensor]) -> None:
    table["module.model.conv2.0.weight"] = torch.zeros(1, 2, 3, 3)


def rename(table: dict[str, Tensor]) -> None:
    table["model.disp0.bias"] = table.pop("module.model.disp0.bias")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (drop, r"not a released stereo network.*62 tensors expected; 1 missing \(first 'iconv3.weight'\)"),
        (add, r"1 surplus \(first 'conv7.0.weight'\)"),
        (bend, r"1 of another shape \(first 'conv2.0.weight'\): found \(1, 2, 3, 3\), expected \("),
        (rename, r"begin with 'module.model.', found 'model.disp0.bias'"),
        (dict.clear, r"expected a checkpoint \{epoch, model, optimizer\}"),
    ],
)
def test_anything_else_is_one_clear_line_and_nothing_is_written(stereo_table, tmp_path, spoil, message):
    spoil(stereo_table)
    with pytest.raises(UserError, match=message) as caught:
        import_released(written(tmp_path / "bad.pth", stereo_table), tmp_path / "weights")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "weights").exists()


class Evil:
    def __reduce__(self):
        return print, ("this code ran",)


def test_a_file_that_wants_to_run_code_is_refused(tmp_path, capsys):
    path = tmp_path / "evil.pth"
    torch.save({"model": Evil()}, path)
    with pytest.raises(UserError, match="more than tensors"):
        import_released(path, tmp_path / "weights")
    path.write_bytes(pickle.dumps({"model": Evil()}, protocol=2))
    with pytest.raises(UserError, match=r"evil.pth: "):
        import_released(path, tmp_path / "weights")
    assert "this code ran" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"not weights at all", None])
def test_absent_and_damaged_files_are_named(tmp_path, content):
    path = tmp_path / "file.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="file.pth"):
        import_released(path, tmp_path / "weights")
