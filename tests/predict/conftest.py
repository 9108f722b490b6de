"""Small untrained networks as weights on disk, and two views of random texture 8 px apart."""

import numpy as np
import pytest
import torch

from stereodistill.models import build
from stereodistill.predict import StereoPredictor, from_pretrained
from stereodistill.weights import WeightsHeader, save_weights

SMALL = {"channels": [8, 8, 12, 12, 16], "decoder_channels": [8, 8, 8, 8], "num_blocks": [1, 1, 1, 1]}
RIG = {"focal_px": 640.0, "baseline_m": 0.5, "width": 1280}
MONO = WeightsHeader(architecture="lite_mono", kind="mono", input_size=(32, 64), rig=RIG)
SMALL_STEREO = {"max_disparity_px": 32, "channels": 16, "width": 32}
STEREO = WeightsHeader(architecture="lite_stereo", kind="stereo")


@pytest.fixture(scope="module")
def mono_folder(tmp_path_factory):
    torch.manual_seed(0)
    return save_weights(tmp_path_factory.mktemp("run") / "weights", build("lite_mono", **SMALL), MONO)


@pytest.fixture(scope="module")
def stereo_folder(tmp_path_factory):
    torch.manual_seed(0)
    return save_weights(tmp_path_factory.mktemp("teacher"), build("lite_stereo", **SMALL_STEREO), STEREO)


@pytest.fixture(scope="module")
def stereo(stereo_folder) -> StereoPredictor:
    return from_pretrained(stereo_folder, "cpu")


@pytest.fixture(scope="module")
def views() -> tuple[np.ndarray, np.ndarray]:
    scene = np.random.default_rng(0).random((48, 104, 3), dtype=np.float32)
    return scene[:, :96], scene[:, 8:]
