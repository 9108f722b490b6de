"""What every test can ask for: the real pairs, one packaged pair with ground truth, types checked at run time."""

from __future__ import annotations

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
