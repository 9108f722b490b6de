"""Scene Flow in both folder conventions: the published counts, true file names, the data set's own sign and unit."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from stereodistill.data.published.sceneflow import SceneFlow
from stereodistill.errors import UserError
from stereodistill.io.disparity import read_pfm, write_pfm
from stereodistill.io.images import write_image
from stereodistill.ops.warp import warp_to_left

SIZE = (6, 16)
# Convention -> (sequence, folder of photos, folder of disparity), "{p}" is the pass.
FLAT = {
    "flyingthings_train": ("TRAIN/C/0746", "RGB_{p}/TRAIN/C/0746", "disparity/TRAIN/C/0746"),
    "monkaa": ("TRAIN/eating_x2", "RGB_{p}/TRAIN/eating_x2", "disparity/TRAIN/eating_x2"),
    "driving": (
        "TRAIN/15mm_focallength/scene_forwards/fast",
        "RGB_{p}/TRAIN/15mm_focallength/scene_forwards/fast",
        "disparity/TRAIN/15mm_focallength/scene_forwards/fast",
    ),
    "test": ("TEST/B/0049", "RGB_{p}/TEST/B/0049", "disparity/TEST/B/0049"),
}
ORIGINAL = {
    "flyingthings_train": (
        "TRAIN/A/0000",
        "FlyingThings3D/frames_{p}/TRAIN/A/0000",
        "FlyingThings3D/disparity/TRAIN/A/0000",
    ),
    "monkaa": ("TRAIN/family_x2", "monkaa__frames_{p}/frames_{p}/family_x2", "monkaa__disparity/disparity/family_x2"),
    "driving": (
        "TRAIN/35mm_focallength/scene_backwards/slow",
        "frames_{p}/35mm_focallength/scene_backwards/slow",
        "disparity/35mm_focallength/scene_backwards/slow",
    ),
    "test": ("TEST/A/0000", "FlyingThings3D/frames_{p}_webp/TEST/A/0000", "FlyingThings3D/disparity/TEST/A/0000"),
}  # fmt: skip


def write_frame(root: Path, photos: str, truths: str, frame: str, *, suffix: str = ".png", sign: int = 1) -> None:
    for side, value in (("left", 3.0), ("right", 5.0)):
        for folder in (root / photos / side, root / truths / side):
            folder.mkdir(parents=True, exist_ok=True)
        write_image(root / photos / side / f"{frame}{suffix}", np.full((*SIZE, 3), value / 10, np.float32))
        disparity = np.full(SIZE, sign * value, np.float32)
        disparity[0, :3] = np.inf, np.nan, 0
        write_pfm(root / truths / side / f"{frame}.pfm", disparity)


@pytest.mark.parametrize("convention", [FLAT, ORIGINAL], ids=["flattened", "original"])
@pytest.mark.parametrize("split", FLAT)
def test_both_conventions_load(tmp_path, assert_windows, split, convention):
    render = "cleanpass" if split in ("monkaa", "test") else "finalpass"
    sequence, photos, truths = convention[split]
    photos = photos.format(p=render)
    write_frame(tmp_path, photos, truths, "0010", suffix=".webp" if "webp" in photos else ".png")
    dataset = SceneFlow(tmp_path, split if render == "finalpass" else f"{split}_cleanpass")
    index = dataset.names.index(f"{sequence}/0010")
    assert_windows(dataset, index)
    pair = dataset.load(index)
    assert pair.size == SIZE
    assert torch.allclose(pair.left.image, torch.tensor(0.3), atol=1 / 255)
    for view, value in ((pair.left, 3.0), (pair.right, 5.0)):
        assert view.valid.logical_not().nonzero()[:, 1:].tolist() == [[0, 0], [0, 1], [0, 2]]
        assert set(view.disparity[view.valid].tolist()) == {value}
        assert not view.disparity[~view.valid].any()


def test_counts_and_names_are_the_published_ones(tmp_path):
    sums = {}
    for split, photos in (("train", FLAT["monkaa"]), ("test", FLAT["test"])):
        write_frame(tmp_path, photos[1].format(p="finalpass"), photos[2], "0006")
        dataset = SceneFlow(tmp_path, split)
        assert dataset.total == len(dataset) == {"train": 35454, "test": 4370}[split]
        assert len(set(dataset.names)) == dataset.total
        sums[split] = hashlib.sha256("\n".join(sorted(dataset.names)).encode()).hexdigest()[:16]
    absent = {name for name, _ in dataset.missing()}
    assert len(absent) == 4370 - 1, "one frame is on disk"
    assert sums == {"train": "8d489151eb83dd74", "test": "ccf19e028e57e35e"}


def test_the_sign_of_a_release_does_not_matter(tmp_path):
    _, photos, truths = FLAT["test"]
    write_frame(tmp_path, photos.format(p="finalpass"), truths, "0015", sign=-1)
    dataset = SceneFlow(tmp_path, "test")
    pair = dataset.load(dataset.names.index("TEST/B/0049/0015"))
    assert pair.left.disparity[pair.left.valid].unique().tolist() == [3.0]
    assert pair.right.disparity[pair.right.valid].unique().tolist() == [5.0]


@pytest.mark.parametrize(("convention", "focal_px"), [(FLAT, 450.0), (ORIGINAL, 1050.0)])
def test_focal_length_of_15_and_35_mm(tmp_path, convention, focal_px):
    sequence, photos, truths = convention["driving"]
    write_frame(tmp_path, photos.format(p="finalpass"), truths, "0001")
    dataset = SceneFlow(tmp_path, "driving")
    rig = dataset.load(dataset.names.index(f"{sequence}/0001")).rig
    assert rig.at_width(960).focal_px == pytest.approx(focal_px)
    assert (rig.baseline_m, rig.width) == (1.0, SIZE[1])


def test_another_folder_is_refused_in_one_line(tmp_path):
    (tmp_path / "kitti").mkdir()
    with pytest.raises(UserError, match=r"nothing of sceneflow:test.*frames_finalpass/TEST/A/0000/left/0006.png") as e:
        SceneFlow(tmp_path, "test")
    assert "\n" not in str(e.value) and "kitti/" in str(e.value)


def test_three_channel_truth_is_refused(tmp_path):
    write_frame(tmp_path, "RGB_finalpass/TEST/A/0000", "disparity/TEST/A/0000", "0006")
    write_pfm(tmp_path / "disparity/TEST/A/0000/left/0006.pfm", np.ones((*SIZE, 3), np.float32))
    with pytest.raises(UserError, match="one channel"):
        SceneFlow(tmp_path, "test").load(0)


def test_a_real_pair_obeys_its_disparity(tmp_path, real_data):
    source = real_data / "sceneflow_A-0032-0006"
    links = {
        "disparity/TEST/A/0032/left/0006.pfm": "disp_left.pfm",
        "disparity/TEST/A/0032/right/0006.pfm": "disp_left.pfm",
    }
    links |= {f"frames_cleanpass/TEST/A/0032/{side}/0006.png": f"{side}.png" for side in ("left", "right")}
    for place, name in links.items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).symlink_to(source / name)
    dataset = SceneFlow(tmp_path, "test_cleanpass")
    pair = dataset.load(dataset.names.index("TEST/A/0032/0006"))
    assert pair.size == (540, 960)
    assert torch.equal(pair.left.disparity[0], torch.from_numpy(np.abs(read_pfm(source / "disp_left.pfm"))))
    warped, inside = warp_to_left(pair.right.image[None], pair.left.disparity[None])
    error = (warped - pair.left.image).abs().mean(1, keepdim=True)[inside]
    unmoved = (pair.right.image - pair.left.image).abs().mean()
    assert float(error.median()) < 0.02 < float(unmoved)
