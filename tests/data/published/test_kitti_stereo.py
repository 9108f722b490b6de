from __future__ import annotations

import numpy as np
import pytest

from stereodistill.data import check_dataset, open_dataset
from stereodistill.errors import UserError
from stereodistill.io.disparity import write_disparity
from stereodistill.io.images import write_image

PROJECTIONS = "P_rect_02: 100 0 62 5 0 100 18 0 0 0 1 0\nP_rect_03: 100 0 62 -45 0 100 18 0 0 0 1 0\n"
GREY = "P0: 90 0 62 0 0 90 18 0 0 0 1 0\nP1: 90 0 62 -45 0 90 18 0 0 0 1 0\n"
COLOUR = GREY + "P2: 100 0 62 5 0 100 18 0 0 0 1 0\nP3: 100 0 62 -45 0 100 18 0 0 0 1 0\n"


@pytest.fixture
def tree(tmp_path):
    """write(year, views, truth folders) -> root with frame 000001_10: occ knows all 7 px, noc the right half."""

    def write(views, occ, noc, calibration):
        folder = tmp_path / "training"
        for view, value in zip(views, (0.2, 0.8), strict=True):
            (folder / view).mkdir(parents=True)
            for name in ("000001_10", "000001_11"):
                write_image(folder / view / f"{name}.png", np.full((36, 124), value, np.float32))
        disparity = np.full((36, 124), 7, np.float32)
        write_disparity(folder / occ / "000001_10.png", disparity)
        write_disparity(folder / noc / "000001_10.png", np.where(np.arange(124) >= 62, disparity, 0))
        for name, text in calibration.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        return tmp_path

    return write


@pytest.fixture
def kitti2015(tree):
    root = tree(("image_2", "image_3"), "disp_occ_0", "disp_noc_0", {"calib_cam_to_cam/000001.txt": PROJECTIONS})
    moving = np.zeros((36, 124), np.uint8)
    moving[:4, :10] = 3
    write_image(root / "training" / "obj_map" / "000001_10.png", moving)
    return root


def test_2015(kitti2015):
    occ, noc = (open_dataset(f"kitti_stereo:{split}={kitti2015}") for split in ("2015", "2015_noc"))
    assert occ.total == len(occ) == 200 and occ.names[1] == "000001_10"
    pair = occ.load(1)
    assert (pair.rig.focal_px, pair.rig.baseline_m, pair.rig.width) == (100, 0.5, 124)
    assert pair.left.valid.all() and (pair.left.disparity == 7).all() and not pair.right.valid.any()
    assert noc.load(1).left.valid[0].float().mean() == 0.5
    assert occ.visible(1).sum() == 62 * 36 and occ.foreground(1).sum() == 40
    assert len({name for name, _ in occ.missing()}) == 199


@pytest.mark.parametrize(
    ("views", "focal_px"), [(("colored_0", "colored_1"), 100), (("image_0", "image_1"), 90)], ids=["colour", "grey"]
)
def test_2012_in_colour_or_grey(tree, views, focal_px):
    root = tree(views, "disp_occ", "disp_noc", {"calib/000001.txt": COLOUR})
    for where in (root, root / "training"):
        dataset = open_dataset(f"kitti_stereo:2012={where}")
        assert dataset.total == 194
        assert dataset.load(1).rig.focal_px == focal_px and dataset.load(1).left.valid.all()
    assert dataset.visible(1).sum() == 62 * 36
    with pytest.raises(UserError, match="no foreground map"):
        dataset.foreground(1)


def test_testing_frames_have_no_truth(tree, tmp_path):
    tree(("image_2", "image_3"), "disp_occ_0", "disp_noc_0", {})
    (tmp_path / "training").rename(tmp_path / "testing")
    dataset = open_dataset(f"kitti_stereo:2015_test={tmp_path}")
    assert not dataset.load(1).left.valid.any() and not dataset.load(1).rig.is_metric


def test_one_year_is_not_taken_for_the_other(kitti2015):
    with pytest.raises(
        UserError, match="nothing of kitti_stereo:2012 there; expected training/colored_0/000000_10.png"
    ):
        open_dataset(f"kitti_stereo:2012={kitti2015}")


def test_check_counts_what_is_missing(real_data):
    dataset = open_dataset(f"kitti_stereo:2015={real_data / 'kitti2015'}")
    present = [index for index, name in enumerate(dataset.names) if name not in dict(dataset.missing())]
    assert len(present) == 10 and len({name for name, _ in dataset.missing()}) == 190
    pair = dataset.load(present[0])
    assert pair.rig.focal_px == 721.5377 and pair.rig.baseline_m == pytest.approx(0.532725, abs=1e-5)
    assert 0.1 < pair.left.valid.float().mean() < 0.4
    moving = [dataset.foreground(index).mean() for index in present]
    assert max(moving) > 0.01 and max(moving) < 0.5
    report = check_dataset(f"kitti_stereo:2015={real_data / 'kitti2015'}", max_measured=4)
    assert report.codes("error") == {"missing_files"} and report.num_readable == 10 and report.num_measured == 4


def test_grey_2012_on_real_pairs(real_data):
    dataset = open_dataset(f"kitti_stereo:2012_noc={real_data / 'kitti2012'}")
    assert len({name for name, _ in dataset.missing()}) == 194 - 61
    assert dataset.load(0).rig.baseline_m == pytest.approx(0.537, abs=1e-3)
