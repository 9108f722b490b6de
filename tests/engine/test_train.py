import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from stereodistill.engine.train import train
from stereodistill.errors import UserError
from stereodistill.weights import load_weights


def losses(out: Path) -> list[float]:
    records = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [r["loss"] for r in records if "loss" in r]


def tensors(weights: Path) -> dict[str, torch.Tensor]:
    return load_weights(weights)[0].state_dict()


def test_training_learns_logs_and_writes_loadable_weights(tiny_recipe, tmp_path):
    weights = train(tiny_recipe(steps=25, batch_size=2), tmp_path, device="cpu")
    values = losses(tmp_path)
    assert len(values) == 25 and sum(values[-5:]) < 0.8 * sum(values[:5])
    model, header = load_weights(weights)
    assert model.name == "lite_mono" and header.input_size == (64, 128)
    assert header.recipe["loop"]["steps"] == 25


def test_two_runs_are_the_same_to_the_bit_with_any_number_of_workers(tiny_recipe, tmp_path):
    first = train(tiny_recipe(), tmp_path / "a", device="cpu")
    second = train(tiny_recipe(workers=1), tmp_path / "b", device="cpu")
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    a, b = tensors(first), tensors(second)
    assert all(torch.equal(a[k], b[k]) for k in a)


class Killed(Exception):
    pass


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_stopped_run_resumes_to_the_bit(tiny_recipe, tmp_path, optimizer):
    recipe = tiny_recipe(checkpoint_every_s=0, optimizer={"name": optimizer})
    whole = tensors(train(recipe, tmp_path / "whole", device="cpu"))

    def stop(step, *_):
        if step == 4:
            raise Killed

    with pytest.raises(Killed):
        train(recipe, tmp_path / "cut", device="cpu", on_step=stop)
    resumed = tensors(train(recipe, tmp_path / "cut", device="cpu", resume=True))
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    assert all(torch.equal(whole[k], resumed[k]) for k in whole)


SCRIPT = """
import sys, torch
torch.set_num_threads(1)
from stereodistill.engine.stages import parse_recipe
from stereodistill.engine.train import train
import json
train(parse_recipe(json.loads(sys.argv[1])), sys.argv[2], device="cpu", resume=True)
"""


def start(recipe, out: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, recipe.model_dump_json(), str(out)])


def test_kill_9_at_any_moment_resumes_to_the_bit(tiny_recipe, tmp_path):
    recipe = tiny_recipe(steps=12, batch_size=2, checkpoint_every_s=0)
    assert start(recipe, tmp_path / "whole").wait() == 0
    log = tmp_path / "cut" / "log.jsonl"
    for wanted in (2, 7):
        process = start(recipe, tmp_path / "cut")
        while process.poll() is None and not (log.exists() and log.read_text().count("\n") >= wanted):
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert start(recipe, tmp_path / "cut").wait() == 0
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    whole, cut = tensors(tmp_path / "whole" / "weights"), tensors(tmp_path / "cut" / "weights")
    assert all(torch.equal(whole[k], cut[k]) for k in whole)


def test_a_folder_with_a_run_is_not_overwritten(tiny_recipe, tmp_path):
    train(tiny_recipe(steps=1), tmp_path, device="cpu")
    with pytest.raises(UserError, match="--resume"):
        train(tiny_recipe(steps=1), tmp_path, device="cpu")
    with pytest.raises(UserError, match="another recipe"):
        train(tiny_recipe(steps=2), tmp_path, device="cpu", resume=True)


def test_a_number_that_is_not_finite_names_the_batch_and_keeps_the_checkpoint(tiny_recipe, tmp_path):
    recipe = tiny_recipe(steps=3, checkpoint_every_s=0)

    class Poisoned:
        def __init__(self, samples):
            self.samples = samples

        def __len__(self):
            return len(self.samples)

        def load(self, index):
            pair = self.samples.load(index)
            if index == 2:
                pair.left.image.fill_(float("nan"))
            return pair

    from stereodistill.engine.samples import open_samples

    with pytest.raises(UserError, match=r"not a finite number at step \d.*flying_3_000002"):
        train(recipe, tmp_path, device="cpu", samples=Poisoned(open_samples(recipe.data, 3)))


def test_stages_refuse_networks_of_the_other_kind(tiny_recipe, tmp_path):
    recipe = tiny_recipe()
    wrong = recipe.model_copy(update={"model": recipe.model.model_copy(update={"name": "lite_stereo"})})
    with pytest.raises(UserError, match="mono network"):
        train(wrong, tmp_path, device="cpu")


def test_unsupervised_fine_tuning_moves_a_stereo_network(tmp_path):
    from stereodistill import models
    from stereodistill.engine.stages import parse_recipe
    from stereodistill.weights import WeightsHeader, save_weights

    torch.manual_seed(0)
    options = {"max_disparity_px": 32, "width": 32}
    start_model = models.build("lite_stereo", **options)
    with torch.no_grad():  # believe that everything is visible, or there is nothing to compare
        start_model.refinement.head.bias[1] = 5.0
    header = WeightsHeader(architecture="lite_stereo", kind="stereo")
    save_weights(tmp_path / "start", start_model, header)
    recipe = parse_recipe(
        {
            "stage": "unsupervised_stereo",
            "model": {"name": "lite_stereo", "options": options, "weights": str(tmp_path / "start")},
            "data": {"source": "synth", "size": [64, 128]},
            "augment": {"size": [64, 96]},
            "loop": {"steps": 2, "batch_size": 2, "workers": 0, "freeze_norms": True, "log_every": 1},
        }
    )
    after = tensors(train(recipe, tmp_path / "run", device="cpu"))
    before = tensors(tmp_path / "start")
    norms = [k for k in before if "running" in k]
    assert norms and all(torch.equal(before[k], after[k]) for k in norms)
    assert any(not torch.equal(before[k], after[k]) for k in before)


def test_stages_of_different_precision_follow_each_other_in_one_process(tiny_recipe, tmp_path):
    for precision in ("f32", "bf16", "f32"):
        train(tiny_recipe(steps=1, batch_size=2, precision=precision), tmp_path / "run", device="cpu")
        (tmp_path / "run").rename(tmp_path / f"{precision}{len(list(tmp_path.iterdir()))}")
    f32 = [losses(path) for path in sorted(tmp_path.glob("f32*"))]
    bf16 = losses(next(tmp_path.glob("bf16*")))
    assert f32[0] == f32[1] != bf16
    assert bf16 == pytest.approx(f32[0], rel=0.05)


def test_a_step_that_ruins_the_weights_is_not_saved(tiny_recipe, tmp_path):
    """The gradient is finite, the weights after it are not: what is said to be saved is what was saved before."""

    def saved() -> list[int]:
        return sorted(int(path.name[5:]) for path in (tmp_path / "checkpoints").iterdir())

    recipe = tiny_recipe(checkpoint_every_s=0, optimizer={"lr": 3e38, "warmup_steps": 0, "name": "adamw"})
    with pytest.raises(UserError, match="not a finite number at step") as refused:
        train(recipe, tmp_path, device="cpu")
    steps = saved() if (tmp_path / "checkpoints").exists() else []
    for step in steps:
        state = load_file(tmp_path / "checkpoints" / f"step_{step:08d}" / "state.safetensors")
        assert all(bool(t.isfinite().all()) for name, t in state.items() if name.startswith("model/"))
    said = f"the newest checkpoint is of step {steps[-1]}" if steps else "no checkpoint was saved"
    assert str(refused.value).count(said) == 1
