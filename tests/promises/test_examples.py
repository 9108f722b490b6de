"""The scripts and the notebook in `examples/`, run as a reader would, on a small procedural world."""

from __future__ import annotations

import ast
import json
import math
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import pytest

import stereodistill as sd
from stereodistill.io.images import read_image, write_image

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FOCAL_PX = 150.0


@pytest.fixture
def photo(rendered: Path, tmp_path: Path) -> Path:
    """A left view as a photo."""
    path = tmp_path / "photo.png"
    write_image(path, read_image(min((rendered / "left").iterdir())))
    return path


@pytest.fixture(scope="module")
def fitted(rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, sd.DepthMap]:
    """The folder of one run of `own_footage.py`, and what it returned."""
    run = tmp_path_factory.mktemp("own_footage") / "run"
    main = example("own_footage.py")["main"]
    return run, main(rendered, FOCAL_PX, 0.5, run, epochs=1, student="lite_mono", teacher="sgbm")


def test_all_examples_are_tested():
    tests = Path(__file__).read_text(encoding="utf-8")
    found = [path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".ipynb")]
    assert len(found) == 6
    assert [name for name in found if f'"{name}"' not in tests] == []


def test_photo(photo, mono_weights, tmp_path):
    depth = example("photo.py")["main"](photo, weights=str(mono_weights), focal_px=FOCAL_PX, out=tmp_path / "out")
    assert depth.calibrated
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"depth.png", "depth.jpg", "points.ply"}


@pytest.mark.parametrize("baseline_m", [None, 0.5])
def test_pair(rendered, stereo_weights, tmp_path, baseline_m):
    left, right = (min((rendered / view).iterdir()) for view in ("left", "right"))
    depth = example("pair.py")["main"](
        left, right, teacher=stereo_weights, focal_px=FOCAL_PX, baseline_m=baseline_m, out=tmp_path / "out"
    )
    assert depth.disparity_px.shape == (96, 160)
    assert (tmp_path / "out" / "points.ply").exists() == (baseline_m is not None)


def test_own_footage(fitted):
    run, depth = fitted
    assert depth.disparity_px.shape == (96, 160)
    assert depth.calibrated
    assert (run / "first.jpg").is_file()


def test_onnx_alone_agrees_with_the_package(fitted, photo):
    text = (EXAMPLES / "onnx_alone.py").read_text(encoding="utf-8")
    imported = {name for node in ast.walk(ast.parse(text)) for name in _imported(node)}
    assert imported == {"__future__", "argparse", "json", "pathlib", "cv2", "numpy", "onnxruntime"}
    run, _ = fitted
    found = example("onnx_alone.py")["depth_of"](run / "model.onnx", photo, FOCAL_PX)
    expected = sd.from_pretrained(run / "weights", "cpu").predict(photo, focal_px=FOCAL_PX).depth_m
    # OpenCV and PyTorch average a little differently where a picture shrinks.
    assert np.nanmedian(np.abs(found - expected) / expected) < 0.01


def test_new_data_set_pairs_by_time(rendered, tmp_path):
    recording = tmp_path / "recording"
    for index, path in enumerate(sorted((rendered / "left").iterdir())[:3]):
        for camera, view, late_ns in (("cam0", "left", 0), ("cam1", "right", (1_000_000, 4_000_000, 9_000_000)[index])):
            stamp = 1_400_000_000_000_000_000 + index * 50_000_000 + late_ns
            write_image(recording / camera / f"{stamp}.png", read_image(rendered / view / path.name))
    (recording / "rig.json").write_text(json.dumps({"focal_px": FOCAL_PX, "baseline_m": 0.5, "width": 160}))
    dataset = example("new_data_set.py")["main"](recording, tmp_path / "labels", teacher="sgbm")
    # The third right view is 9 ms late: no partner within 5 ms.
    assert dataset.names == ["1400000000000000000", "1400000000050000000"]
    assert math.isclose(float(dataset.load(1).rig.baseline_m), 0.5)
    assert len(list((tmp_path / "labels" / "disparity").iterdir())) == 2


def test_notebook(tmp_path, monkeypatch):
    notebook = json.loads((EXAMPLES / "tour.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert notebook["nbformat"] == 4
    assert all(not cell["outputs"] for cell in cells), "clear the outputs before committing"
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {}
    for cell in cells:
        exec(compile("".join(cell["source"]), "tour.ipynb", "exec"), scope)
    assert scope["scores"]["lite_stereo"]["d1"] < scope["scores"]["sgbm"]["d1"]
    assert len(scope["data"]) == 2


def example(name: str) -> dict[str, Any]:
    """The names of a script in `examples/`, not run as the main program."""
    return run_path(str(EXAMPLES / name))


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []
