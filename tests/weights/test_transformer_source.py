"""Reading foreign models: where they lie, what is wrong with them, and whose they are."""

import json
import shutil
from types import SimpleNamespace

import pytest
import torch

from stereodistill.errors import UserError
from stereodistill.weights import WeightsHeader, save_weights
from stereodistill.weights.model_card import LicenceWarning, forbids_commercial_use, licence_of
from stereodistill.weights.transformer import load_transformer, normalisation, output_of, sizes


@pytest.fixture
def model(tiny_transformer, tmp_path):
    """A copy of a small pyramid to spoil."""
    return shutil.copytree(tiny_transformer("resnet"), tmp_path / "model")


def change(file, **values):
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def refused(source, message):
    with pytest.raises(UserError, match=message) as error:
        load_transformer(f"hf:{source}")
    assert "\n" not in str(error.value)


def test_missing_files_are_named(model):
    (model / "preprocessor_config.json").rename(model / "away")
    refused(model, r"no preprocessor_config\.json there: a student needs config\.json")
    (model / "away").rename(model / "preprocessor_config.json")
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    refused(model, r"no model\.safetensors there.*pickled weights .* never loaded")
    refused("no/such/folder", "no such folder, and no id of the Hugging Face hub")


def test_other_networks_are_refused(model, tiny_transformer, tmp_path):
    change(model / "config.json", architectures=["DPTForSemanticSegmentation"], model_type="dpt")
    refused(model, "DPTForSemanticSegmentation is neither a depth model nor a backbone")
    change(model / "config.json", model_type="gpt_of_2031")
    refused(model, "knows no model_type 'gpt_of_2031'")
    (model / "config.json").write_text(json.dumps({"architecture": "resnet18", "num_classes": 10}))
    refused(model, "a model of timm, not of transformers")
    (model / "config.json").write_text("[1]")
    refused(model, "expected a JSON object")
    network = load_transformer(f"hf:{tiny_transformer('resnet')}")
    header = WeightsHeader(architecture=network.name, kind="mono", licence="mit")
    ours = save_weights(tmp_path / "ours", network, header)
    shutil.copy(model / "preprocessor_config.json", ours)
    refused(ours, "weights of this package, not of transformers")


def test_missing_and_misshaped_tensors_are_refused(model):
    from safetensors.torch import load_file, save_file

    tensors = load_file(model / "model.safetensors")
    name = next(key for key in tensors if key.endswith("encoder.stages.2.layers.0.layer.0.convolution.weight"))
    save_file({k: v for k, v in tensors.items() if k != name}, model / "model.safetensors", metadata={"format": "pt"})
    refused(model, r"1 tensors of ResNetBackbone are missing, the first 'encoder\.stages\.2")
    save_file({**tensors, name: torch.zeros(1, 2, 3, 3)}, model / "model.safetensors", metadata={"format": "pt"})
    refused(model, "transformers cannot read it")
    (model / "model.safetensors").write_bytes(b"nothing")
    refused(model, "transformers cannot read it")


def hub_says(monkeypatch, error):
    import huggingface_hub

    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)


def test_what_the_hub_refuses_becomes_one_line_that_says_how_to_go_on(monkeypatch):
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

    answer = SimpleNamespace(headers={}, request=None, status_code=401)
    hub_says(monkeypatch, GatedRepoError("gated", response=answer))
    refused("some/model", r"gated: accept its terms at https://huggingface\.co/some/model and log in.*hf:FOLDER")
    hub_says(monkeypatch, RepositoryNotFoundError("none", response=answer))
    refused("some/model", r"no such model \(or it is private\); or copy config\.json, preprocessor_config\.json")
    hub_says(monkeypatch, LocalEntryNotFoundError("no connection\nlong story"))
    refused("some/model", r"did not give it \(no connection\): try again, or copy .*model\.safetensors.*hf:FOLDER")


def test_the_licence_of_the_source_stays(model, tmp_path):
    network = load_transformer(f"hf:{model}")
    for licence in ("Apache-2.0", "cc0-1.0"):
        header = WeightsHeader(architecture=network.name, kind="mono", licence=licence)
        with pytest.raises(UserError, match=rf"under mit, so its licence is not {licence}"):
            save_weights(tmp_path / "w", network, header)
    assert not (tmp_path / "w").exists()
    header = WeightsHeader(architecture=network.name, kind="mono", licence="mit")
    folder = save_weights(tmp_path / "w", network, header)
    change(folder / "config.json", licence="Apache-2.0")
    from stereodistill.weights import load_weights

    with pytest.raises(UserError, match="under mit, so its licence is not Apache-2.0"):
        load_weights(folder)


