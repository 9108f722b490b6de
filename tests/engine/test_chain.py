"""The stages of Ye et al. (TIP 2021): what a run leaves, where it starts, and that it resumes to the bit."""

import json

import pytest
import torch

from stereodistill import models
from stereodistill.engine.adapters import WithAdapters
from stereodistill.engine.chain import chain, stage_before
from stereodistill.engine.samples import open_samples
from stereodistill.engine.stages import objective_of, parse_recipe
from stereodistill.engine.start import build_model, results, trained_module
from stereodistill.engine.train import header_of, train
from stereodistill.errors import UserError
from stereodistill.predict import load_teacher
from stereodistill.types import collate
from stereodistill.weights import WeightsHeader, load_weights, read_header, save_weights

LITE = {
    "name": "lite_mono",
    "options": {"channels": [8, 8, 12, 12, 16], "decoder_channels": [8, 8, 8, 8], "num_blocks": [1, 1, 1, 1]},
}
ALL_SPACES = {"output_weight": 1.0, "feature_weight": 0.1, "long_range_weight": 1.0}
DATA = {"source": "synth", "size": [64, 128], "num": 4}


def recipe(stage="joint", model=None, loop=None, **fields):
    model = {"name": "recursive", "options": {"base": 8, "num_recursions": 1}} if model is None else model
    loop = {"steps": 2, "batch_size": 2, "workers": 0, "log_every": 1, "ema_decay": 0.5, **(loop or {})}
    values = {"stage": stage, "model": model, "data": DATA, "augment": {"size": [64, 128]}, "loop": loop}
    return parse_recipe({**values, **fields})


