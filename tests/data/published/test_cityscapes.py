"""Cityscapes: the lists' counts, the hood, the camera files and the offset in the disparity."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from stereodistill.data.published.cityscapes import Cityscapes
from stereodistill.errors import UserError
from stereodistill.io.images import write_image

SIZE = (20, 40)
FRAMES = {
    "train": "train/aachen/aachen_000000_000019",
    "val": "val/frankfurt/frankfurt_000000_000294",
    "test": "test/berlin/berlin_000000_000019",
    "train_fine": "train/aachen/aachen_000000_000019",
    "train_extra": "train_extra/bad-honnef/bad-honnef_000000_000019",
}


def write_frame(root: Path, path: str, *, camera: bool = True, truth: bool = True) -> np.ndarray:
    """Files of one frame; returns what is stored as disparity."""
    rows = np.linspace(0, 1, SIZE[0], dtype=np.float32)[:, None, None]
    stored = np.full(SIZE, 1 + 256 * 10, np.uint16)
    stored[0, :2] = 0, 1
    for side in ("leftImg8bit", "rightImg8bit"):
        write_image(root / side / f"{path}_{side}.png", np.broadcast_to(rows, (*SIZE, 3)))
    if truth:
        write_image(root / "disparity" / f"{path}_disparity.png", stored)
    if camera:
        file = root / "camera" / f"{path}_camera.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        values = {"extrinsic": {"baseline": 0.209313}, "intrinsic": {"fx": 2262.52, "fy": 2265.3, "u0": 1096.98}}
        file.write_text(json.dumps(values))
    return stored


@pytest.mark.parametrize("split", FRAMES)
def test_counts_are_the_lists(tmp_path, split):
    write_frame(tmp_path, FRAMES[split])
    expected = {"train": 22973, "val": 500, "test": 1525, "train_fine": 2975, "train_extra": 19998}
    dataset = Cityscapes(tmp_path, f"{split}_hood")
    assert dataset.total == len(set(dataset.names)) == expected[split]
    assert FRAMES[split] in dataset.names


def test_names_are_the_lists(tmp_path):
    names = []
    for split in ("train", "val", "test"):
        write_frame(tmp_path, FRAMES[split])
        names += Cityscapes(tmp_path, split).names
    assert hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16] == "508d843939b6dd0f"


def load(root: Path, split: str, path: str):
    dataset = Cityscapes(root, split)
    return dataset.load(dataset.names.index(path))


def test_the_hood_is_cropped_from_picture_and_truth_alike(tmp_path, assert_windows):
    path = FRAMES["val"]
    write_frame(tmp_path, path)
    for split in ("val", "val_hood"):
        dataset = Cityscapes(tmp_path, split)
        assert_windows(dataset, dataset.names.index(path))
    cropped, whole = load(tmp_path, "val", path), load(tmp_path, "val_hood", path)
    assert (cropped.size, whole.size) == ((16, 40), SIZE)
    assert torch.equal(cropped.left.image, whole.left.image[:, :16])
    assert torch.equal(cropped.left.valid, whole.left.valid[:, :16])
    assert cropped.rig == whole.rig, "rows do not change the cameras"


def test_stored_0_and_1_are_unknown_and_the_offset_is_taken_off(tmp_path):
    write_frame(tmp_path, FRAMES["val"])
    view = load(tmp_path, "val", FRAMES["val"]).left
    assert (~view.valid).nonzero()[:, 1:].tolist() == [[0, 0], [0, 1]]
    assert view.disparity[view.valid].unique().tolist() == [10.0]
    assert not view.disparity[~view.valid].any()


def test_the_camera_file_is_the_rig_at_this_width(tmp_path):
    write_frame(tmp_path, FRAMES["val"])
    rig = load(tmp_path, "val", FRAMES["val"]).rig
    assert (rig.at_width(2048).focal_px, rig.baseline_m) == (pytest.approx(2262.52), 0.209313)


def test_camera_and_disparity_are_optional_downloads_but_not_for_single_frames(tmp_path):
    path = FRAMES["val"]
    write_frame(tmp_path, path, camera=False, truth=False)
    pair = load(tmp_path, "val", path)
    assert not pair.rig.is_metric and not pair.left.valid.any()
    assert path not in {name for name, _ in Cityscapes(tmp_path, "val").missing()}
    (tmp_path / "disparity/val").mkdir(parents=True)
    with pytest.raises(UserError, match=r"lacks .*_disparity.png"):
        load(tmp_path, "val", path)


@pytest.mark.parametrize("text", ["{", "[]", '{"intrinsic": {"fx": "wide"}}', '{"intrinsic": {"fx": 1}}'])
def test_a_damaged_camera_file_is_one_line(tmp_path, text):
    write_frame(tmp_path, FRAMES["val"])
    (tmp_path / "camera" / f"{FRAMES['val']}_camera.json").write_text(text)
    with pytest.raises(UserError, match="intrinsic.fx and extrinsic.baseline"):
        load(tmp_path, "val", FRAMES["val"])


def test_an_8_bit_disparity_is_refused(tmp_path):
    write_frame(tmp_path, FRAMES["val"])
    write_image(tmp_path / "disparity" / f"{FRAMES['val']}_disparity.png", np.ones(SIZE, np.uint8))
    with pytest.raises(UserError, match="16-bit grey"):
        load(tmp_path, "val", FRAMES["val"])