@pytest.mark.parametrize(
    ("card", "licence", "is_free"),
    [
        ("---\nlicense: apache-2.0\n---\n", "apache-2.0", True),
        ("---\ntags: [depth]\nlicense: cc-by-nc-4.0\n---\n# text", "cc-by-nc-4.0", False),
        ("---\nlicense: other\nlicense_name: apple-amlr\n---\n", "apple-amlr", False),
        ("---\nlicense: [mit, apache-2.0]\n---\n", "mit, apache-2.0", True),
        ("# no head\nlicense: mit\n", "unknown", True),
        ("---\n: : :\n---\n", "unknown", True),
    ],
)
def test_the_licence_of_a_model_card(tmp_path, card, licence, is_free):
    (tmp_path / "README.md").write_text(card)
    assert licence_of(tmp_path / "README.md") == licence
    assert forbids_commercial_use(licence) is not is_free


@pytest.mark.parametrize(
    ("card", "message"),
    [("---\nlicense: cc-by-nc-4.0\n---\n", "cc-by-nc-4.0 forbids commercial use"), ("", "no licence is stated")],
)
def test_a_licence_that_binds_is_said_before_training(model, card, message):
    (model / "README.md").write_text(card)
    with pytest.warns(LicenceWarning, match=message):
        load_transformer(f"hf:{model}")


def test_normalisation_is_that_of_the_file():
    numbers = {"image_mean": [0.5, 0.25, 0.0], "image_std": [0.5, 0.5, 1.0]}
    assert normalisation(numbers) == {"mean": [0.5, 0.25, 0.0], "deviation": [0.5, 0.5, 1.0]}
    plain = {"mean": [0.0] * 3, "deviation": [1.0] * 3}
    assert normalisation({"do_rescale": True}) == normalisation({**numbers, "do_normalize": False}) == plain
    # Bytes rather than shares of 255: the same picture is 255 times as large.
    assert normalisation({**numbers, "do_rescale": False})["mean"] == [0.5 / 255, 0.25 / 255, 0.0]


@pytest.mark.parametrize(
    ("config", "pictures", "expected", "output"),
    [
        ({"model_type": "depth_anything", "patch_size": 14, "backbone_config": {"patch_size": 14}},
         {"ensure_multiple_of": 14}, (14, False), "inverse"),
        ({"model_type": "depth_anything", "depth_estimation_type": "metric", "backbone_config": {"patch_size": 14}},
         {}, (14, False), "depth"),
        ({"model_type": "dpt", "patch_size": 16}, {"ensure_multiple_of": 1}, (16, True), "inverse"),
        ({"model_type": "dpt", "is_hybrid": True, "patch_size": 16, "backbone_config": {"model_type": "bit"}},
         {}, (16, True), "inverse"),
        ({"model_type": "dpt", "backbone_config": {"model_type": "dinov2", "patch_size": 14}}, {},
         (14, False), "depth"),
        ({"model_type": "dpt", "backbone_config": {"model_type": "swinv2", "patch_size": 4, "depths": [2, 2, 6, 2]}},
         {"ensure_multiple_of": 32}, (32, False), "inverse"),
        ({"model_type": "glpn", "depths": [2, 2]}, {"size_divisor": 32}, (32, False), "depth"),
        ({"model_type": "zoedepth", "backbone_config": {"patch_size": 16}}, {"ensure_multiple_of": 32},
         (32, False), "depth"),
        ({"model_type": "depth_pro", "patch_size": 384, "scaled_images_ratios": [0.25, 0.5, 1]}, {},
         (1536, True), "inverse"),
        ({"model_type": "vitdet", "patch_size": [16, 16]}, {}, (16, False), "inverse"),
    ],
)  # fmt: skip
def test_the_sizes_and_the_meaning_of_released_models(config, pictures, expected, output):
    assert tuple(sizes(config, pictures).values()) == expected
    assert output_of(config) == output