def logged(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_a_joint_run_leaves_the_student_alone_and_both_networks_beside_it(tmp_path):
    weights = train(recipe(loss={"distillation": ALL_SPACES}), tmp_path, device="cpu")
    mono, of_mono = load_weights(weights)
    both, of_both = load_weights(tmp_path / "stereo_weights")
    assert (mono.name, both.name, of_mono.kind, of_both.kind) == ("recursive_mono", "recursive", "mono", "stereo")
    assert of_mono.input_size == of_both.input_size == (64, 128)
    assert same(mono.state_dict(), both.mono.state_dict())
    # The student of a distillation is the network that learns alone, no parameter more.
    alone = models.build("recursive_mono", base=8)
    assert of_mono.options == alone.options
    assert {k: v.shape for k, v in mono.state_dict().items()} == {k: v.shape for k, v in alone.state_dict().items()}
    terms = logged(tmp_path)[0]["terms"]
    assert {"mono_photometric", "stereo_consistency", "output", "feature", "long_range"} <= terms.keys()


class Killed(Exception):
    pass


def test_a_stopped_joint_run_with_adapters_resumes_to_the_bit(tmp_path):
    """A one-view student of other widths; averaged weights and accumulated gradients as for every stage."""
    network = {"name": "recursive", "options": {"base": 8, "num_recursions": 1, "mono": LITE}}
    spaces = {"distillation": {**ALL_SPACES, "feature_strides": [2, 4]}}
    loop = {"steps": 2, "accumulate": 2, "checkpoint_every_s": 0}
    ours = recipe(model=network, loss=spaces, loop=loop)
    train(ours, tmp_path / "whole", device="cpu")

    def stop(step, *_):
        if step == 2:  # the first step is on disk, the second is not
            raise Killed

    with pytest.raises(Killed):
        train(ours, tmp_path / "cut", device="cpu", on_step=stop)
    train(ours, tmp_path / "cut", device="cpu", resume=True)
    for folder in ("weights", "stereo_weights"):
        whole, cut = (load_weights(tmp_path / run / folder)[0].state_dict() for run in ("whole", "cut"))
        assert same(whole, cut)
    assert [r["loss"] for r in logged(tmp_path / "whole")] == [r["loss"] for r in logged(tmp_path / "cut")]


def test_adapters_stand_where_channels_differ_and_are_not_in_the_weights():
    network = models.build("recursive", base=8, mono=LITE)
    strides = {"feature_strides": [2, 4, 8]}
    module = trained_module(recipe(loss={"distillation": {**ALL_SPACES, **strides}}), network)
    assert isinstance(module, WithAdapters) and module.network is network
    # The teacher has base / 4 channels at full size, doubled at each scale; at 1/4 both have 8.
    widths = {stride: (a.in_channels, a.out_channels) for stride, a in module.adapters.items()}
    assert widths == {"2": (8, 4), "8": (8, 16)}
    pair = torch.rand(2, 1, 3, 64, 128)
    first = module(*pair).earlier[0]
    assert [f.shape[1] for f in first.features[:3]] == [4, 8, 16]
    alike = models.build("recursive", base=8)
    assert trained_module(recipe(loss={"distillation": ALL_SPACES}), alike) is alike


def test_gradients_reach_the_mono_network_by_distillation_alone(tmp_path):
    """Each space by itself moves the student, never the teacher."""
    silent = {"photometric_weight": 0, "consistency_weight": 0, "smoothness_weight": 0}
    pair_recipe = recipe()
    torch.manual_seed(0)
    network = build_model(pair_recipe)
    batch = collate([open_samples(pair_recipe.data, 0).load(0)])
    for space in ALL_SPACES:
        ours = recipe(loss={"mono": silent, "stereo": silent, "distillation": {space: 1.0}})
        network.zero_grad()
        objective_of(ours, network)(network, batch).total.backward()
        moved = {n for n, p in network.named_parameters() if p.grad is not None and bool(p.grad.any())}
        assert moved and all(name.startswith("mono.") for name in moved)


@pytest.mark.parametrize("cut", [False, True])
def test_both_networks_learn_together_unless_gradients_are_cut(cut):
    """What the stereo network does not explain moves the mono network whose estimate it started from."""
    silent = {"photometric_weight": 0, "consistency_weight": 0, "smoothness_weight": 0}
    options = {"base": 8, "num_recursions": 2, "cut_gradients": cut}
    ours = recipe(model={"name": "recursive", "options": options}, loss={"mono": silent})
    torch.manual_seed(0)
    network = build_model(ours)
    batch = collate([open_samples(ours.data, 0).load(0)])
    objective_of(ours, network)(network, batch).total.backward()
    moved = {n for n, p in network.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert any(name.startswith("mono.") for name in moved) != cut
    assert any(name.startswith("decoder.") for name in moved)


@pytest.mark.parametrize("student", [{"name": "recursive_mono", "options": {"base": 8}}, LITE])
def test_a_mono_network_learns_alone_with_one_head_or_two(student, tmp_path):
    weights = train(recipe("unsupervised_mono", model=student), tmp_path, device="cpu")
    model, header = load_weights(weights)
    assert model.name == student["name"] and header.kind == "mono"
    assert logged(tmp_path)[0]["terms"].keys() == {"photometric", "consistency", "smoothness"}
    assert not (tmp_path / "stereo_weights").exists()


def saved(folder, network, ours):
    return save_weights(folder, network, header_of(ours, network, {}))


def test_a_stage_starts_from_the_one_before(tmp_path):
    full = recipe(after="ye2021/stereo_k2", loss={"distillation": ALL_SPACES})
    stage2 = stage_before(full)
    assert stage2.stage == "joint" and stage2.after == "ye2021/mono" and not stage2.loss.distillation.is_on
    assert (stage2.data, stage2.augment, stage2.loop) == (full.data, full.augment, full.loop)
    assert stage2.model.options == full.model.options
    stage1 = stage_before(stage2)
    assert stage1.stage == "unsupervised_mono"
    assert stage1.model.options == {"encoder": "residual", "base": 8, "norm": False}
    links = chain(full, tmp_path)
    before = tmp_path / "before"
    assert [(link.recipe.stage, link.out) for link in links] == [
        ("unsupervised_mono", before / "before"), ("joint", before), ("joint", tmp_path),
    ]  # fmt: skip
    assert [link.weights for link in links] == [
        None, str(before / "before" / "weights"), str(before / "stereo_weights"),
    ]  # fmt: skip
    assert links[0].started is links[0].recipe
    assert links[2].recipe is full and links[2].started.model.weights == links[2].weights
    saved(before / "before" / "weights", build_model(stage1), stage1)
    network = build_model(links[1].started)
    assert same(network.mono.state_dict(), load_weights(links[1].weights)[0].state_dict())


def test_finished_stages_are_found_again_and_given_weights_not_trained_again(tmp_path):
    stage2 = stage_before(recipe(after="ye2021/stereo_k2", loss={"distillation": ALL_SPACES}))
    stage1 = stage_before(stage2)
    saved(tmp_path / "before" / "weights", build_model(stage1), stage1)
    assert [link.recipe for link in chain(stage2, tmp_path)] == [stage1, stage2]
    last = chain(stage2, tmp_path, resume=True)
    assert [link.recipe for link in last] == [stage2] and last[0].weights == str(tmp_path / "before" / "weights")
    other = stage2.model_copy(update={"loop": stage2.loop.model_copy(update={"seed": 7})})
    with pytest.raises(UserError, match="another recipe"):
        chain(other, tmp_path, resume=True)
    given = last[0].started
    assert [link.recipe for link in chain(given, tmp_path / "c")] == [given]


def test_start_weights_of_another_mono_network_are_refused(tmp_path):
    folder = saved(tmp_path, models.build("recursive_mono", base=4), recipe())
    with pytest.raises(UserError, match=r"model.weights .*'base': 4.*'base': 8"):
        build_model(recipe(model={"name": "recursive", "options": {"base": 8}, "weights": str(folder)}))


def test_other_stages_leave_the_whole_network():
    network = models.build("recursive", base=8)
    assert results(recipe("supervised_stereo"), network) == {"weights": network}


def test_joint_refuses_a_network_that_is_not_two():
    with pytest.raises(UserError, match="stage joint trains `recursive`"):
        build_model(recipe(model={"name": "lite_stereo"}))


def test_a_student_of_labels_learns_in_the_spaces_of_a_teacher_that_runs_beside_it(tmp_path):
    from stereodistill.labels.make import label
    from stereodistill.worlds import write_world

    write_world(tmp_path / "pairs", "flying", 2, (64, 128), 3, photos=None, suffix="png", device=torch.device("cpu"))
    ours = recipe()
    teacher = saved(tmp_path / "teacher", build_model(ours), ours)
    label(tmp_path / "pairs", load_teacher(teacher, "cpu"), tmp_path / "labels")
    data = {"source": "pairs", "path": str(tmp_path / "pairs"), "labels": str(tmp_path / "labels")}
    spaces = {"feature_weight": 0.1, "long_range_weight": 1.0}
    student = recipe("distill", model=LITE, data=data, teacher=str(teacher), spaces=spaces)
    model, _ = load_weights(train(student, tmp_path / "run", device="cpu"))
    assert model.state_dict().keys() == models.build(**LITE["options"], name="lite_mono").state_dict().keys()
    assert logged(tmp_path / "run")[0]["terms"].keys() == {"distill", "feature", "long_range"}
    assert read_header(tmp_path / "run" / "weights").recipe["teacher"] == str(teacher)
    with pytest.raises(UserError, match="spaces and teacher go together"):
        recipe("distill", model=LITE, data=data, teacher=str(teacher))


TAUGHT = {
    "recursive": ({"base": 4, "num_recursions": 1}, "vgg_mono", {"channel_share": 0.05}, (1, 2, 4, 8), (16,)),
    "dispnet": ({"channel_share": 0.1}, "vgg_mono", {"channel_share": 0.05}, (1, 2, 4, 8), (16,)),
    "lite_stereo": ({"max_disparity_px": 32, "channels": 16, "width": 32}, "lite_mono", LITE["options"], (4, 8), (8,)),
}


@pytest.mark.parametrize("teacher", TAUGHT)
def test_every_teacher_with_a_decoder_teaches_the_students_of_both_papers_in_every_space(teacher, tmp_path):
    """Teacher, student, strides of the features compared one by one, strides of their relations."""
    options, student, of_student, feature_strides, long_range_strides = TAUGHT[teacher]
    network = models.build(teacher, **options)
    header = WeightsHeader(architecture=teacher, kind="stereo", options=network.options)
    spaces = {**ALL_SPACES, "feature_strides": feature_strides, "long_range_strides": long_range_strides}
    folder = str(save_weights(tmp_path, network, header))
    ours = recipe("supervised_mono", {"name": student, "options": of_student}, teacher=folder, spaces=spaces)
    module = trained_module(ours, build_model(ours))
    assert isinstance(module, WithAdapters)
    pair = collate([open_samples(ours.data, 0).load(0)])
    loss = objective_of(ours, module)(module, pair)
    assert set(loss.terms) > {"output", "feature", "long_range"}
    loss.terms["feature"].backward(retain_graph=True)
    first = next(p for p in module.network.parameters())
    assert first.grad is not None and bool(first.grad.any())
    assert all(bool(a.weight.grad.any()) for a in module.adapters.values())
    assert all(bool(torch.isfinite(value)) and value > 0 for value in loss.terms.values())
