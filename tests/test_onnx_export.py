"""ONNX: dynamic size and batch, the same numbers as PyTorch or nothing at all."""

import importlib
import json

import numpy as np
import pytest
import torch

from stereodistill.errors import UserError
from stereodistill.models import build
from stereodistill.onnx_export import export
from stereodistill.weights import WeightsHeader, load_weights, save_weights

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
module = importlib.import_module("stereodistill.onnx_export")

SMALL = {"channels": [8, 8, 12, 12, 16], "decoder_channels": [8, 8, 8, 8], "num_blocks": [1, 1, 1, 1]}
HEADER = WeightsHeader(
    architecture="lite_mono", kind="mono", input_size=(64, 96), rig={"focal_px": 720, "baseline_m": 0.5, "width": 1242}
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    return save_weights(tmp_path_factory.mktemp("weights"), build("lite_mono", **SMALL), HEADER)


@pytest.fixture(scope="module")
def exported(weights, tmp_path_factory):
    return export(weights, tmp_path_factory.mktemp("onnx") / "new" / "model.onnx")


@pytest.fixture(scope="module")
def session(exported):
    return onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("size", [(64, 96), (33, 47), (192, 640), (1, 1)])
@pytest.mark.parametrize("batch", [1, 3])
def test_agrees_with_pytorch_at_sizes_never_seen(session, weights, size, batch):
    model, _ = load_weights(weights)
    image = torch.rand(batch, 3, *size)
    with torch.inference_mode():
        expected = model(image).disparities[0].numpy()
    np.testing.assert_allclose(session.run(["disparity"], {"image": image.numpy()})[0], expected, rtol=1e-4, atol=1e-5)


def test_the_file_says_what_it_needs_and_gives(session, exported):
    assert [(i.name, i.shape) for i in session.get_inputs()] == [("image", ["batch", 3, "height", "width"])]
    assert [(o.name, o.shape) for o in session.get_outputs()] == [("disparity", ["batch", 1, "height", "width"])]
    description = json.loads(exported.with_suffix(".json").read_text())
    assert description["header"]["rig"]["baseline_m"] == 0.5 and description["header"]["input_size"] == [64, 96]
    inside = session.get_modelmeta().custom_metadata_map
    assert json.loads(inside["header"]) == description["header"]
    assert inside["output"] == description["output"] and "pixels of the input's width" in inside["output"]


def test_a_disagreeing_graph_is_not_written(weights, exported, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_convert", lambda network, header: onnx.load(exported))
    with pytest.raises(UserError, match="not written: ONNX and PyTorch differ"):
        export(weights, tmp_path / "model.onnx", tolerance=0.0)
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_cannot_be_converted_is_a_user_error(weights, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("no rule for this operator\nlong story")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(UserError, match="lite_mono cannot be converted to ONNX: no rule for this operator$"):
        export(weights, tmp_path / "model.onnx")


def test_missing_extra_is_named(weights, tmp_path, monkeypatch):
    real = importlib.import_module

    def without(name):
        if name == "onnxruntime":
            raise ImportError(name)
        return real(name)

    monkeypatch.setattr(module, "import_module", without)
    with pytest.raises(UserError, match=r"pip install 'stereodistill\[export\]'"):
        export(weights, tmp_path / "model.onnx")


def test_other_suffixes_and_absent_weights_are_refused(weights, tmp_path):
    with pytest.raises(UserError, match=r"must end in \.onnx"):
        export(weights, tmp_path / "model.pb")
    with pytest.raises(UserError, match="no weights 'nothing'"):
        export("nothing", tmp_path / "model.onnx")


def graph_of(path):
    """All that decides what a graph computes and what that costs: its nodes and the shapes of its parameters."""
    graph = onnx.load(path).graph
    nodes = [
        (node.op_type, tuple(node.input), tuple(node.output), sorted(a.SerializeToString() for a in node.attribute))
        for node in graph.node
    ]
    return nodes, {tensor.name: (tuple(tensor.dims), tensor.data_type) for tensor in graph.initializer}


def test_a_student_that_was_distilled_is_deployed_as_the_same_graph(tmp_path):
    """Ye et al. 2021: what the stereo network teaches costs nothing at run time."""
    from stereodistill.engine.stages import parse_recipe
    from stereodistill.engine.train import train

    common = {
        "data": {"source": "synth", "size": [32, 64], "num": 2},
        "augment": {"size": [32, 64]},
        "loop": {"steps": 1, "batch_size": 1, "workers": 0},
    }
    spaces = {"output_weight": 1.0, "feature_weight": 0.1, "long_range_weight": 1.0}
    recipes = {
        "alone": {"stage": "unsupervised_mono", "model": {"name": "recursive_mono", "options": {"base": 4}}},
        "distilled": {
            "stage": "joint",
            "model": {"name": "recursive", "options": {"base": 4}},
            "loss": {"distillation": spaces},
        },
    }
    graphs, learned = {}, {}
    for name, recipe in recipes.items():
        weights = train(parse_recipe({**common, **recipe}), tmp_path / name, device="cpu")
        graphs[name] = graph_of(export(weights, tmp_path / f"{name}.onnx"))
        learned[name] = load_weights(weights)[0].state_dict()
    assert graphs["distilled"] == graphs["alone"]
    nodes, parameters = graphs["alone"]
    assert sum(node[0] == "Conv" for node in nodes) >= 30 and len(parameters) >= 60
    assert any(not torch.equal(learned["alone"][key], learned["distilled"][key]) for key in learned["alone"])


def test_the_recursive_stereo_network_is_exported_too(tmp_path):
    torch.manual_seed(0)
    header = WeightsHeader(architecture="recursive", kind="stereo", input_size=(64, 128))
    weights = save_weights(tmp_path / "weights", build("recursive", base=4), header)
    session = onnxruntime.InferenceSession(
        export(weights, tmp_path / "stereo.onnx"), providers=["CPUExecutionProvider"]
    )
    assert [entry.name for entry in session.get_inputs()] == ["left", "right"]
    images = [torch.rand(1, 3, 64, 128, generator=torch.Generator().manual_seed(k)) for k in range(2)]
    found = session.run(["disparity"], {"left": images[0].numpy(), "right": images[1].numpy()})[0]
    with torch.inference_mode():
        expected = load_weights(weights)[0].eval()(*images).disparities[0].numpy()
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-3)
