from __future__ import annotations

import numpy as np
import pytest

from stereodistill.data import open_dataset
from stereodistill.errors import UserError
from stereodistill.io.images import write_image

DAY, DRIVE = "2011_09_26", "0002"
NAME = f"{DAY}_drive_{DRIVE}_sync"


def write_truth(root, frame, camera="image_02", metres=20.0, part="val"):
    """Truth of 20 m (2.5 px) in the lower half, KITTI's own file names."""
    samples = np.zeros((36, 124), np.uint16)
    samples[18:] = round(metres * 256)
    path = root / part / NAME / "proj_depth" / "groundtruth" / camera / f"{frame:010d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, samples)
    return path


@pytest.mark.parametrize("home", ["same", "comma", "environment"])
def test_raw_pictures_are_found(kitti_drives, tmp_path, monkeypatch, home):
    raw = kitti_drives([(DAY, DRIVE, 69)], scans=False, root=tmp_path / "kitti_raw")
    depth = raw if home == "same" else tmp_path / "depth"
    write_truth(depth, 69)
    if home == "environment":
        monkeypatch.setenv("STEREODISTILL_DATA", str(tmp_path))
    dataset = open_dataset(f"kitti_depth={depth}" + (f",{raw}" if home == "comma" else ""))
    assert dataset.total == 652 and dataset.names[0] == f"{NAME}/0000000069"
    pair = dataset.load(0)
    assert pair.left.disparity[pair.left.valid].numpy() == pytest.approx(100 * 0.5 / 20, abs=1e-5)
    assert pair.left.valid[0, 18:].all() and not pair.left.valid[0, :18].any() and not pair.right.valid.any()
    depth_m, valid = dataset.depth(0)
    assert depth_m.dtype == np.float32 and (depth_m[valid] == 20).all() and valid.sum() == 18 * 124


def test_truth_inside_the_drives_of_the_raw_data_and_of_the_right_view(kitti_drives):
    raw = kitti_drives([(DAY, DRIVE, 69)])
    for camera, metres in (("image_02", 20), ("image_03", 40)):
        write_truth(raw, 69, camera, metres, part=DAY)
    pair = open_dataset(f"kitti_depth:eigen_test={raw}").load(0)
    assert pair.left.disparity.max() == pytest.approx(2.5) and pair.right.disparity.max() == pytest.approx(1.25)


def test_annotated_frames_are_found_in_order(kitti_drives, tmp_path):
    raw = kitti_drives([(DAY, DRIVE, frame) for frame in (5, 6, 7)])
    for frame in (7, 5):
        write_truth(tmp_path / "depth", frame, part="train")
    dataset = open_dataset(f"kitti_depth:train={tmp_path / 'depth'},{raw}")
    assert dataset.names == [f"{NAME}/0000000005", f"{NAME}/0000000007"] and not dataset.missing()
    with pytest.raises(UserError, match="expected train|val/"):
        open_dataset(f"kitti_depth:val={tmp_path / 'depth'},{raw}")


def test_missing_truth_and_pictures_are_told(kitti_drives, tmp_path):
    raw = kitti_drives([(DAY, DRIVE, 69), (DAY, DRIVE, 54)])
    path = write_truth(tmp_path / "depth", 69)
    dataset = open_dataset(f"kitti_depth={tmp_path / 'depth'},{raw}")
    missing = [p for name, p in dataset.missing() if name == f"{NAME}/0000000054"]
    assert missing == [path.with_name("0000000054.png")]
    with pytest.raises(UserError, match="no such folder .*nowhere of raw pictures"):
        open_dataset(f"kitti_depth={tmp_path / 'depth'},{tmp_path}/nowhere")
    with pytest.raises(UserError, match="nothing of kitti_depth:eigen_test there; expected .*image_02/data/0000000069"):
        open_dataset(f"kitti_depth={tmp_path / 'depth'}")


def test_truth_of_another_kind_is_refused(kitti_drives):
    raw = kitti_drives([(DAY, DRIVE, 69)])
    write_image(write_truth(raw, 69), np.zeros((36, 124), np.uint8))
    with pytest.raises(UserError, match="as the camera sees it only"):
        open_dataset(f"kitti_depth={raw}").depth(0, view="lidar")
    with pytest.raises(UserError, match="16-bit grey .* found 8-bit grey"):
        open_dataset(f"kitti_depth={raw}").depth(0)
