"""The study of Guo et al.'s claims on procedural worlds: fair between its rows, and a trial of two of them."""

import json

import torch

from stereodistill.data import open_dataset
from stereodistill.study import load_study, run_study
from stereodistill.study.plan import World
from stereodistill.study.worlds import render_world

STREET = {"driving_rig": 1.0, "largest_disparity": [0.3, 0.3]}

FEW = {"channels": [4, 4, 4, 4, 8], "decoder_channels": [4, 4, 4, 4], "num_blocks": [0, 0, 0, 0]}
TRIAL = [
    "loop.steps=1", "loop.batch_size=1", "loop.workers=0", "loop.precision=f32", "mono_*:augment.size=[64,96]",
    "noft:model.options.channels=4", "noft:model.options.width=8", "noft:augment.size=[64,96]",
    *(f"mono_*:model.options.{key}={value}" for key, value in FEW.items()),
]  # fmt: skip


def test_two_rows_of_the_study_on_worlds_run_from_one_end_to_the_other(tmp_path):
    """The stages of the study as it ships, one step each, on two small scenes of each world and a single seed."""
    study = load_study("guo2018-worlds")
    small = {"num": 2, "size": (64, 96)}
    data = {name: world.model_copy(update=small) for name, world in study.data.items()}
    study = study.model_copy(update={"data": data, "seeds": (0,)})
    chosen = ["StereoNoFt->Mono (filled)", "StereoNoFt"]
    table = run_study(study, tmp_path, rows=chosen, changes=TRIAL, device="cpu", progress=False)
    assert [row.name for row in table.rows] == chosen
    made = sorted(folder.name.split("-")[0] for folder in (tmp_path / "stages").iterdir())
    assert made == ["labels_noft", "mono_fill", "noft"]


def test_the_study_on_worlds_holds_its_own_rules():
    """Compared networks differ in what they learn from alone: not in size, length or rate."""
    study = load_study("guo2018-worlds")
    monos = [stage.settings() for name, stage in study.stages.items() if name.startswith(("mono", "direct"))]
    tuned = [study.stages[name].settings() for name in ("unsupft", "unsupft_godard", "supft100")]
    for alike in (monos, tuned):
        for part in ("optimizer", "loop", "augment"):
            assert len({getattr(recipe, part).model_dump_json() for recipe in alike}) == 1, part
        assert len({json.dumps(recipe.model.options) for recipe in alike}) == 1
    target, test = study.data["target"], study.data["test"]
    assert test.first >= target.first + target.num and test.seed == target.seed
    compared = {name for claim in study.claims for name in (claim.better, claim.worse)}
    assert all(len(study.seeds_of(study.row(name))) == 3 for name in compared)


def test_the_target_domain_is_one_rig(tmp_path):
    """A mono network can know the scale only where all pairs come from the same two cameras."""
    for name, world in (("guo2018-worlds", "target"), ("guo2018-worlds", "test"), ("ye2021-worlds", "train")):
        few = load_study(name).data[world].model_copy(update={"num": 6, "size": (48, 160)})
        pairs = open_dataset(render_world(few, tmp_path / name / world, False))
        rigs = {(round(rig.baseline_m, 3), round(rig.focal_px, 1)) for rig in (pairs.load(i).rig for i in range(6))}
        assert rigs == {(0.54, 92.8)}


def test_sparse_labels_are_the_true_ones_at_some_pixels_of_the_same_scenes(tmp_path):
    world = World(kind="street", num=2, first=1, size=(32, 64), options=STREET)
    full, sparse = (
        open_dataset(render_world(world.model_copy(update={"known_share": share}), tmp_path / str(share), False))
        for share in (1.0, 0.25)
    )
    assert sparse.names == full.names
    for known, some in ((full.load(i), sparse.load(i)) for i in range(2)):
        for all_of_it, told in ((known.left, some.left), (known.right, some.right)):
            assert torch.equal(told.image, all_of_it.image)
            assert torch.equal(told.disparity, all_of_it.disparity * told.valid)
            assert 0.2 < told.valid.sum() / all_of_it.valid.sum() < 0.3
