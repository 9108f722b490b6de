"""Foreign networks in training: two steps change what they should, resuming is exact, the licence goes along."""

import pytest
import torch

from stereodistill.engine.stages import parse_recipe
from stereodistill.engine.start import build_model
from stereodistill.engine.train import train
from stereodistill.errors import UserError
from stereodistill.weights import load_weights, read_header

KINDS = ("depth_anything", "dpt", "glpn", "zoedepth", "dinov2", "convnextv2", "swin", "resnet")


def recipe_of(folder, steps=2, optimizer=None, **model):
    return parse_recipe(
        {
            "stage": "supervised_mono",
            "model": {"name": f"hf:{folder}", **model},
            "data": {"source": "synth", "size": [64, 128], "num": 4},
            "augment": {"size": [64, 128]},
            "optimizer": {"lr": 1e-2, "encoder_lr_ratio": 0.1, "layer_decay": 0.9, **(optimizer or {})},
            "loop": {
                "steps": steps,
                "batch_size": 2,
                "seed": 3,
                "workers": 0,
                "ema_decay": 0.5,
                "log_every": 1,
                "checkpoint_every_s": 0,
            },
        }
    )


@pytest.mark.parametrize("kind", KINDS)
def test_two_steps_train_every_part_and_the_weights_stand_alone(tiny_transformer, kind, tmp_path, monkeypatch):
    folder = tiny_transformer(kind)
    recipe = recipe_of(folder)
    torch.manual_seed(recipe.loop.seed)
    start = build_model(recipe).state_dict()
    weights = train(recipe, tmp_path / "run", device="cpu")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    network, header = load_weights(weights)
    end = network.state_dict()
    parts = ("log_scale", "network.") if network.name == "hf_depth" else ("encoder.", "decoder.", "heads.", "stem.")
    for part in parts:
        assert any(not torch.equal(start[k], end[k]) for k in end if k.startswith(part)), part
    assert header.licence == "mit" and header.options["source"] == {"id": str(folder), "licence": "mit"}
    assert header.recipe["model"]["name"] == f"hf:{folder}" and header.input_size == (64, 128)


class Stopped(Exception):
    pass


@pytest.mark.parametrize(
    ("kind", "options"),
    [("zoedepth", {}), ("swin", {}), ("depth_anything", {"lora_rank": 2})],  # the first two draw drop paths
)
def test_a_stopped_run_goes_on_to_the_bit(tiny_transformer, kind, options, tmp_path):
    if options:
        pytest.importorskip("peft", reason="pip install 'stereodistill[lora]'")
    recipe = recipe_of(tiny_transformer(kind), steps=3, options=options)

    def stop(step, *_):
        if step == 2:
            raise Stopped

    whole = load_weights(train(recipe, tmp_path / "whole", device="cpu"))[0].state_dict()
    with pytest.raises(Stopped):
        train(recipe, tmp_path / "cut", device="cpu", on_step=stop)
    resumed = load_weights(train(recipe, tmp_path / "cut", device="cpu", resume=True))[0].state_dict()
    assert all(torch.equal(whole[k], resumed[k]) for k in whole)


def test_the_first_line_is_that_of_the_labels(tiny_transformer, tmp_path):
    """With a vanishing rate the weights hold what calibration found: the mean disparity of the scenes."""
    recipe = recipe_of(tiny_transformer("depth_anything"), steps=1, optimizer={"lr": 1e-12})
    network, _ = load_weights(train(recipe, tmp_path / "run", device="cpu"))
    from stereodistill.engine.samples import open_samples
    from stereodistill.types import collate

    batch = collate([open_samples(recipe.data, recipe.loop.seed).load(i) for i in range(4)])
    with torch.no_grad():
        said = network(batch.left.image).disparities[0]
    weight = batch.left.valid / (batch.left.disparity + batch.left.disparity[batch.left.valid].mean())
    ours, theirs = ((weight * t).sum() / weight.sum() for t in (said, batch.left.disparity))
    assert float(ours) == pytest.approx(float(theirs), rel=0.15)


def test_a_frozen_encoder_and_adapters_hold_the_encoders_own_weights_still(tiny_transformer, tmp_path):
    pytest.importorskip("peft", reason="pip install 'stereodistill[lora]'")
    folder = tiny_transformer("dinov2")
    torch.manual_seed(3)
    start = build_model(recipe_of(folder)).state_dict()
    frozen = recipe_of(folder, freeze_encoder_epochs=1)
    end = load_weights(train(frozen, tmp_path / "frozen", device="cpu"))[0].state_dict()
    assert all(torch.equal(end[k], start[k]) for k in end if k.startswith("encoder."))
    adapted = train(recipe_of(folder, options={"lora_rank": 2}), tmp_path / "lora", device="cpu")
    end = load_weights(adapted)[0].state_dict()
    changed = {k for k in end if k.startswith("encoder.") and not torch.equal(end[k], start[k])}
    assert changed and all(end[k].dim() == 2 for k in changed)  # linear weights, by their adapters alone
    assert read_header(adapted).options["lora_rank"] == 0


def test_a_missing_extra_is_named(tiny_transformer, monkeypatch):
    import importlib

    module = importlib.import_module("stereodistill.models.hf_mono.library")
    real = module.import_module

    def without(name):
        if name.startswith("transformers"):
            raise ImportError(name)
        return real(name)

    monkeypatch.setattr(module, "import_module", without)
    with pytest.raises(UserError, match=r"pip install 'stereodistill\[hf\]'"):
        build_model(recipe_of(tiny_transformer("resnet")))
