"""Make3D: the central crop of photo and scan, the published counts, real version 5 files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stereodistill.data.published.make3d import Make3D
from stereodistill.errors import UserError
from stereodistill.io.images import write_image

scipy_io = pytest.importorskip("scipy.io", reason="scipy writes the MATLAB files of these tests")
NAME = "math7-p-282t0"


def write_photo(photos: Path, depths: Path, name: str = NAME, size: tuple[int, int] = (2272, 1704)) -> np.ndarray:
    """A small stand-in of the photo, and its scan (55, 305): row number + 1 in metres."""
    height, width = (s // 8 for s in size)
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    write_image(photos / f"img-{name}.jpg", np.broadcast_to(rows, (height, width, 3)))
    grid = np.zeros((55, 305, 4))
    grid[..., 3] = np.arange(1, 56)[:, None]
    grid[20, :4, 3] = 0, np.nan, -1, np.inf
    depths.mkdir(parents=True, exist_ok=True)
    scipy_io.savemat(depths / f"depth_sph_corr-{name}.mat", {"Position3DGrid": grid}, do_compression=True)
    return grid


@pytest.mark.parametrize("folders", [("Test134", "Gridlaserdata"), ("Test134Img", "Test134Depth/Gridlaserdata")])
def test_the_crop_of_photo_and_scan_is_the_central_one(tmp_path, folders):
    write_photo(tmp_path / folders[0], tmp_path / folders[1])
    cropped, whole = Make3D(tmp_path), Make3D(tmp_path, "test_whole")
    photo, full = cropped.load(0), whole.load(0)
    assert (photo.size, full.size) == ((106, 213), (284, 213)), "1704 / 2 = 852 of 2272 rows, in eighths"
    assert (photo.left.image == full.left.image[:, 89:195]).all()
    depth_m, valid = cropped.depth(0)
    assert depth_m.shape == (21, 305) and depth_m.dtype == np.float32
    assert depth_m[:, -1].tolist() == list(range(18, 39)), "rows 17 to 37 of 55"
    assert valid[3, :5].tolist() == [False] * 4 + [True] and not depth_m[~valid].any()
    assert whole.depth(0)[0].shape == (55, 305)


def test_there_is_no_second_view_and_no_rig(tmp_path):
    write_photo(tmp_path / "Test134", tmp_path / "Gridlaserdata")
    pair = Make3D(tmp_path).load(0)
    assert not pair.right.image.any() and not pair.left.valid.any() and not pair.rig.is_metric


@pytest.mark.parametrize(("split", "total"), [("test", 134), ("train", 400)])
def test_the_published_count_and_what_is_missing(tmp_path, split, total):
    photos, depths = {"test": ("Test134", "Gridlaserdata"), "train": ("Train400Img", "Train400Depth")}[split]
    write_photo(tmp_path / photos, tmp_path / depths)
    write_photo(tmp_path / photos, tmp_path / depths, "op29-p-015t000")
    (tmp_path / depths / f"depth_sph_corr-{NAME}.mat").unlink()
    dataset = Make3D(tmp_path, split)
    assert (dataset.total, len(dataset)) == (total, 2)
    assert dataset.missing() == [
        (NAME, tmp_path / depths / f"depth_sph_corr-{NAME}.mat"),
        (f"{total - 2} photos", tmp_path / photos),
    ]


def test_another_folder_names_what_was_expected(tmp_path):
    with pytest.raises(UserError, match=r"Test134/img-\*.jpg and Gridlaserdata/depth_sph_corr-\*.mat"):
        Make3D(tmp_path)


def test_a_grid_of_another_shape_is_refused(tmp_path):
    write_photo(tmp_path / "Test134", tmp_path / "Gridlaserdata")
    path = tmp_path / "Gridlaserdata" / f"depth_sph_corr-{NAME}.mat"
    scipy_io.savemat(path, {"Position3DGrid": np.ones((55, 305))})
    with pytest.raises(UserError, match=r"must be \(rows, columns, 4\), found \(55, 305\)"):
        Make3D(tmp_path).depth(0)
