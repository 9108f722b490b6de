"""Weights: what is written comes back, what is wrong is refused in one line, nothing is ever executed."""

import json
import pickle
import re
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from stereodistill import weights
from stereodistill.errors import UserError
from stereodistill.models import build
from stereodistill.weights import (
    CONFIG,
    TENSORS,
    WeightsHeader,
    load_weights,
    locate,
    read_header,
    save_weights,
    weights_hash,
)

SMALL = {"channels": [8, 8, 12, 12, 16], "decoder_channels": [8, 8, 8, 8], "num_blocks": [1, 1, 1, 1]}
HEADER = WeightsHeader(
    architecture="lite_mono",
    kind="mono",
    input_size=(96, 320),
    rig={"focal_px": 721.5, "baseline_m": 0.54, "width": 1242, "doffs_px": 0.0},
    recipe={"stage": "distill", "epochs": 3},
    metrics={"abs_rel": 0.1},
    licence="CC-BY-4.0",
    teacher_hash="abc",
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build("lite_mono", **SMALL).eval()


@pytest.fixture
def folder(tmp_path, model) -> Path:
    return save_weights(tmp_path / "run" / "weights", model, HEADER)


def _edit_config(folder: Path, **changes) -> None:
    """Change (or with None remove) fields of config.json."""
    values = json.loads((folder / CONFIG).read_text()) | changes
    (folder / CONFIG).write_text(json.dumps({key: value for key, value in values.items() if value is not None}))


def _refused(source) -> str:
    with pytest.raises(UserError) as caught:
        load_weights(source)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_round_trip_is_exact(folder, model):
    again, header = load_weights(folder)
    assert not again.training
    for key, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], value)
    assert header.model_copy(update={"version": ""}) == HEADER.model_copy(update={"options": SMALL})
    image = torch.rand(1, 3, 40, 56)
    assert torch.equal(model(image).disparities[0], again(image).disparities[0])


def test_half_is_half_as_large_and_close(tmp_path, model, folder):
    half = save_weights(tmp_path / "half", model, HEADER, half=True)
    assert (half / TENSORS).stat().st_size < 0.6 * (folder / TENSORS).stat().st_size
    again, _ = load_weights(half)
    for key, value in model.state_dict().items():
        assert again.state_dict()[key].dtype == value.dtype
        torch.testing.assert_close(again.state_dict()[key], value, rtol=1e-3, atol=1e-6)


def test_channels_last_networks_are_saved_alike(tmp_path, model, folder):
    other = save_weights(tmp_path / "other", model.to(memory_format=torch.channels_last), HEADER)
    assert weights_hash(other) == weights_hash(folder)


def test_the_tensor_file_alone_is_enough(folder, tmp_path):
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes((folder / TENSORS).read_bytes())
    assert load_weights(alone)[1] == load_weights(folder)[1] == read_header(folder)


def test_hash_follows_tensors_and_architecture_but_not_notes(tmp_path, model, folder):
    before = weights_hash(folder)
    _edit_config(folder, notes="measured again")
    assert weights_hash(folder) == before
    with torch.no_grad():
        model.heads[0].offset.add_(1e-3)
    assert weights_hash(save_weights(tmp_path / "other", model, HEADER)) != before


class _Bomb:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.ckpt", "pytorch_model.bin", TENSORS])
def test_a_hostile_pickle_is_never_executed(tmp_path, folder, name):
    mark = tmp_path / "executed"
    (folder / name).write_bytes(pickle.dumps(_Bomb(mark)))
    assert "never loaded" in _refused(folder / name)
    if name == TENSORS:
        _refused(folder)
    assert not mark.exists()


def test_a_torch_zip_is_never_executed(tmp_path, folder):
    mark = tmp_path / "executed"
    with zipfile.ZipFile(folder / TENSORS, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(_Bomb(mark)))
    assert "never loaded" in _refused(folder)
    assert not mark.exists()


