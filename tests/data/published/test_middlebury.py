"""Middlebury in each of its layouts: scales, offsets, masks; two real pairs and one with calib.txt and doffs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stereodistill.data.published.middlebury import Middlebury
from stereodistill.errors import UserError
from stereodistill.io.disparity import write_pfm
from stereodistill.io.images import write_image
from stereodistill.ops.geometry import disparity_to_depth
from stereodistill.ops.warp import warp_to_left

COUNTS = {"2001": 8, "2003": 2, "2005": 6, "2006": 21, "2014": 23, "2021": 24}
COUNTS |= {"eval3": 15, "eval3_nocc": 15, "eval3_test": 15}
CALIB = """cam0=[3979.911 0 1244.772; 0 3979.911 1019.507; 0 0 1]
cam1=[3979.911 0 1369.115; 0 3979.911 1019.507; 0 0 1]
doffs=124.343
baseline=193.001
width=2964
height=1988
"""


def write_photos(folder: Path, names: tuple[str, str], size: tuple[int, int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        shape = size if name.endswith(".pgm") else (*size, 3)
        write_image(folder / name, np.full(shape, 128, np.uint8))


def write_grey(path: Path, size: tuple[int, int], value: int) -> None:
    stored = np.full(size, value, np.uint8)
    stored[0, 0] = 0
    write_image(path, stored)


def write_calibrated(folder: Path, truth: str | None = "disp0.pfm", right: str | None = "disp1.pfm") -> None:
    write_photos(folder, ("im0.png", "im1.png"), (6, 12))
    (folder / "calib.txt").write_text(CALIB)
    for name in (truth, right):
        if name is not None:
            disparity = np.full((6, 12), 2.5, np.float32)
            disparity[0, 0] = np.inf
            write_pfm(folder / name, disparity)


def known(view) -> list[float]:
    assert not view.valid[0, 0, 0] and not view.disparity[~view.valid].any()
    return view.disparity[view.valid].unique().tolist()


@pytest.mark.parametrize(
    ("split", "scene", "suffixes", "size", "units"),
    [
        ("2001", "venus", (".ppm", ".pgm"), (5, 434), 8),
        ("2003", "teddy", (".ppm", ".pgm"), (5, 450), 4),
        ("2003", "cones", (".png", ".png"), (5, 900), 2),
        ("2003", "coneses", (".png", ".png"), (5, 1800), 1),
    ],
)
def test_scales_of_2001_and_2003(tmp_path, split, scene, suffixes, size, units):
    scene = {"coneses": "conesF"}.get(scene, scene)
    write_photos(tmp_path / scene, (f"im2{suffixes[0]}", f"im6{suffixes[0]}"), size)
    for name in ("disp2", "disp6"):
        write_grey(tmp_path / scene / f"{name}{suffixes[1]}", size, 40)
    dataset = Middlebury(tmp_path, split)
    pair = dataset.load(dataset.names.index(scene.removesuffix("F")))
    assert known(pair.left) == known(pair.right) == [40 / units]
    assert not pair.rig.is_metric


def test_the_odd_ones_of_2001(tmp_path):
    write_photos(tmp_path / "map", ("im0.pgm", "im1.pgm"), (5, 284))
    for name in ("disp0.pgm", "disp1.pgm"):
        write_grey(tmp_path / "map" / name, (5, 284), 40)
    write_photos(tmp_path / "tsukuba", ("scene1.row3.col3.ppm", "scene1.row3.col4.ppm"), (5, 384))
    write_grey(tmp_path / "tsukuba" / "truedisp.row3.col3.pgm", (5, 384), 40)
    dataset = Middlebury(tmp_path, "2001")
    grey, tsukuba = (dataset.load(dataset.names.index(name)) for name in ("map", "tsukuba"))
    assert (known(grey.left), known(tsukuba.left)) == ([5.0], [2.5])
    assert not tsukuba.right.valid.any()


@pytest.mark.parametrize(("year", "scene", "top"), [("2005", "Art", ""), ("2006", "Aloe", "scenes2006/ThirdSize")])
@pytest.mark.parametrize(("height", "units"), [(1110, 1), (555, 2), (370, 3)])
def test_sizes_of_2005_and_2006(tmp_path, year, scene, top, height, units):
    folder, size = tmp_path / top / scene, (height, 12)
    write_photos(folder, ("view1.png", "view5.png"), size)
    for name in ("disp1.png", "disp5.png"):
        write_grey(folder / name, size, 60)
    (folder / "dmin.txt").write_text("270\n")
    pair = Middlebury(tmp_path, year).load(0)
    assert known(pair.left) == known(pair.right) == [60 / units]
    depth_m, valid = disparity_to_depth(pair.left.disparity, pair.rig)
    assert depth_m[valid].unique().tolist() == pytest.approx([3740 * 0.16 / (60 + 270)]), "the same in every size"


@pytest.mark.parametrize("folder", ["Adirondack-perfect", "Adirondack", "datasets/Adirondack-imperfect"])
def test_2014_with_the_offset_of_the_principal_points(tmp_path, folder):
    write_calibrated(tmp_path / folder)
    pair = Middlebury(tmp_path, "2014").load(0)
    assert known(pair.left) == known(pair.right) == [2.5]
    rig = pair.rig.at_width(2964)
    assert (rig.focal_px, rig.baseline_m, rig.doffs_px) == pytest.approx((3979.911, 0.193001, 124.343))


def test_2021(tmp_path):
    write_calibrated(tmp_path / "data" / "traproom2")
    dataset = Middlebury(tmp_path, "2021")
    assert known(dataset.load(dataset.names.index("traproom2")).left) == [2.5]


@pytest.mark.parametrize("place", ["MiddEval3/trainingQ", "trainingH", ""])
def test_the_benchmark_and_its_mask(tmp_path, place):
    folder = tmp_path / place / "Adirondack"
    write_calibrated(folder, "disp0GT.pfm", None)
    mask = np.full((6, 12), 255, np.uint8)
    mask[0, 0], mask[2] = 0, 128
    write_image(folder / "mask0nocc.png", mask)
    every, seen = Middlebury(tmp_path, "eval3").load(0), Middlebury(tmp_path, "eval3_nocc").load(0)
    assert (int(every.left.valid.sum()), int(seen.left.valid.sum())) == (71, 59)
    assert known(seen.left) == [2.5]


def test_the_benchmarks_test_scenes(tmp_path):
    write_calibrated(tmp_path / "testF" / "Djembe", None, None)
    dataset = Middlebury(tmp_path, "eval3_test")
    pair = dataset.load(dataset.names.index("Djembe"))
    assert pair.rig.is_metric and not pair.left.valid.any()


@pytest.mark.parametrize("split", COUNTS)
def test_counts_and_a_wrong_root(tmp_path, split):
    with pytest.raises(UserError, match=rf"nothing of middlebury:{split} .*\b{COUNTS[split] - 1}\b"):
        Middlebury(tmp_path, split)
    assert split in Middlebury.splits


def test_a_dmin_that_is_no_number(tmp_path):
    folder = tmp_path / "Art"
    write_photos(folder, ("view1.png", "view5.png"), (370, 12))
    for name in ("disp1.png", "disp5.png"):
        write_grey(folder / name, (370, 12), 60)
    (folder / "dmin.txt").write_text("many\n")
    with pytest.raises(UserError, match="expected one number"):
        Middlebury(tmp_path, "2005").load(0)


@pytest.mark.parametrize(
    ("split", "scene", "source", "error"),
    [("2003", "teddy", "middlebury2003_teddy", 0.03), ("2001", "tsukuba", "middlebury2001_tsukuba", 0.02)],
)
def test_real_pairs_obey_their_disparity(tmp_path, real_data, split, scene, source, error):
    (tmp_path / scene).symlink_to(real_data / source)
    dataset = Middlebury(tmp_path, split)
    pair = dataset.load(dataset.names.index(scene))
    right, disparity, valid = pair.right.image[None], pair.left.disparity[None], pair.left.valid[None]
    found = [photometric(pair.left.image, *warp_to_left(right, disparity * scale), valid) for scale in (1, 0.5, 2)]
    assert found[0] < error and found[0] < min(found[1:]) / 2, "another scale does not explain the pair"


def photometric(left: torch.Tensor, warped: torch.Tensor, inside: torch.Tensor, valid: torch.Tensor) -> float:
    return float((warped - left).abs().mean(1, keepdim=True)[inside & valid].median())


def test_the_motorcycle_as_2014_writes_it(tmp_path, motorcycle):
    left, right, disparity = motorcycle
    folder = tmp_path / "Motorcycle-perfect"
    write_image(folder / "im0.png", left)
    write_image(folder / "im1.png", right)
    stored = np.where(np.isnan(disparity), np.inf, disparity).astype(np.float32)
    for name in ("disp0.pfm", "disp1.pfm"):
        write_pfm(folder / name, stored)
    (folder / "calib.txt").write_text(CALIB)
    dataset = Middlebury(tmp_path, "2014")
    view = dataset.load(dataset.names.index("Motorcycle")).left
    assert np.array_equal(view.valid[0].numpy(), np.isfinite(stored))
    assert np.array_equal(view.disparity[0].numpy(), np.nan_to_num(disparity))
