"""The studies of Ye et al. (TIP 2021): fair between their rows, and small enough to run through in a test."""

import json

import pytest

from stereodistill.engine.recipe import JointRecipe
from stereodistill.engine.stages import load_recipe
from stereodistill.study import load_study, run_study
from stereodistill.study.plan import World
from stereodistill.weights import load_weights

STUDIES = ("ye2021", "ye2021-worlds")
STUDENTS = ("+ output space", "+ output and feature space", "+ output space and long range", "full")


def chain(study, output):
    """The training stages that a row's weights come from, first one first."""
    name = study.output(output).stage
    start = study.stages[name].start
    return [*(chain(study, start) if start else []), name]


@pytest.mark.parametrize("name", STUDIES)
def test_the_rows_of_the_paper_are_there_and_start_where_it_says(name):
    study = load_study(name)
    used = {study.stages[stage].recipe for row in study.rows for stage in chain(study, row.weights)}
    assert used == set(_shipped())
    for row in STUDENTS:
        stages = chain(study, study.row(row).weights)
        assert [study.stages[stage].recipe for stage in stages[:2]] == ["ye2021/mono", "ye2021/stereo_k2"]
        # The whole network of the stage before, not the mono network alone.
        assert study.stages[stages[2]].start == "k2/stereo_weights"
    assert study.row("Stereo-Net K=3").weights == "k3/stereo_weights"
    assert not any("," in row.name for row in study.rows)  # `--rows` separates by them
    assert not any(row.published for row in study.rows)  # the paper's tables were not at hand


def _shipped():
    from stereodistill.config import recipe_names

    return [name for name in recipe_names() if name.startswith("ye2021/")]


def test_on_worlds_every_student_has_the_network_and_the_training_of_the_one_that_learns_alone():
    study = load_study("ye2021-worlds")

    def training(row):
        recipes = [study.stages[stage].settings() for stage in chain(study, study.row(row).weights)]
        return [(recipe.augment, recipe.optimizer, recipe.loop, recipe.model.options["base"]) for recipe in recipes]

    alone = training("Mono-Net alone")
    assert len(alone) == 3
    for row in STUDENTS:
        assert training(row) == alone
    judged, learned = study.data["test"], study.data["train"]
    assert isinstance(judged, World) and isinstance(learned, World)
    assert judged.first >= learned.first + learned.num and judged.seed == learned.seed
    for claim in study.claims:
        assert len(study.seeds_of(study.row(claim.better))) == len(study.seeds_of(study.row(claim.worse))) == 3


def test_the_paper_s_recipes_are_not_changed_on_kitti():
    study = load_study("ye2021")
    assert study.protocol == "eigen-lidar-view:flip=edges" and study.camera == "kitti"
    for stage in study.stages.values():
        assert stage.set == {} and load_recipe(str(stage.recipe)).data.path == "kitti_raw:eigen_train"


def test_two_rows_end_to_end(tmp_path):
    study = load_study("ye2021-worlds")
    street = study.data["train"].model_copy(update={"size": (48, 96), "num": 2})
    small = {"train": street, "test": street.model_copy(update={"first": 2, "num": 1})}
    study = study.model_copy(update={"data": small, "seeds": (0,)})
    changes = ["loop.steps=1", "loop.batch_size=1", "loop.workers=0", "model.options.base=4", "augment.size=[32,64]"]
    run_study(study, tmp_path, rows=["full", "Stereo-Net K=2"], changes=changes, device="cpu", progress=False)
    table = json.loads((tmp_path / "table.json").read_text())
    assert [row["name"] for row in table["rows"]] == ["full", "Stereo-Net K=2"]
    assert all(row["values"][0] > 0 for row in table["rows"])
    runs = {path.name.split("-")[0]: path for path in (tmp_path / "stages").iterdir()}
    assert set(runs) == {"mono", "k2", "full"}  # each once
    student, header = load_weights(runs["full"] / "weights")
    assert student.name == "recursive_mono" and header.recipe["model"]["weights"].endswith("k2-0-" + (
        runs["k2"].name.removeprefix("k2-0-")) + "/stereo_weights")  # fmt: skip
    assert header.rig is not None and header.rig["baseline_m"] > 0
    assert isinstance(study.stages["full"].settings(), JointRecipe)
