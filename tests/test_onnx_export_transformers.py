"""ONNX of foreign networks: one size, the same numbers as PyTorch."""

import json

import numpy as np
import pytest
import torch

from stereodistill.errors import UserError
from stereodistill.onnx_export import export
from stereodistill.weights import WeightsHeader, load_weights, save_weights
from stereodistill.weights.transformer import load_transformer

onnxruntime = pytest.importorskip("onnxruntime")


def weights_of(folder, to, size):
    network = load_transformer(f"hf:{folder}")
    header = WeightsHeader(architecture=network.name, kind="mono", input_size=size, licence="mit")
    return save_weights(to, network, header)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["depth_anything", "zoedepth", "dinov2", "swin", "resnet"])
def test_the_graph_says_what_pytorch_says_for_any_number_of_pictures(tiny_transformer, tmp_path, kind):
    size = (70, 126) if kind in ("depth_anything", "dinov2") else (64, 96)
    weights = weights_of(tiny_transformer(kind), tmp_path / "w", size)
    session = onnxruntime.InferenceSession(
        export(weights, tmp_path / "m.onnx"), providers=["CPUExecutionProvider"]
    )  # fmt: skip
    assert [(i.name, i.shape) for i in session.get_inputs()] == [("image", ["batch", 3, *size])]
    photos = torch.rand(3, 3, *size)
    with torch.inference_mode():
        expected = load_weights(weights)[0](photos).disparities[0].numpy()
    assert expected.std() > 0
    np.testing.assert_allclose(session.run(["disparity"], {"image": photos.numpy()})[0], expected, rtol=1e-4, atol=1e-4)
    assert json.loads((tmp_path / "m.json").read_text())["header"]["licence"] == "mit"


def test_weights_without_an_input_size_are_refused(tiny_transformer, tmp_path):
    weights = weights_of(tiny_transformer("resnet"), tmp_path / "w", None)
    with pytest.raises(UserError, match=r"hf_backbone is exported for one size, and these weights name none"):
        export(weights, tmp_path / "m.onnx")
