import math
import shutil

import numpy as np
import pytest
import torch

from stereodistill.data import open_dataset
from stereodistill.errors import UserError
from stereodistill.io.disparity import write_disparity, write_pfm
from stereodistill.io.images import write_image
from stereodistill.types import OwnWidthRig, Rig

CALIB = "P{0}: 700 0 300 0 0 700 180 0 0 0 1 0\nP{1}: 700 0 300 {2} 0 700 180 0 0 0 1 0\n"


def put(path, size=(6, 8), value=0.5):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.full((*size, 3), value, np.float32))


def test_folder_pair_has_images_truth_and_scaled_rig(pairs_folder, scene):
    dataset = open_dataset(pairs_folder(2, truth=True))
    pair = dataset.load(1)
    left, right, disparity = scene(1)
    assert (len(dataset), dataset.names, pair.name) == (2, ["0", "1"], "1")
    assert pair.left.image.dtype == pair.left.disparity.dtype == torch.float32
    assert pair.left.image.shape == (3, 160, 320) and pair.left.disparity.shape == (1, 160, 320)
    assert np.abs(pair.left.image.permute(1, 2, 0).numpy() - left).max() < 0.003
    assert np.abs(pair.right.image.permute(1, 2, 0).numpy() - right).max() < 0.003
    assert np.array_equal(pair.left.disparity[0].numpy(), disparity) and pair.left.valid.all()
    assert not pair.right.valid.any() and pair.right.disparity.abs().sum() == 0
    assert pair.rig == Rig(focal_px=150.0, baseline_m=0.2, width=320, doffs_px=1.0)


def test_without_calibration_the_rig_is_unknown(pairs_folder):
    rig = open_dataset(pairs_folder(1, rig=False)).load(0).rig
    assert not rig.is_metric and math.isnan(rig.focal_px) and rig.width == 320


def test_own_rig_beats_shared_rig_and_given_rig_beats_both(pairs_folder):
    root = pairs_folder(2)
    (root / "rig").mkdir()
    (root / "rig" / "1.json").write_text('{"focal_px": 64.0, "baseline_m": 0.1, "width": 320}')
    assert [open_dataset(root).load(i).rig.focal_px for i in (0, 1)] == [150.0, 64.0]
    given = Rig(focal_px=100.0, baseline_m=0.3, width=160)
    assert {open_dataset(root, rig=given).load(i).rig for i in (0, 1)} == {given.at_width(320)}
    at_own_width = OwnWidthRig(focal_px=100.0, baseline_m=0.3)
    assert open_dataset(root, rig=at_own_width).load(0).rig == Rig(focal_px=100.0, baseline_m=0.3, width=320)
    with pytest.raises(UserError, match="at each picture's own width give an OwnWidthRig"):
        open_dataset(root, rig=Rig(focal_px=100.0, baseline_m=0.3, width=0)).load(0)


def test_names_are_in_natural_order_and_limit_takes_the_first(tmp_path):
    for number in (10, 9, 1, 100):
        put(tmp_path / "left" / f"f{number}.png")
        put(tmp_path / "right" / f"f{number}.png")
    assert open_dataset(tmp_path).names == ["f1", "f9", "f10", "f100"]
    assert open_dataset(tmp_path, limit=2).names == ["f1", "f9"]


def test_sizes_may_differ_between_pairs_and_suffixes_between_views(tmp_path):
    put(tmp_path / "left" / "a.png", (6, 8))
    put(tmp_path / "right" / "a.jpg", (6, 8))
    put(tmp_path / "left" / "seq" / "b.png", (4, 10))
    put(tmp_path / "right" / "seq" / "b.png", (4, 10))
    dataset = open_dataset(tmp_path)
    assert dataset.names == ["a", "seq/b"]
    assert [dataset.load(i).size for i in (0, 1)] == [(6, 8), (4, 10)]


