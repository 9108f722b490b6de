from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from stereodistill.cli import run
from stereodistill.data import check_dataset, open_dataset
from stereodistill.data.published.kitti_raw import listed_frames
from stereodistill.data.published.split_lists import expand_ranges
from stereodistill.errors import UserError
from stereodistill.io.images import read_image
from stereodistill.types import Rig

DAY, DRIVE = "2011_09_26", "0002"
NAME = f"{DAY}_drive_{DRIVE}_sync"
SPLITS = {
    "eigen_train": 22_600,
    "eigen_val": 888,
    "eigen_test": 697,
    "eigen_train100": 100,
    "zhou_train": 39_810,
    "zhou_val": 4_424,
    "eigen_benchmark_test": 652,
}


def test_ranges():
    assert expand_ranges("7,3-5,0") == [7, 3, 4, 5, 0]


@pytest.mark.parametrize(("split", "num"), SPLITS.items())
def test_counts(split, num):
    frames = listed_frames(split)
    assert len(frames) == len(set(frames)) == num


def test_how_the_lists_relate():
    frames = {split: listed_frames(split) for split in SPLITS}
    assert set(frames["eigen_train100"]) < set(frames["eigen_train"])
    assert set(frames["eigen_benchmark_test"]) < set(frames["eigen_test"])
    test_drives = {frame[:2] for frame in frames["eigen_test"]}
    assert len(test_drives) == 28
    for split in ("eigen_train", "eigen_val", "zhou_train", "zhou_val"):
        assert not test_drives & {frame[:2] for frame in frames[split]}
    assert sum(frame[2] == "r" for frame in frames["zhou_train"]) == 19_854
    # Test frames keep the order of the published list, by which other people's prediction files are sorted.
    assert [frame for *_, frame in frames["eigen_test"][:5]] == [69, 54, 42, 57, 30]
    assert frames["eigen_test"][-1] == ("2011_10_03", "0047", "l", frames["eigen_test"][-1][3])
    assert frames["eigen_train"] == sorted(frames["eigen_train"])


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_pairs_rig_and_total(kitti_drives, suffix):
    root = kitti_drives([(DAY, DRIVE, 69), (DAY, DRIVE, 54)], suffix=suffix)
    dataset = open_dataset(f"kitti_raw:eigen_test={root}", limit=2)
    assert dataset.names == [f"{NAME}/0000000069", f"{NAME}/0000000054"]
    assert dataset.total == 697 and len({name for name, _ in dataset.missing()}) == 695
    pair = dataset.load(0)
    assert pair.rig == Rig(focal_px=100.0, baseline_m=0.5, width=124)
    assert pair.name == dataset.names[0] and pair.size == (36, 124)
    assert dataset.pair_files(0).right.name == f"0000000069{suffix}"
    assert np.array_equal(pair.right.image.permute(1, 2, 0).numpy(), read_image(dataset.pair_files(0).right))


def test_lidar_gives_both_views_the_walls_disparity(kitti_drives):
    root = kitti_drives([(DAY, DRIVE, 69)])
    pair = open_dataset(f"kitti_raw:eigen_test={root}").load(0)
    for view, first_column in ((pair.left, 2), (pair.right, 0)):
        assert view.disparity[view.valid].numpy() == pytest.approx(5.0, abs=1e-4)
        columns = view.valid[0].nonzero()[:, 1]
        assert columns.min() == first_column and (view.disparity[~view.valid] == 0).all()
    # x_right = x_left - 5, for every point that is still inside
    assert torch.equal(pair.left.valid[..., 5:], pair.right.valid[..., :-5])


def test_depth_is_what_the_eigen_protocol_scores(kitti_drives):
    dataset = open_dataset(f"kitti_raw:all={kitti_drives([(DAY, DRIVE, 7)])}")
    assert not dataset.load(0).left.valid.any()
    classic, valid = dataset.depth(0)
    _, known = dataset.depth(0, pixels="exact")
    assert classic.shape == (36, 124) and classic.dtype == np.float32 and valid.dtype == bool
    assert classic[valid] == pytest.approx(10.0, abs=1e-4)
    assert np.array_equal(valid[:-1, :-1], known[1:, 1:]) and known.sum() == 12 * 26
    assert dataset.depth(0, view="lidar")[0][valid] == pytest.approx(10.27, abs=1e-4)