def test_a_folder_with_only_a_pickle_says_so(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02.")
    assert "pytorch_model.bin is a pickle" in _refused(tmp_path)


@pytest.mark.parametrize("keep", [0, 5, 100, 0.5, 0.999])
def test_truncated_files_are_refused(folder, keep):
    data = (folder / TENSORS).read_bytes()
    (folder / TENSORS).write_bytes(data[: keep if isinstance(keep, int) else int(len(data) * keep)])
    assert "not a whole safetensors file" in _refused(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": None}, "architecture: Field required"),
        ({"architecture": "resnet"}, "unknown network 'resnet'"),
        ({"architecture": "lite_stereo"}, "kind is 'mono', but lite_stereo is a stereo network"),
        ({"kind": None}, "kind: Field required"),
        ({"format": 99}, "format 99 is newer"),
        ({"format": "x"}, "format 'x' is newer"),
        ({"depth": 3}, "no option 'depth'"),
        ({"num_blocks": [1, 1]}, "4 num_blocks"),
        ({"num_blocks": [1, 1, 1, -1]}, "not negative"),
        ({"num_blocks": [2, 1, 1, 1]}, "tensors missing"),
        ({"channels": [8, 8, 12, 12, 32]}, r"expected torch.float32 \(32"),
        ({"channels": [8, 8, 12, 12, 10**6]}, r"expected torch.float32 \(1000000"),
        ({"input_size": [1, 2, 3]}, "input_size"),
        ({"rig": {"focal_px": -5, "baseline_m": 0.5, "width": 100}}, "rig"),
        ({"rig": {"focal_px": 5}}, "rig"),
        ({"input_size": [0, 100]}, "input_size"),
    ],
)
def test_damaged_headers_are_refused(folder, changes, message):
    _edit_config(folder, **changes)
    assert re.search(message, _refused(folder))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"lite_mono"', "[" * 100_000, "\x00\xff"])
def test_headers_that_are_no_object_are_refused(folder, text):
    (folder / CONFIG).write_text(text)
    assert CONFIG in _refused(folder)


def _edit_tensors(folder: Path, edit) -> None:
    tensors = load_file(folder / TENSORS)
    edit(tensors)
    save_file(tensors, folder / TENSORS)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda t: t.pop("heads.0.offset"), "1 tensors missing, first 'heads.0.offset'"),
        (lambda t: t.update(more=torch.zeros(1)), "1 tensors too many, first 'more'"),
        (lambda t: t.update({"heads.0.offset": torch.zeros(2)}), r"\(2,\), expected torch.float32 \(\)"),
        (lambda t: t.update({"heads.0.offset": torch.tensor(1)}), "int64"),
        (lambda t: t.update({"heads.0.offset": torch.tensor(float("nan"))}), "NaN"),
        (lambda t: t.update({"heads.0.offset": torch.tensor(float("inf"))}), "infinite"),
    ],
)
def test_wrong_tensors_are_refused(folder, edit, message):
    _edit_tensors(folder, edit)
    assert re.search(message, _refused(folder))


def test_missing_config_is_refused_for_a_folder_and_for_a_bare_file(folder):
    _edit_tensors(folder, lambda tensors: None)  # drops the metadata
    (folder / CONFIG).unlink()
    assert CONFIG in _refused(folder)
    assert "no header" in _refused(folder / TENSORS)


def test_weights_that_are_not_finite_are_not_saved(tmp_path, model):
    with torch.no_grad():
        model.heads[0].offset.fill_(1e6)
    save_weights(tmp_path / "full", model, HEADER)
    with pytest.raises(UserError, match="infinite"):
        save_weights(tmp_path / "half", model, HEADER, half=True)
    assert not (tmp_path / "half").exists()


def test_nothing_by_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "no weights 'nothing'" in _refused("nothing")
    assert "no weights 'runs/mine/weights'" in _refused("runs/mine/weights")