@pytest.mark.parametrize(
    "left, right, cameras, baseline",
    [("image_2", "image_3", (2, 3), 0.5), ("image_0", "image_1", (0, 1), 0.6)],
)
def test_kitti_stereo_tree(tmp_path, left, right, cameras, baseline):
    for name in ("000000_10", "000000_11"):
        put(tmp_path / "training" / left / f"{name}.png")
        put(tmp_path / "training" / right / f"{name}.png")
    truth = np.zeros((6, 8), np.float32)
    truth[2, 3] = 1.5
    for folder, value in (("disp_occ_0", truth), ("disp_noc_0", truth * 2)):
        (tmp_path / "training" / folder).mkdir()
        write_disparity(tmp_path / "training" / folder / "000000_10.png", value)
    (tmp_path / "training" / "calib").mkdir()
    text = CALIB.format(0, 1, -700 * 0.6) + CALIB.format(2, 3, -700 * 0.5)
    (tmp_path / "training" / "calib" / "000000.txt").write_text(text)
    dataset = open_dataset(tmp_path)
    assert dataset.names == ["training/000000_10", "training/000000_11"]
    labelled, unlabelled = dataset.load(0), dataset.load(1)
    assert labelled.left.valid.sum() == 1 and labelled.left.disparity[0, 2, 3] == 1.5
    assert not unlabelled.left.valid.any()
    assert labelled.rig.baseline_m == pytest.approx(baseline) and labelled.rig.focal_px == pytest.approx(700)


def test_kitti_raw_drives_take_the_calibration_of_their_day(tmp_path):
    day = tmp_path / "2011_09_26"
    for drive in ("drive_0002", "drive_0010"):
        for camera in ("image_02", "image_03", "image_00", "image_01"):
            put(day / drive / camera / "data" / "0000000005.png")
    text = "S_rect_02: 16 12\nP_rect_02: 14 0 3 0 0 14 2 0 0 0 1 0\nP_rect_03: 14 0 3 -7 0 14 2 0 0 0 1 0\n"
    (day / "calib_cam_to_cam.txt").write_text(text)
    expected = Rig(focal_px=7.0, baseline_m=0.5, width=8)
    dataset = open_dataset(tmp_path)
    assert dataset.names == [f"2011_09_26/drive_00{n}/0000000005" for n in ("02", "10")]
    assert dataset.pair_files(0).left.parts[-3] == "image_02"
    assert dataset.load(0).rig == open_dataset(day / "drive_0010").load(0).rig == expected


def test_calibration_by_width(tmp_path):
    for width in (8, 10):
        put(tmp_path / "image_0" / f"{width}.png", (6, width))
        put(tmp_path / "image_1" / f"{width}.png", (6, width))
    rows = "# width height day fx cx cy bf\n8 6 d1 16.0 4 3 8.0 x\n10 6 d2 30.0 - - - y\n"
    (tmp_path / "calib_by_width.txt").write_text(rows)
    rigs = [open_dataset(tmp_path).load(i).rig for i in (0, 1)]
    assert rigs == [Rig(focal_px=16.0, baseline_m=0.5, width=8), Rig(focal_px=30.0, baseline_m=0.5, width=10)]


def test_csv_is_relative_to_its_folder_and_keeps_its_order(tmp_path):
    put(tmp_path / "l" / "b.png")
    put(tmp_path / "r" / "b.png")
    write_pfm(tmp_path / "b.pfm", np.full((6, 8), 2.0, np.float32))
    table = "left,right,disparity,focal_px,baseline_m\nl/b.png,r/b.png,b.pfm,50,0.1\nr/b.png, l/b.png,,,\n"
    (tmp_path / "list.csv").write_text(table)
    dataset = open_dataset(tmp_path / "list.csv")
    assert dataset.names == ["l/b", "r/b"]
    first, second = dataset.load(0), dataset.load(1)
    assert first.rig == Rig(focal_px=50.0, baseline_m=0.1, width=8) and not second.rig.is_metric
    assert (first.left.disparity == 2).all() and not second.left.valid.any()


@pytest.mark.parametrize(
    "text, message",
    [
        ("a,b\n1,2\n", "columns"),
        ("left,right,focal\nl/b.png,r/b.png,4\n", "focal_px"),
        ("left,right\n", "no stereo pairs"),
        ("left,right\nl/b.png,\n", "line 2: one view missing"),
        ("left,right\nl/b.png,r/c.png\n", "line 2: right: no such file"),
        ("left,right,focal_px\nl/b.png,r/b.png,long\n", "line 2: .*numbers"),
    ],
)
def test_bad_csv(tmp_path, text, message):
    put(tmp_path / "l" / "b.png")
    put(tmp_path / "r" / "b.png")
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        open_dataset(tmp_path / "list.csv")


