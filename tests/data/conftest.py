"""A small procedural pair with exact integer disparity, and a writer for the folder layout."""

from __future__ import annotations

import cv2
import numpy as np
import pytest


def _texture(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    coarse = cv2.resize(generator.random((height // 8 + 1, width // 8 + 1, 3)).astype(np.float32), (width, height))
    fine = cv2.GaussianBlur(generator.random((height, width, 3)).astype(np.float32), (0, 0), 1.0)
    return np.clip(0.5 * coarse + 1.5 * (fine - 0.5) + 0.25, 0, 1)


def _scene(seed: int, size: tuple[int, int] = (160, 320)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(left, right, disparity of the left view): a floor that comes nearer downwards, boxes in front of it."""
    generator = np.random.default_rng(seed)
    height, width = size
    wide = _texture(generator, height, width + 64)
    left, right = np.zeros((2, height, width, 3), np.float32)
    disparity = np.zeros(size, np.float32)
    for y in range(height):
        d = 3 + 12 * y // height
        left[y], right[y], disparity[y] = wide[y, :width], wide[y, d : width + d], d
    for _ in range(6):
        h, w, d = generator.integers(24, 60), generator.integers(24, 60), int(generator.integers(16, 34))
        y, x = generator.integers(0, height - h), generator.integers(40, width - w)
        box = _texture(generator, h, w)
        if disparity[y : y + h, x : x + w].max() < d:
            left[y : y + h, x : x + w], right[y : y + h, x - d : x - d + w] = box, box
            disparity[y : y + h, x : x + w] = d
    noise = generator.normal(0, 0.004, (2, *left.shape)).astype(np.float32)
    return np.clip(left + noise[0], 0, 1), np.clip(right + noise[1], 0, 1), disparity


@pytest.fixture(scope="session")
def scene():
    """scene(seed, size=(160, 320)) -> (left, right, disparity), float32 (H, W, 3) twice and (H, W)."""
    return _scene


@pytest.fixture
def pairs_folder(tmp_path):
    """write(names or number, change=None, rig=True) -> folder; `change(left, right, index)` corrupts a pair."""
    from stereodistill.io.disparity import write_disparity
    from stereodistill.io.images import write_image

    def write(num: int, change=None, rig: bool = True, truth: bool = False):
        root = tmp_path / "pairs"
        for index in range(num):
            left, right, disparity = _scene(index)
            if change is not None:
                left, right = change(left, right, index)
            for side, image in (("left", left), ("right", right)):
                (root / side).mkdir(parents=True, exist_ok=True)
                write_image(root / side / f"{index}.png", np.ascontiguousarray(image))
            if truth:
                (root / "disparity").mkdir(exist_ok=True)
                write_disparity(root / "disparity" / f"{index}.png", disparity)
        if rig:
            (root / "rig.json").write_text('{"focal_px": 300.0, "baseline_m": 0.2, "width": 640, "doffs_px": 2.0}')
        return root

    return write


@pytest.fixture
def assert_windows():
    """check(dataset, index): size and rig are those of `load`; a window is, bit for bit, that part of it."""
    import torch

    from stereodistill.io.images import Window
    from stereodistill.ops.geometry import crop_pair

    def check(dataset, index: int) -> None:
        whole = dataset.load(index)
        height, width = whole.size
        assert dataset.size(index) == whole.size and str(dataset.rig(index)) == str(whole.rig)
        for part in ((0, 0, height, width), (height // 2, 1, height // 4 or 1, width // 3), (0, width // 2, 1, 2)):
            sizes = []
            found = dataset.load(index, lambda size, part=part, sizes=sizes: sizes.append(size) or Window(*part))
            expected = crop_pair(whole, *part)
            assert sizes == [(height, width)] and found.size == (part[2], part[3])
            assert (found.name, found.rig.width) == (whole.name, part[3])
            assert str(found.rig) == str(expected.rig), "as text: nan is not equal to itself"
            for view, other in ((found.left, expected.left), (found.right, expected.right)):
                assert torch.equal(view.image, other.image)
                assert torch.equal(view.disparity, other.disparity) and torch.equal(view.valid, other.valid)

    return check


KITTI_SIZE = (36, 124)
_CAM_TO_CAM = """calib_time: 09-Jan-2012 13:57:47
R_rect_00: 1 0 0 0 1 0 0 0 1
S_rect_02: 1.240000e+02 3.600000e+01
P_rect_02: 1e+02 0 62 6 0 1e+02 18 0 0 0 1 0
S_rect_03: 1.240000e+02 3.600000e+01
P_rect_03: 1e+02 0 62 -44 0 1e+02 18 0 0 0 1 0
"""
_VELO_TO_CAM = """calib_time: 15-Mar-2012 11:37:16
R: 0 -1 0 0 0 -1 1 0 0
T: 0 0 -0.27
delta_f: 0 0
"""


def _wall_scan(depth_m: float) -> np.ndarray:
    """A scan (N, 4) that hits every third pixel of camera 2 at `depth_m`, left of a gap that nothing is in."""
    v, u = np.mgrid[2:36:3, 2:80:3].reshape(2, -1)
    x, y = (u - 62) / 100 * depth_m - 0.06, (v - 18) / 100 * depth_m
    return np.stack([np.full_like(x, depth_m + 0.27), -x, -y, np.ones_like(x)], axis=1).astype("<f4")


@pytest.fixture
def kitti_drives(tmp_path):
    """write([(day, drive, frame), ...]) -> root of raw drives with pictures, calibration and walls 10 m away.

    The small cameras have f = 100 px, B = 0.5 m, 124 x 36 pixels: the wall's disparity is 5 px.
    """
    from stereodistill.io.images import write_image

    def write(frames, suffix=".png", scans=True, root=tmp_path / "kitti"):
        for number, (day, drive, frame) in enumerate(frames):
            folder = root / day / f"{day}_drive_{drive}_sync"
            for camera, image in zip(("image_02", "image_03"), _shifted_pair(number), strict=True):
                (folder / camera / "data").mkdir(parents=True, exist_ok=True)
                write_image(folder / camera / "data" / f"{frame:010d}{suffix}", image)
            (root / day / "calib_cam_to_cam.txt").write_text(_CAM_TO_CAM)
            (root / day / "calib_velo_to_cam.txt").write_text(_VELO_TO_CAM)
            if scans:
                (folder / "velodyne_points" / "data").mkdir(parents=True, exist_ok=True)
                _wall_scan(10.0).tofile(folder / "velodyne_points" / "data" / f"{frame:010d}.bin")
        return root

    return write


def _shifted_pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A textured pair of `KITTI_SIZE` that differs by 5 px everywhere."""
    wide = _texture(np.random.default_rng(seed), KITTI_SIZE[0], KITTI_SIZE[1] + 5)
    return np.ascontiguousarray(wide[:, :-5]), np.ascontiguousarray(wide[:, 5:])