def test_hub_id_is_asked_only_when_nothing_lies_there(folder, monkeypatch):
    asked = []

    def snapshot(repo_id, allow_patterns):
        asked.append((repo_id, tuple(allow_patterns)))
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert load_weights("somebody/street-depth")[1].input_size == (96, 320)
    assert asked == [("somebody/street-depth", (TENSORS, CONFIG))]
    monkeypatch.chdir(folder.parent.parent)
    load_weights("run/weights")
    assert len(asked) == 1


def test_unreachable_hub_is_one_clear_line(tmp_path, monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("Cannot reach the server\nlong story")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    message = _refused("somebody/street-depth")
    assert "no folder 'somebody/street-depth' here" in message and "network connection" in message


def test_push_to_hub_uploads_weights_and_card(folder, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(folder, tmp_path / "weights"))
    for name in ("README.md", "street.jpg", "diary.txt"):
        (folder / name).write_text("kept beside the weights")
    calls = []

    class Api:
        def __init__(self, token):
            calls.append(("token", token))

        def create_repo(self, repo_id, private, exist_ok):
            calls.append(("create", repo_id, private))

        def upload_folder(self, repo_id, folder_path, allow_patterns):
            files = {p.name for p in Path(folder_path).iterdir() if any(p.match(pattern) for pattern in allow_patterns)}
            calls.append(("upload", repo_id, files))

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    address = weights.push_to_hub(folder, "somebody/street-depth", private=True, token="secret")
    assert address == "https://huggingface.co/somebody/street-depth"
    assert calls[1:] == [
        ("create", "somebody/street-depth", True),
        ("upload", "somebody/street-depth", {TENSORS, CONFIG, "README.md", "street.jpg"}),
    ]


def test_the_hub_mixin_reads_the_folder(folder, model):
    """The pair of files is what `PyTorchModelHubMixin` expects: options at the top level of config.json."""
    from huggingface_hub import PyTorchModelHubMixin

    from stereodistill.models.lite_mono import LiteMono

    class FromHub(LiteMono, PyTorchModelHubMixin):
        pass

    again = FromHub.from_pretrained(str(folder))
    assert again.options == SMALL
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in model.state_dict().items())


def test_metrics_that_are_not_numbers_become_null(tmp_path, model):
    header = HEADER.model_copy(update={"metrics": {"abs_rel": float("nan"), "per": [float("inf"), 1.0]}})
    assert read_header(save_weights(tmp_path, model, header)).metrics == {"abs_rel": None, "per": [None, 1.0]}


def test_catalogue_reads_what_is_shipped(tmp_path, model, monkeypatch):
    monkeypatch.setattr(locate, "shipped_root", lambda: tmp_path)
    assert weights.catalogue() == {}
    save_weights(tmp_path / "street", model, HEADER)
    assert weights.catalogue()["street"].licence == "CC-BY-4.0"
    assert load_weights("street")[1].architecture == "lite_mono"


def test_everything_shipped_loads_and_is_small():
    for name in weights.catalogue():
        load_weights(name)
        assert (locate.shipped_root() / name / TENSORS).stat().st_size <= 12e6


def test_saved_files_can_be_read_like_any_other(tmp_path):
    (tmp_path / "plain").touch()
    folder = save_weights(tmp_path / "w", build("lite_mono"), WeightsHeader(architecture="lite_mono", kind="mono"))
    expected = (tmp_path / "plain").stat().st_mode
    assert [(folder / name).stat().st_mode for name in ("model.safetensors", "config.json")] == [expected] * 2


def test_the_same_weights_are_the_same_bytes(tmp_path):
    """The library that writes them shuffles the metadata anew each time."""
    torch.manual_seed(0)
    network, header = build("recursive_mono", base=4), WeightsHeader(architecture="recursive_mono", kind="mono")
    files = [save_weights(tmp_path / str(number), network, header) / "model.safetensors" for number in range(8)]
    assert len({file.read_bytes() for file in files}) == 1
    loaded, _ = load_weights(tmp_path / "0")
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), loaded.state_dict().values(), strict=True)
    )
