"""ETH3D two-view: scenes, masks, infinite disparity, calib.txt in millimetres."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stereodistill.data.published.eth3d import Eth3D
from stereodistill.errors import UserError
from stereodistill.io.disparity import write_pfm
from stereodistill.io.images import write_image

SIZE = (6, 12)
CALIB = """cam0=[541.764 0 553.869; 0 541.764 232.396; 0 0 1]
cam1=[541.764 0 553.869; 0 541.764 232.396; 0 0 1]
doffs=0
baseline=59.9504
width=12
height=6
ndisp=64
"""


def write_scene(folder: Path, truth: Path | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("im0.png", "im1.png"):
        write_image(folder / name, np.full(SIZE, 128, np.uint8))
    (folder / "calib.txt").write_text(CALIB)
    if truth is not None:
        disparity = np.full(SIZE, 4.5, np.float32)
        disparity[0, 0] = np.inf
        write_pfm(truth / "disp0GT.pfm", disparity)
        mask = np.full(SIZE, 255, np.uint8)
        mask[0, 0], mask[1, :3] = 0, 128
        write_image(truth / "mask0nocc.png", mask)


@pytest.mark.parametrize("place", ["", "two_view_training", "apart"])
def test_training_scene(tmp_path, place):
    folder = tmp_path / place.replace("apart", "two_view_training") / "delivery_area_1l"
    write_scene(folder, tmp_path / "two_view_training_gt/delivery_area_1l" if place == "apart" else folder)
    every, seen = Eth3D(tmp_path, "train").load(0), Eth3D(tmp_path, "train_nocc").load(0)
    assert (every.left.valid.sum(), seen.left.valid.sum()) == (72 - 1, 72 - 4)
    assert every.left.disparity[every.left.valid].unique().tolist() == [4.5]
    assert not seen.left.disparity[~seen.left.valid].any()
    assert not every.right.valid.any()
    assert (every.rig.focal_px, every.rig.baseline_m) == (541.764, pytest.approx(0.0599504))
    assert (Eth3D(tmp_path).total, len(Eth3D(tmp_path).missing())) == (27, 26 * 4)


def test_test_scenes_have_no_truth(tmp_path):
    write_scene(tmp_path / "two_view_test/tunnel_3s", None)
    dataset = Eth3D(tmp_path, "test")
    assert dataset.total == 20
    assert not dataset.load(dataset.names.index("tunnel_3s")).left.valid.any()


def test_a_mask_of_another_size_is_refused(tmp_path):
    folder = tmp_path / "delivery_area_1l"
    write_scene(folder, folder)
    write_image(folder / "mask0nocc.png", np.full((3, 6), 255, np.uint8))
    with pytest.raises(UserError, match="12x6, found 6x3"):
        Eth3D(tmp_path, "train_nocc").load(0)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="nothing of eth3d:train.*delivery_area_1l/im0.png"):
        Eth3D(tmp_path)
