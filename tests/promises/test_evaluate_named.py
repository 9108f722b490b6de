"""`evaluate` from the command line on a small tree in KITTI's own format, with networks and other people's output."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stereodistill.evaluation import crop_box
from stereodistill.io.images import write_image

HEIGHT, WIDTH = 94, 310
FOCAL_PX, BASELINE_M = 180.0, 0.54
DAY, DRIVE = "2011_09_26", "2011_09_26_drive_0002_sync"
FRAMES = (69, 54, 42)
"""The first ones of the Eigen test list."""


def _line(key: str, numbers) -> str:
    return f"{key}: {' '.join(f'{number:.9e}' for number in np.ravel(numbers))}\n"


def _calibrate(folder: Path) -> None:
    """LiDAR axes (x forward, y left, z up) turned into camera axes, 0.27 m behind it; two colour cameras."""
    text = "calib_time: 09-Jan-2012 13:57:47\n"
    for camera, offset_m in ((0, 0.0), (1, BASELINE_M), (2, 0.0), (3, BASELINE_M)):
        matrix = [[FOCAL_PX, 0, WIDTH / 2, -FOCAL_PX * offset_m], [0, FOCAL_PX, HEIGHT / 2, 0], [0, 0, 1, 0]]
        text += _line(f"S_{camera:02d}", (WIDTH, HEIGHT)) + _line(f"S_rect_{camera:02d}", (WIDTH, HEIGHT))
        text += _line(f"R_rect_{camera:02d}", np.eye(3)) + _line(f"P_rect_{camera:02d}", matrix)
    (folder / "calib_cam_to_cam.txt").write_text(text)
    turn = [[0, -1, 0], [0, 0, -1], [1, 0, 0]]
    (folder / "calib_velo_to_cam.txt").write_text(_line("R", turn) + _line("T", (0, 0, -0.27)))


def _scan(depth_m: float) -> np.ndarray:
    """A wall across the whole view, `depth_m` in front of the camera."""
    columns, rows = np.meshgrid(np.arange(2, WIDTH - 2, 3), np.arange(2, HEIGHT - 2, 2))
    across = (columns.ravel() - WIDTH / 2) / FOCAL_PX * depth_m
    down = (rows.ravel() - HEIGHT / 2) / FOCAL_PX * depth_m
    forward = np.full(across.shape, depth_m + 0.27)
    return np.stack([forward, -across, -down, np.zeros_like(across)], axis=1).astype("<f4")


@pytest.fixture
def kitti(tmp_path) -> Path:
    """Three frames of the test list: walls at 10, 20 and 60 m."""
    root = tmp_path / "kitti"
    (root / DAY).mkdir(parents=True)
    _calibrate(root / DAY)
    for frame, depth_m in zip(FRAMES, (10.0, 20.0, 60.0), strict=True):
        for camera in ("image_02", "image_03"):
            picture = np.random.default_rng(frame).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            write_image(root / DAY / DRIVE / camera / "data" / f"{frame:010d}.png", picture)
        scan = root / DAY / DRIVE / "velodyne_points" / "data" / f"{frame:010d}.bin"
        scan.parent.mkdir(parents=True, exist_ok=True)
        scan.write_bytes(_scan(depth_m).tobytes())
    return root


@pytest.fixture
def shares(tmp_path) -> Path:
    """`disparities.npy` of a method that says 10, 25 and 60 m, with maps for three images."""
    values = np.array([10.0, 25.0, 60.0])
    maps = np.ones((3, 32, 64), np.float32) * (FOCAL_PX * BASELINE_M / values / WIDTH)[:, None, None]
    np.save(tmp_path / "disparities.npy", maps.astype(np.float32))
    return tmp_path / "disparities.npy"


def _evaluate(cli, kitti, out, *more, protocol="eigen"):
    data = f"kitti_raw:eigen_test={kitti}"
    done = cli("evaluate", "--data", data, "--protocol", protocol, "--json", out, *more)
    return done, json.loads(out.read_text()) if done.code == 0 else None


def test_eigen_with_the_field_s_file(cli, kitti, shares, tmp_path):
    done, result = _evaluate(cli, kitti, tmp_path / "r.json", "--predictions", shares, "--limit", 3)
    assert done.code == 0
    assert result["protocol"] == "eigen:crop=garg,cap=80,limit=3" and result["options"]["crop"] == "garg"
    assert [row["abs_rel"] for row in result["per_image"]] == pytest.approx([0, 0.25, 0], abs=1e-3)
    assert result["metrics"]["abs_rel"] == pytest.approx(0.25 / 3, abs=1e-3)
    assert [row["name"] for row in result["per_image"]] == [f"{DRIVE}/{frame:010d}" for frame in FRAMES]
    assert (result["num_images"], result["num_expected"], result["data"]) == (3, 697, "kitti_raw:eigen_test")
    assert "3 of 697 images of kitti_raw:eigen_test=" in done.out
    assert "† 3 of 697 images: these numbers do not compare" in done.out
    # Every LiDAR point in the crop, and no other, was scored.
    top, bottom, left, right = crop_box("garg", (HEIGHT, WIDTH))
    rows, columns = np.arange(2, HEIGHT - 2, 2) - 1, np.arange(2, WIDTH - 2, 3) - 1
    num = ((rows >= top) & (rows < bottom)).sum() * ((columns >= left) & (columns < right)).sum()
    assert result["per_image"][0]["num_pixels"] == pytest.approx(num, rel=0.08)


def test_variants_change_what_they_say(cli, kitti, shares, tmp_path):
    def numbers(protocol):
        done, result = _evaluate(
            cli, kitti, tmp_path / "v.json", "--predictions", shares, "--limit", 3, protocol=protocol
        )
        assert done.code == 0 and f"protocol {protocol}" in done.out
        return result

    near = numbers("eigen-50m")
    assert near["num_images"] == 2, "the wall at 60 m is beyond the cap"
    lidar = numbers("eigen-lidar-view")
    assert [row["abs_rel"] for row in lidar["per_image"]] == pytest.approx(
        [0.27 / 10.27, 4.73 / 20.27, 0.27 / 60.27], abs=1e-3
    )
    median = numbers("eigen:crop=eigen,cap=80,scaling=median")
    assert median["metrics"]["abs_rel"] == pytest.approx(0, abs=1e-3)
    assert [row["scale"] for row in median["per_image"]] == pytest.approx([1, 0.8, 1], rel=1e-3)
    assert numbers("depth:crop=none")["metrics"]["abs_rel"] == pytest.approx(0.25 / 3, abs=1e-3)


def test_networks_and_flip(cli, kitti, mono_weights, tmp_path):
    plain, flipped = (
        _evaluate(cli, kitti, tmp_path / "n.json", "--weights", mono_weights, "--limit", 1, protocol=protocol)
        for protocol in ("eigen", "eigen:flip")
    )
    assert plain[0].code == flipped[0].code == 0
    assert flipped[1]["protocol"] == "eigen:crop=garg,cap=80,flip,limit=1"
    assert plain[1]["metrics"]["abs_rel"] != flipped[1]["metrics"]["abs_rel"]
    done, _ = _evaluate(cli, kitti, tmp_path / "n.json", "--weights", "sgbm", "--limit", 1, protocol="eigen:flip")
    assert "flip is for monocular networks" in done.complaint and done.code == 2


def test_missing_and_damaged_files_stop_or_are_named(cli, kitti, shares, tmp_path):
    scan = kitti / DAY / DRIVE / "velodyne_points" / "data" / f"{FRAMES[1]:010d}.bin"
    scan.write_bytes(scan.read_bytes()[:-7])
    done, _ = _evaluate(cli, kitti, tmp_path / "e.json", "--predictions", shares, "--limit", 3)
    assert done.code == 2 and str(scan) in done.complaint and "--on-error skip" in done.complaint
    photo = kitti / DAY / DRIVE / "image_02" / "data" / f"{FRAMES[2]:010d}.png"
    photo.unlink()
    arguments = ("--predictions", shares, "--limit", 3, "--on-error", "skip")
    done, result = _evaluate(cli, kitti, tmp_path / "e.json", *arguments)
    assert done.code == 0 and result["num_images"] == 1
    assert [row["name"] for row in result["skipped"]] == [f"{DRIVE}/{frame:010d}" for frame in FRAMES[1:]]
    assert "2 pairs were left out, unreadable:" in done.out
    assert str(scan) in done.out and str(photo) in done.out
    assert (
        "--on-error is stop or skip"
        in cli("evaluate", "--data", kitti, "--protocol", "eigen", "--weights", "sgbm", "--on-error", "cry").complaint
    )


def test_wrong_predictions_are_one_line(cli, kitti, shares, tmp_path):
    done, _ = _evaluate(cli, kitti, tmp_path / "w.json", "--predictions", shares)
    assert "holds 3 maps, the data 697 images" in done.complaint
    done, _ = _evaluate(cli, kitti, tmp_path / "w.json", "--predictions", shares, "--limit", 3, "--unit", "px")
    assert "unit 'px' is unknown: choose one of disparity-px" in done.complaint
    done = cli("evaluate", "--data", kitti / DAY / DRIVE, "--protocol", "eigen", "--weights", "sgbm")
    assert "open the data set by name" in done.complaint
