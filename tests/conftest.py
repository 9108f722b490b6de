"""What every test can ask for: the real pairs, one packaged pair with ground truth, types checked at run time."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import install_import_hook

# Shapes and dtypes in signatures are checked while the tests run; must come before the modules are imported.
CHECKED = [f"stereodistill.{name}" for name in ("types", "ops", "losses", "models")]
install_import_hook(CHECKED, "beartype.beartype")

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with real stereo pairs (its README says what each holds); read only, never copied into the project."""
    named = os.environ.get("STEREODISTILL_TEST_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data" / "real"
    if not folder.is_dir():
        pytest.skip(f"no real pairs at {folder}: point STEREODISTILL_TEST_DATA at the folder that holds them")
    return folder


@pytest.fixture(scope="session")
def motorcycle() -> tuple:
    """Middlebury 2014 motorcycle: (left, right) float32 (H, W, 3) in [0, 1], disparity float32 (H, W), NaN unknown."""
    data = pytest.importorskip("skimage.data", reason="the motorcycle pair comes with scikit-image")
    left, right, disparity = data.stereo_motorcycle()
    disparity = disparity.astype("float32")
    disparity[disparity == float("inf")] = float("nan")
    return left.astype("float32") / 255, right.astype("float32") / 255, disparity


@pytest.fixture(scope="session")
def read_ply():
    """read(path) -> (points (N, 3) float32, colors (N, 3) uint8), by the header's own description of the table."""

    def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
        header, body = path.read_bytes().split(b"end_header\n", 1)
        lines = header.decode().splitlines()
        assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
        columns = [line.split()[1:] for line in lines if line.startswith("property")]
        table = np.frombuffer(body, [(name, {"float": "<f4", "uchar": "u1"}[kind]) for kind, name in columns])
        assert lines[2] == f"element vertex {len(table)}"
        points, colors = ([table[name] for name in names] for names in ("xyz", ("red", "green", "blue")))
        return np.stack(points, axis=1), np.stack(colors, axis=1)

    return read


IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
NORMALISE = {"do_normalize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_resize": True}
DEPTH_KINDS = ("depth_anything", "depth_anything_metric", "dpt", "glpn", "zoedepth", "depth_pro")
BACKBONE_KINDS = ("dinov2", "convnextv2", "swin", "resnet")
PREPROCESSORS = {
    "depth_anything": {**NORMALISE, **IMAGENET, "ensure_multiple_of": 14, "size": {"height": 518, "width": 518}},
    "dpt": {**NORMALISE, **HALF, "size": {"height": 384, "width": 384}},
    "glpn": {"do_rescale": True, "do_resize": True, "size_divisor": 32},
    "zoedepth": {**NORMALISE, **HALF, "ensure_multiple_of": 32, "size": {"height": 384, "width": 512}},
    "depth_pro": {**NORMALISE, **HALF, "size": {"height": 1536, "width": 1536}},
}


def _transformer(kind: str):
    """A tiny network of the library with random weights that answer to what they see."""
    t = pytest.importorskip("transformers", reason="pip install 'stereodistill[hf]'")
    dino = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "mlp_ratio": 2, "image_size": 70}
    head = {"neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 8}
    vit = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64,
           "image_size": 64, "patch_size": 16}  # fmt: skip
    if kind.startswith("depth_anything"):
        backbone = t.Dinov2Config(**dino, out_indices=[1, 2, 3, 4], reshape_hidden_states=False)
        metric = {"depth_estimation_type": "metric", "max_depth": 80} if kind.endswith("metric") else {}
        config = t.DepthAnythingConfig(
            backbone_config=backbone, reassemble_hidden_size=32, head_hidden_size=8, **head, **metric
        )
        return t.DepthAnythingForDepthEstimation(config)
    if kind == "dpt":
        return t.DPTForDepthEstimation(t.DPTConfig(**vit, **head, backbone_out_indices=[0, 1, 2, 3]))
    if kind == "glpn":
        config = t.GLPNConfig(hidden_sizes=[8, 16, 16, 32], num_attention_heads=[1, 1, 2, 2], depths=[1, 1, 1, 1],
                              decoder_hidden_size=16, max_depth=80)  # fmt: skip
        return t.GLPNForDepthEstimation(config)
    if kind == "zoedepth":
        backbone = t.BeitConfig(**vit, out_indices=[1, 2, 3, 4], reshape_hidden_states=False,
                                use_relative_position_bias=True, use_absolute_position_embeddings=False)  # fmt: skip
        bins = {
            "bin_embedding_dim": 8, "num_attractors": [4, 2, 2, 1],
            "bin_configurations": [{"n_bins": 8, "min_depth": 0.001, "max_depth": 10.0, "name": "nyu"}],
        }  # fmt: skip
        config = t.ZoeDepthConfig(
            backbone_config=backbone, **head, **bins, bottleneck_features=8, num_relative_features=8
        )
        return t.ZoeDepthForDepthEstimation(config)
    if kind == "depth_pro":
        inner = {"model_type": "dinov2", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
                 "patch_size": 4, "image_size": 16}  # fmt: skip
        config = t.DepthProConfig(
            patch_size=16, fusion_hidden_size=8, intermediate_hook_ids=[1, 0], intermediate_feature_dims=[8, 8],
            scaled_images_ratios=[0.5, 1.0], scaled_images_overlap_ratios=[0.0, 0.2], scaled_images_feature_dims=[8, 8],
            image_model_config=inner, patch_model_config=inner, fov_model_config=inner, use_fov_model=True,
        )  # fmt: skip
        return t.DepthProForDepthEstimation(config)
    if kind == "dinov2":
        return t.Dinov2Model(t.Dinov2Config(**dino))
    if kind == "convnextv2":
        return t.ConvNextV2ForImageClassification(t.ConvNextV2Config(hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 2, 1]))
    if kind == "swin":
        config = t.SwinConfig(embed_dim=16, depths=[1, 1, 2, 1], num_heads=[2, 2, 2, 2], window_size=4, image_size=64)
        return t.SwinForImageClassification(config)
    config = t.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1], layer_type="basic")
    return t.ResNetForImageClassification(config)


@pytest.fixture(scope="session")
def tiny_transformer(tmp_path_factory: pytest.TempPathFactory):
    """`tiny_transformer(kind)`: a folder as the hub gives it, by the library's own hand; kinds are those above."""
    made: dict[str, Path] = {}

    def folder_of(kind: str) -> Path:
        if kind not in made:
            torch.manual_seed(len(kind))
            network, folder = _transformer(kind), tmp_path_factory.mktemp(kind)
            with torch.no_grad():
                for parameter in network.parameters():
                    if parameter.dim() > 1:
                        parameter.normal_(std=parameter[0].numel() ** -0.5)
            network.save_pretrained(folder)
            pictures = PREPROCESSORS.get(kind.removesuffix("_metric"), {**NORMALISE, **IMAGENET})
            (folder / "preprocessor_config.json").write_text(json.dumps(pictures))
            (folder / "README.md").write_text("---\nlicense: mit\ntags: [vision]\n---\n# A model card\n")
            made[kind] = folder
        return made[kind]

    return folder_of
