"""The recipes of Ye et al. (TIP 2021): each trains two steps on small pairs, the last one through all its stages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stereodistill.config import recipe_names
from stereodistill.engine.recipe import JointRecipe
from stereodistill.engine.stages import load_recipe
from stereodistill.weights import load_weights

OURS = [name for name in recipe_names() if name.startswith("ye2021/")]
SHORT = ("loop.steps=2", "loop.epochs=null", "loop.batch_size=1", "loop.workers=0", "loop.precision=f32",
         "augment.size=[32,64]", "model.options.base=4")  # fmt: skip


@pytest.fixture(scope="module")
def mono(rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of stage 1."""
    from stereodistill.engine.train import train

    out = tmp_path_factory.mktemp("ye2021") / "mono"
    return train("ye2021/mono", out, overrides=[*SHORT, f"data.path={rendered}"], device="cpu")


def test_the_rows_of_the_paper_are_there():
    parts = {f"stereo_k{k}" for k in (1, 2, 3)} | {"stereo_k2_unrefined"}
    parts |= {"distill_output", "distill_feature", "distill_long_range"}
    assert {f"ye2021/{part}" for part in parts | {"mono", "full"}} == set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_rows_differ_from_the_full_scheme_by_what_they_are_named_for(name):
    recipe, full = load_recipe(name), load_recipe("ye2021/full")
    assert (recipe.data, recipe.augment, recipe.optimizer, recipe.loop) == (
        full.data, full.augment, full.optimizer, full.loop,
    )  # fmt: skip
    if isinstance(recipe, JointRecipe):
        options = {"num_recursions": int(name[-1])} if name[-2:] in ("k1", "k2", "k3") else {"num_recursions": 2}
        assert recipe.model.options == options | ({"refine": False} if "unrefined" in name else {})
        spaces = recipe.loss.distillation
        weights = spaces.output_weight, spaces.feature_weight, spaces.long_range_weight
        expected = {"output": (1, 0, 0), "feature": (1, 0.1, 0), "long_range": (1, 0, 1), "full": (1, 0.1, 1)}
        row = name.removeprefix("ye2021/").removeprefix("distill_")
        assert weights == expected.get(row, (0, 0, 0))
        assert bool(recipe.after == "ye2021/mono") == (row not in expected)


@pytest.mark.parametrize("name", [name for name in OURS if name not in ("ye2021/mono", "ye2021/full")])
def test_recipe_trains_two_steps(cli, name, rendered, mono, tmp_path):
    start = [f"model.weights={mono}", f"data.path={rendered}"]
    done = cli("train", name, *SHORT, *start, "--out", tmp_path / "run", "--device", "cpu")
    assert done.code == 0, done.err
    network, header = load_weights(tmp_path / "run" / "weights")
    assert network.name == "recursive_mono" and header.input_size == (32, 64)
    assert load_weights(tmp_path / "run" / "stereo_weights")[0].name == "recursive"


def test_the_full_scheme_trains_its_stages_one_after_the_other(cli, rendered, tmp_path):
    out = tmp_path / "run"
    done = cli("train", "ye2021/full", *SHORT, f"data.path={rendered}", "--out", out, "--device", "cpu")
    assert done.code == 0, done.err
    terms = [_first_terms(folder) for folder in (out / "before" / "before", out / "before", out)]
    assert terms[0] == {"photometric", "consistency", "smoothness"}
    assert "stereo_photometric" in terms[1] and "output" not in terms[1]
    assert {"output", "feature", "long_range"} <= terms[2]
    again = cli("train", "ye2021/full", *SHORT, f"data.path={rendered}", "--out", out, "--device", "cpu", "--resume")
    assert again.code == 0, again.err


def test_its_stereo_weights_label_match_and_teach(cli, rendered, mono, tmp_path):
    out, pair = tmp_path / "run", sorted((rendered / "left").glob("*.png"))[0]
    start = [f"model.weights={mono}", f"data.path={rendered}", "loop.steps=1"]
    assert cli("train", "ye2021/stereo_k1", *SHORT, *start, "--out", out, "--device", "cpu").code == 0
    teacher = ["--teacher", out / "stereo_weights", "--device", "cpu"]
    views = [pair, rendered / "right" / pair.name]
    assert cli("match", *views, "--out", tmp_path / "d.pfm", *teacher).code == 0
    assert cli("label", rendered, "--out", tmp_path / "labels", "--limit", 2, *teacher).code == 0
    assert len(list((tmp_path / "labels" / "disparity").iterdir())) == 2
    lone = cli("match", *views, "--out", tmp_path / "d.pfm", "--teacher", out / "weights", "--device", "cpu")
    assert lone.code == 2 and "mono network" in lone.complaint
    maps = tmp_path / "maps"
    photos = ["--weights", out / "weights", "--out", maps, "--save", "disparity", "--post-process"]
    assert cli("predict", pair, *photos, "--device", "cpu").code == 0
    assert len(list((maps / "disparity").iterdir())) == 1


def _first_terms(folder: Path) -> set[str]:
    return set(json.loads((folder / "log.jsonl").read_text().splitlines()[0])["terms"])
