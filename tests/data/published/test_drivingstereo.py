"""DrivingStereo: both layouts, both sizes, the calibration's doubled baseline, frames without a partner."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stereodistill.data.published.drivingstereo import DrivingStereo
from stereodistill.errors import UserError
from stereodistill.io.images import write_image

SIZE = (4, 8)
DATE = "2018-07-09-16-11-56"
STEM = f"{DATE}_{DATE}-702"
CALIB = """S_101: 1.92e+03 1.2e+03
K_101: 2.0e+03 0 9.6e+02 0 2.0e+03 6.0e+02 0 0 1
T_101: 0 0 0
S_rect_101: 8.81e+02 4.0e+02
P_rect_101: 1.003556e+03 0 4.4e+02 0 0 1.006938e+03 2.0e+02 0 0 0 1 0
T_103: -5.446076e-01 -1.0e-03 2.0e-03
P_rect_103: 1.003556e+03 0 4.4e+02 -1.0930e+03 0 1.006938e+03 2.0e+02 0 0 0 1 0
"""


def write_frame(left: Path, right: Path, truth: Path, stem: str = STEM, suffix: str = ".jpg") -> None:
    for folder in (left, right):
        write_image(folder / f"{stem}{suffix}", np.full((*SIZE, 3), 128, np.uint8))
    stored = np.full(SIZE, 256 * 20, np.uint16)
    stored[0] = 0
    write_image(truth / f"{stem}.png", stored)


def write_calibration(root: Path, size: str = "half") -> None:
    folder = root / "calib" / f"{size}-image-calib"
    folder.mkdir(parents=True)
    (folder / f"{DATE}.txt").write_text(CALIB)


@pytest.mark.parametrize("joint", ["-", "_"])
def test_training_layout(tmp_path, assert_windows, joint):
    folders = [
        tmp_path / f"train-{k}".replace("-", joint) / DATE for k in ("left-image", "right-image", "disparity-map")
    ]
    write_frame(*folders)
    write_calibration(tmp_path)
    dataset = DrivingStereo(tmp_path)
    assert (dataset.names, dataset.missing()) == ([f"{DATE}/{STEM}"], [])
    assert_windows(dataset, 0)
    pair = dataset.load(0)
    assert pair.left.disparity[pair.left.valid].unique().tolist() == [20.0]
    assert int(pair.left.valid.sum()) == 24 and not pair.right.valid.any()
    rig = pair.rig.at_width(881)
    assert rig.focal_px == pytest.approx(1003.556)
    assert rig.baseline_m == pytest.approx(0.5446, abs=1e-4), "not the doubled one of P_rect_103"


def test_weather_layout_in_both_sizes(tmp_path):
    for size, suffix in (("half", ".jpg"), ("full", ".png")):
        places = [tmp_path / "rainy" / f"{k}-{size}-size" for k in ("left-image", "right-image", "disparity-map")]
        write_frame(*places, suffix=suffix)
    half = DrivingStereo(tmp_path, "rainy").load(0)
    full = DrivingStereo(tmp_path, "rainy_full").load(0)
    assert half.left.disparity.max() == 20 and full.left.disparity.max() == 40, "px * 256 and px * 128"
    assert not half.rig.is_metric


def test_half_size_archives_opened_in_place(tmp_path):
    write_frame(*(tmp_path / f"{k}-half-size" for k in ("left-image", "right-image", "disparity-map")))
    assert DrivingStereo(tmp_path, "test").names == [STEM]
    with pytest.raises(UserError, match="nothing of drivingstereo:train_full"):
        DrivingStereo(tmp_path, "train_full")


def test_a_frame_without_its_partner_is_missing_not_dropped(tmp_path):
    folders = [tmp_path / f"test-{k}" for k in ("left-image", "right-image", "disparity-map")]
    write_frame(*folders)
    write_frame(*folders, stem=f"{DATE}_{DATE}-703")
    (folders[1] / f"{STEM}.jpg").unlink()
    dataset = DrivingStereo(tmp_path, "test")
    assert dataset.total == 2
    assert dataset.missing() == [(STEM, folders[1] / f"{STEM}.jpg")]


def test_another_folder_names_what_was_expected(tmp_path):
    with pytest.raises(UserError, match="train-left-image/, train-right-image/, train-disparity-map/"):
        DrivingStereo(tmp_path)


def test_a_calibration_without_its_lines_is_refused(tmp_path):
    write_frame(*(tmp_path / f"test-{k}" for k in ("left-image", "right-image", "disparity-map")))
    write_calibration(tmp_path)
    (tmp_path / "calib/half-image-calib" / f"{DATE}.txt").write_text("P_rect_101: 1 2 3\n")
    with pytest.raises(UserError, match="P_rect_101 .12 numbers. and T_103"):
        DrivingStereo(tmp_path, "test").load(0)