def test_lidar_split_of_resized_pictures(kitti_drives, tmp_path):
    from stereodistill.io.images import write_image

    root = kitti_drives([(DAY, DRIVE, 7)])
    for path in root.rglob("*.png"):
        write_image(path, read_image(path)[::2, ::2])
    pair = open_dataset(f"kitti_raw:all_lidar={root}").load(0)
    assert pair.rig.focal_px == 50 and pair.left.disparity.shape == (1, 18, 62)
    assert pair.left.disparity[pair.left.valid].numpy() == pytest.approx(2.5, abs=1e-4)


def test_views_of_the_right_camera_are_mirrored_pairs(kitti_drives, assert_windows):
    frames = listed_frames("zhou_val")
    day, drive, _, number = next(frame for frame in frames if frame[2] == "r")
    root = kitti_drives([(day, drive, number)])
    dataset = open_dataset(f"kitti_raw:zhou_val_lidar={root}")
    index = dataset.names.index(f"{day}_drive_{drive}_sync/{number:010d}_r")
    pair = dataset.load(index)
    right_photo = read_image(dataset.entry(index).right)
    assert np.array_equal(pair.left.image.permute(1, 2, 0).numpy(), right_photo[:, ::-1])
    assert not dataset.images_are_files
    assert_windows(dataset, index)
    shifted = torch.equal(pair.left.image[..., 5:], pair.right.image[..., :-5])
    assert shifted and pair.left.disparity[pair.left.valid].numpy() == pytest.approx(5.0, abs=1e-4)
    assert np.array_equal(dataset.depth(index, pixels="exact")[1], pair.left.valid[0].numpy())


def test_all_finds_every_drive_and_lonely_frames(kitti_drives):
    root = kitti_drives([("2011_09_28", "0001", 0), (DAY, "0010", 1), (DAY, "0002", 2)])
    lonely = root / DAY / f"{DAY}_drive_0010_sync" / "image_02" / "data" / "0000000001.png"
    lonely.unlink()
    dataset = open_dataset(f"kitti_raw:all={root}")
    assert [name.split("_drive_")[1] for name in dataset.names] == [
        "0002_sync/0000000002", "0010_sync/0000000001", "0001_sync/0000000000",
    ]  # fmt: skip
    assert dataset.missing() == [(dataset.names[1], lonely)]


def test_an_absent_scan_names_the_frame(kitti_drives):
    root = kitti_drives([(DAY, DRIVE, 69)], scans=False)
    dataset = open_dataset(f"kitti_raw:eigen_test={root}")
    with pytest.raises(UserError, match=f"frame {NAME}/0000000069 lacks .*velodyne_points/data/0000000069.bin"):
        dataset.load(0)
    with pytest.raises(UserError, match=f"frame {NAME}/0000000069 has no LiDAR scan"):
        dataset.depth(0)


def test_a_rig_by_hand_makes_calibration_needless(kitti_drives):
    root = kitti_drives([(DAY, DRIVE, 7)])
    (root / DAY / "calib_cam_to_cam.txt").unlink()
    with pytest.raises(UserError, match="lacks .*calib_cam_to_cam.txt"):
        open_dataset(f"kitti_raw:all={root}").load(0)
    given = Rig(focal_px=200.0, baseline_m=0.5, width=248)
    dataset = open_dataset(f"kitti_raw:all={root}", rig=given)
    assert dataset.load(0).rig == given.at_width(124) and not dataset.missing()


def test_check_tells_what_is_missing(kitti_drives, tmp_path, capsys):
    root = kitti_drives([(DAY, DRIVE, 69), (DAY, DRIVE, 54)])
    report = check_dataset(f"kitti_raw:eigen_test={root}")
    assert not report.ok and report.codes("error") == {"missing_files"}
    finding = report.findings[0]
    first = root / DAY / NAME / "image_02" / "data" / "0000000042.png"
    assert finding.message == f"missing 695 of 697: {first} ..." and len(finding.pairs) == 695
    assert (report.num_readable, report.num_expected, report.num_missing) == (2, 697, 695)
    assert run(["check", f"kitti_raw:eigen_test={root}", "--json", str(tmp_path / "report.json")]) == 1
    told = json.loads((tmp_path / "report.json").read_text())
    assert (told["split"], told["num_expected"], told["num_missing"]) == ("kitti_raw:eigen_test", 697, 695)
    assert "697 frames in the split, 695 missing" in capsys.readouterr().out
    assert check_dataset(f"kitti_raw:all={root}").num_missing == 0
