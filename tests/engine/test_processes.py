"""Two processes compute what one does: the promise behind every larger machine."""

import json
import os
import socket
import subprocess
import sys

import pytest

from stereodistill.engine.stages import parse_recipe
from stereodistill.weights import load_weights

SCRIPT = """
import json, sys, torch
torch.set_num_threads(1)
from stereodistill.engine.stages import parse_recipe
from stereodistill.engine.train import train
train(parse_recipe(json.loads(sys.argv[1])), sys.argv[2], device="cpu")
"""


def run(recipe, out, num_processes: int) -> list[float]:
    """Train in processes of their own; the losses of every step."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    processes = []
    for rank in range(num_processes):
        env = dict(os.environ, ACCELERATE_USE_CPU="1", OMP_NUM_THREADS="1")
        if num_processes > 1:
            env |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(num_processes)}
            env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        command = [sys.executable, "-c", SCRIPT, recipe.model_dump_json(), str(out)]
        processes.append(subprocess.Popen(command, env=env, stderr=subprocess.PIPE))
    for process in processes:
        _, stderr = process.communicate(timeout=240)
        assert process.returncode == 0, stderr.decode()[-2000:]
    records = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [record["loss"] for record in records if "loss" in record]


def test_two_processes_give_the_losses_of_one(tiny_recipe, tmp_path):
    """Of a network without batch norms: on CPUs each process normalises its own share."""
    # Adam's first steps divide each gradient by its own size, which would turn rounding noise into full steps.
    recipe = tiny_recipe(steps=4, optimizer={"eps": 1e-2}, model={"name": "recursive_mono", "options": {"base": 4}})
    one, two = run(recipe, tmp_path / "one", 1), run(recipe, tmp_path / "two", 2)
    assert len(one) == 4
    assert two[:2] == pytest.approx(one[:2], rel=1e-5)
    assert two == pytest.approx(one, rel=2e-4)  # rounding grows from step to step


def test_accumulated_gradients_are_those_of_the_whole_batch_up_to_the_norms(tiny_recipe, tmp_path):
    whole = run(tiny_recipe(steps=1, batch_size=4, accumulate=1), tmp_path / "whole", 1)
    parts = run(tiny_recipe(steps=1, batch_size=4, accumulate=2), tmp_path / "parts", 1)
    assert parts == pytest.approx(whole, rel=0.2)  # batch norm sees half the batch at a time


def test_processes_that_keep_their_norms_to_themselves_are_parts_of_an_accumulated_batch(tiny_recipe, tmp_path):
    parts = run(tiny_recipe(steps=1, accumulate=2), tmp_path / "parts", 1)
    apart = run(tiny_recipe(steps=1), tmp_path / "apart", 2)
    assert apart == pytest.approx(parts, rel=1e-5)


def joint_recipe():
    """Both networks of Ye et al. with distillation, the mono network trained alone before; no batch norms."""
    return parse_recipe(
        {
            "stage": "joint",
            "after": "ye2021/mono",
            "model": {"name": "recursive", "options": {"base": 4, "num_recursions": 2}},
            "data": {"source": "synth", "size": [32, 64], "num": 4},
            "augment": {"size": [32, 64]},
            "loss": {"distillation": {"output_weight": 1.0, "feature_weight": 0.1, "long_range_weight": 1.0}},
            "optimizer": {"lr": 1e-3, "eps": 1e-2},
            "loop": {"steps": 3, "batch_size": 4, "seed": 3, "workers": 0, "log_every": 1},
        }
    )


def test_two_processes_train_both_networks_as_one_does(tmp_path):
    """Every loss of the joint stage is a mean over the batch, so halves of it average to the whole."""
    recipe = joint_recipe()
    one, two = run(recipe, tmp_path / "one", 1), run(recipe, tmp_path / "two", 2)
    assert len(one) == 3 and one[0] != one[2]
    assert two == pytest.approx(one, rel=2e-4)
    for folder in ("before/weights", "weights", "stereo_weights"):
        alone, shared = (load_weights(tmp_path / run / folder)[0].state_dict() for run in ("one", "two"))
        assert all(bool(((alone[key] - shared[key]).abs() < 1e-4).all()) for key in alone)
