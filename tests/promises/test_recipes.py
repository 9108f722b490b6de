"""Every shipped recipe is understood and trains two steps, on procedural data and small images."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from stereodistill.config import read_recipe, recipe_names
from stereodistill.data import DATASETS
from stereodistill.engine.stages import load_recipe
from stereodistill.labels.make import label
from stereodistill.models import build
from stereodistill.weights import WeightsHeader, load_weights, save_weights

SHORT = ("loop.steps=2", "loop.epochs=null", "loop.batch_size=2", "loop.accumulate=1", "loop.workers=0",
         "loop.precision=f32", "augment.size=[64,128]")  # fmt: skip


@pytest.fixture(scope="module")
def labels(rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SGBM's labels of the rendered pairs."""
    folder = tmp_path_factory.mktemp("recipes") / "labels"
    label(rendered, "sgbm", folder)
    return folder


# The published networks are large: few channels train as well as many.
FEW = {
    "dispnet": {"channel_share": 0.1},
    "psmnet": {"channel_share": 0.1, "max_disparity_px": 32},
    "vgg_mono": {"channel_share": 0.1},
    "recursive_mono": {"base": 4},
}


@pytest.fixture(scope="module")
def starts(stereo_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Architecture -> untrained weights that a recipe can start from."""
    folder, found = tmp_path_factory.mktemp("starts"), {"lite_stereo": stereo_weights}
    for name, options in FEW.items():
        network = build(name, **options)
        header = WeightsHeader(architecture=name, kind=network.kind)
        found[name] = save_weights(folder / name, network, header)
    return found


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like torchvision's VGG-16, as thin as the network under test."""
    path = tmp_path_factory.mktemp("imagenet") / "vgg16.pth"
    network = build("vgg_mono", **FEW["vgg_mono"])
    state = network.state_dict()
    torch.save({theirs: state[ours].clone() for ours, theirs in network.encoder_names().items()}, path)
    return path


@pytest.fixture(scope="module")
def foreign(tiny_transformer) -> dict[str, str]:
    """Recipe -> a small model of transformers that it can train."""
    return {f"fit_hf_{task}": f"hf:{tiny_transformer(kind)}" for task, kind in
            (("depth", "depth_anything"), ("backbone", "convnextv2"))}  # fmt: skip


def _small(recipe: dict[str, Any], rendered: Path, labels: Path, starts: dict[str, Path], imagenet: Path) -> list[str]:
    """Overrides that make any recipe a matter of seconds, without leaving out what it trains on."""
    data = recipe.get("data", {})
    if data.get("source") == "pairs":
        small = [f"data.path={rendered}", *([f"data.labels={labels}"] if "labels" in data else [])]
    else:
        reuse = ", ".join(f"{world}: 2" for world in data.get("reuse", {}))
        small = ["data.size=[64,128]", "data.sizes={}", f"data.reuse={{{reuse}}}"]
    model = recipe["model"]
    small += [f"model.options.{key}={value}" for key, value in FEW.get(model["name"], {}).items()]
    small += [f"model.weights={starts[model['name']]}"] if "weights" in model else []
    small += [f"model.encoder_weights={imagenet}"] if model.get("encoder_weights") == "IMAGENET" else []
    if model["name"].startswith("recursive"):
        small += ["model.options.base=4", "augment.size=[32,64]"]
    return [*SHORT, *small]


def test_precision_can_be_given_as_the_error_message_says():
    """ "use loop.precision=f32" is what a diverging run is told."""
    assert load_recipe("lite_stereo", ["loop.precision=f32"]).loop.precision == "f32"


def test_there_are_recipes():
    assert {"lite_stereo", "fit"} <= set(recipe_names())


@pytest.mark.parametrize("name", recipe_names())
def test_recipe_is_understood(name):
    assert load_recipe(name).cite


@pytest.mark.parametrize("name", [name for name in recipe_names() if not name.startswith("ye2021/")])
def test_recipe_trains_two_steps(cli, name, rendered, labels, starts, imagenet, foreign, tmp_path):
    overrides = _small(read_recipe(name), rendered, labels, starts, imagenet)
    overrides += [f"model.name={foreign[name]}"] if name in foreign else []
    done = cli("train", name, *overrides, "--out", tmp_path / "run", "--seed", 1, "--device", "cpu")
    assert done.code == 0, done.err
    model, header = load_weights(tmp_path / "run" / "weights")
    assert header.recipe["loop"]["seed"] == 1
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) >= 2


