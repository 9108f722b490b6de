"""The frozen encoder: it holds still for the first epoch, then learns; resuming does not change that."""

import pytest
import torch

from stereodistill.engine.stages import parse_recipe
from stereodistill.engine.start import build_model
from stereodistill.engine.train import train
from stereodistill.errors import UserError
from stereodistill.models import build
from stereodistill.weights import load_weights

SMALL = {"channel_share": 0.1}


def recipe_of(steps: int, **model):
    return parse_recipe(
        {
            "stage": "supervised_mono",
            "model": {"name": "vgg_mono", "options": SMALL, **model},
            "data": {"source": "synth", "size": [64, 128], "num": 4},
            "augment": {"size": [64, 128]},
            "loop": {"steps": steps, "batch_size": 2, "seed": 3, "workers": 0, "checkpoint_every_s": 0},
        }
    )


def parts(weights) -> tuple[dict, dict]:
    """Tensors of the encoder and of the decoder."""
    state = load_weights(weights)[0].state_dict()
    encoder = {k: v for k, v in state.items() if k.startswith("conv")}
    return encoder, {k: v for k, v in state.items() if k not in encoder}


def start_of(recipe) -> dict:
    torch.manual_seed(recipe.loop.seed)
    return build_model(recipe).state_dict()


def test_the_encoder_waits_one_epoch_of_two_steps(tmp_path):
    recipe = recipe_of(2, freeze_encoder_epochs=1)
    start = start_of(recipe)
    encoder, decoder = parts(train(recipe, tmp_path / "one", device="cpu"))
    assert all(torch.equal(v, start[k]) for k, v in encoder.items())
    assert any(not torch.equal(v, start[k]) for k, v in decoder.items())
    encoder, _ = parts(train(recipe_of(3, freeze_encoder_epochs=1), tmp_path / "more", device="cpu"))
    assert all(not torch.equal(v, start[k]) for k, v in encoder.items() if k.endswith("weight"))


class Stopped(Exception):
    pass


@pytest.mark.parametrize("at", [1, 3])
def test_a_run_stopped_before_or_after_the_thaw_resumes_to_the_bit(tmp_path, at):
    recipe = recipe_of(4, freeze_encoder_epochs=1).model_copy()
    recipe = recipe.model_copy(update={"loop": recipe.loop.model_copy(update={"log_every": 1})})

    def stop(step, *_):
        if step == at + 1:
            raise Stopped

    whole = load_weights(train(recipe, tmp_path / "whole", device="cpu"))[0].state_dict()
    with pytest.raises(Stopped):
        train(recipe, tmp_path / "cut", device="cpu", on_step=stop)
    resumed = load_weights(train(recipe, tmp_path / "cut", device="cpu", resume=True))[0].state_dict()
    assert all(torch.equal(whole[k], resumed[k]) for k in whole)


def test_training_starts_from_the_imagenet_file(tmp_path):
    network = build("vgg_mono", **SMALL)
    table = {theirs: network.state_dict()[ours] for ours, theirs in network.encoder_names().items()}
    torch.save(table, tmp_path / "vgg16.pth")
    recipe = recipe_of(1, encoder_weights=str(tmp_path / "vgg16.pth"), freeze_encoder_epochs=1)
    encoder, _ = parts(train(recipe, tmp_path / "run", device="cpu"))
    assert all(torch.equal(encoder[ours], table[theirs]) for ours, theirs in network.encoder_names().items())


def test_what_makes_no_sense_is_refused(tmp_path, tiny_recipe):
    with pytest.raises(UserError, match="leave out model.encoder_weights"):
        recipe_of(1, encoder_weights="a.pth", weights="b")
    recipe = tiny_recipe()
    frozen = recipe.model_copy(update={"model": recipe.model.model_copy(update={"freeze_encoder_epochs": 1.0})})
    with pytest.raises(UserError, match="lite_mono has no encoder to freeze"):
        train(frozen, tmp_path / "lite", device="cpu")
    endless = recipe_of(1, freeze_encoder_epochs=1)
    endless = endless.model_copy(update={"data": endless.data.model_copy(update={"num": None})})
    with pytest.raises(UserError, match="data.num"):
        train(endless, tmp_path / "endless", device="cpu")