@pytest.mark.parametrize("left, right", [("left_1", "right_1"), ("imageL0", "imageR0"), ("im0", "im1"), ("I1c", "I2c")])
def test_pairs_told_apart_by_file_names(tmp_path, left, right):
    for name in (left, right, "disp_left", "occ_left"):
        put(tmp_path / f"{name}.png")
    dataset = open_dataset(tmp_path)
    assert dataset.names == [left] and dataset.pair_files(0).right == tmp_path / f"{right}.png"


def test_one_pair_of_files(tmp_path):
    put(tmp_path / "a.png", value=0.2)
    put(tmp_path / "b.png", value=0.8)
    pair = open_dataset((tmp_path / "a.png", tmp_path / "b.png")).load(0)
    assert pair.left.image.mean() < 0.3 < 0.7 < pair.right.image.mean()


def test_wrong_path_and_no_pairs_say_what_is_understood(tmp_path):
    with pytest.raises(UserError, match="no such file or folder.*left/NAME.png"):
        open_dataset(tmp_path / "nowhere")
    put(tmp_path / "photos" / "a.png")
    with pytest.raises(UserError, match="no stereo pairs; found photos/; expected left/NAME.png.*KITTI"):
        open_dataset(tmp_path)
    put(tmp_path / "left" / "a.png")
    with pytest.raises(UserError, match="found .*left without its partner"):
        open_dataset(tmp_path)
    with pytest.raises(UserError, match="layout 'kiti' is not known"):
        open_dataset(tmp_path, layout="kiti")


def test_a_missing_view_is_named(pairs_folder):
    root = pairs_folder(3)
    (root / "right" / "1.png").unlink()
    with pytest.raises(UserError, match=r"one view missing for 1 of 3 names.*left.1\.png"):
        open_dataset(root)


def test_sizes_that_differ_within_a_pair(tmp_path):
    put(tmp_path / "left" / "a.png", (6, 8))
    put(tmp_path / "right" / "a.png", (6, 9))
    with pytest.raises(UserError, match="a: the two views must have one size, found 8x6 .* 9x6"):
        open_dataset(tmp_path).load(0)


def test_truncated_image_and_bad_truth(pairs_folder):
    root = pairs_folder(1, truth=True)
    write_disparity(root / "disparity" / "0.png", np.ones((5, 5), np.float32))
    with pytest.raises(UserError, match="ground truth must have the size of its image 320x160, found 5x5"):
        open_dataset(root).load(0)
    shutil.rmtree(root / "disparity")
    (root / "disparity").mkdir()
    write_pfm(root / "disparity" / "0.pfm", np.full((160, 320), -3.0, np.float32))
    with pytest.raises(UserError, match="negative"):
        open_dataset(root).load(0)
    data = (root / "left" / "0.png").read_bytes()
    (root / "left" / "0.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="0.png"):
        open_dataset(root).load(0)


def test_nan_in_ground_truth_is_unknown_and_never_a_number(pairs_folder):
    root = pairs_folder(1)
    truth = np.full((160, 320), 4.0, np.float32)
    truth[:80] = np.nan
    (root / "disparity").mkdir()
    write_pfm(root / "disparity" / "0.pfm", truth)
    view = open_dataset(root).load(0).left
    assert view.valid.sum() == 80 * 320 and torch.isfinite(view.disparity).all()


def test_real_trees_open_with_their_rigs(real_data):
    grey = open_dataset(real_data / "kitti2012")
    assert len(grey) == 122 and grey.names[:2] == ["000000_10", "000000_11"]
    first = grey.load(0)
    assert first.left.valid.float().mean() > 0.15 and not grey.load(1).left.valid.any()
    assert first.rig.focal_px == pytest.approx(707.0912) and first.rig.baseline_m == pytest.approx(0.537, abs=1e-3)
    colour = open_dataset(real_data / "kitti2015")
    assert len(colour) == 10 and colour.load(0).rig.focal_px == pytest.approx(721.5377)
    assert colour.load(0).rig.baseline_m == pytest.approx(0.53273, abs=1e-4)
    video = open_dataset(real_data / "kitti_odometry_seq1_grey")
    assert len(video) == 51 and video.load(50).rig.is_metric