TRAIN_ALL = """
import json, sys, torch
torch.set_num_threads(1)
from stereodistill.engine.train import train
for name, overrides in json.load(open(sys.argv[1])).items():
    train(name, f"{sys.argv[2]}/{name}", overrides=[*overrides, *sys.argv[3:]], device="cpu")
"""


def _start(num_processes: int, *arguments: object) -> list[subprocess.Popen]:
    """Processes that go through all the jobs, together."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"WORLD_SIZE": str(num_processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started = []
    for rank in range(num_processes):
        env = dict(os.environ, ACCELERATE_USE_CPU="1", OMP_NUM_THREADS="1")
        env |= shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} if num_processes > 1 else {}
        command = [sys.executable, "-c", TRAIN_ALL, *map(str, arguments)]
        started.append(subprocess.Popen(command, env=env, stderr=subprocess.PIPE))
    return started


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_train_every_recipe_with_the_losses_of_one(rendered, labels, starts, imagenet, tmp_path):
    """CPU processes keep their batch norms to themselves: the one process looks at the halves of a batch in turn."""
    jobs = tmp_path / "jobs.json"
    # Networks of transformers drop paths at random, in each process others.
    ours = [name for name in recipe_names() if not name.startswith("fit_hf_")]
    small = {name: _small(read_recipe(name), rendered, labels, starts, imagenet) for name in ours}
    # `full` trains the stages that come before; the other rows start from the first of them.
    joint = [name for name in small if "after" in read_recipe(name) and name != "ye2021/full"]
    small |= {name: [*small[name], f"model.weights={starts['recursive_mono']}"] for name in joint}
    # An untrained network believes nothing to be seen by both cameras, and then learns nothing.
    small["guo2018/stereo_unsupft"].append("loss.visible_above=null")
    # Adam's first steps divide each gradient by its own size: without a large `eps`, rounding noise becomes steps.
    alike = ("loop.batch_size=4", "optimizer.eps=0.01", "loop.measure_norms=0")
    small = {name: [*overrides, *alike] for name, overrides in small.items()}
    jobs.write_text(json.dumps(small))
    one, two = tmp_path / "one", tmp_path / "two"
    for process in (*_start(1, jobs, one, "loop.accumulate=2"), *_start(2, jobs, two)):
        _, stderr = process.communicate(timeout=580)
        assert process.returncode == 0, stderr.decode()[-3000:]
    logs = sorted(one.rglob("log.jsonl"))
    assert len(logs) >= len(small)
    for log in logs:
        alone, together = (
            [json.loads(line)["loss"] for line in path.read_text().splitlines()]
            for path in (log, two / log.relative_to(one))
        )
        assert len(alone) == 2 and together == pytest.approx(alone, rel=1e-3), log


def test_a_recipe_in_a_folder_is_found_by_name_and_a_misspelt_one_lists_what_there_is(cli, tmp_path):
    assert load_recipe("guo2018/stereo_noft", ["model.weights=w"]).model.name == "dispnet"
    complaint = cli("train", "guo2018/stereo_noftt", "--out", tmp_path / "run").complaint
    assert "no recipe 'guo2018/stereo_noftt'" in complaint and "guo2018/stereo_noft," in complaint


def test_recipes_of_the_paper_name_their_data_by_name():
    """Roots come from the environment: a recipe that named a folder would run on one machine only."""
    for name in recipe_names():
        if name.startswith("guo2018/"):
            assert read_recipe(name)["data"]["path"].split(":")[0] in DATASETS, name
