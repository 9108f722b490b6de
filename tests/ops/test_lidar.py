from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stereodistill.io.disparity import read_disparity
from stereodistill.io.velodyne import read_lidar_projection, read_scan
from stereodistill.ops.lidar import project_scan, scale_projection

SIZE = (40, 60)
CAMERA = torch.tensor([[50.0, 0, 29.5, 3.0], [0, 50.0, 19.5, 0.5], [0, 0, 1, 0.002]], dtype=torch.float64)
# The scanner looks along x with y to the left and z up; the camera sits 0.27 m in front of it.
TO_CAMERA = torch.tensor([[0, -1.0, 0, 0], [0, 0, -1.0, 0], [1.0, 0, 0, -0.27], [0, 0, 0, 1.0]], dtype=torch.float64)
PROJECTION = CAMERA @ TO_CAMERA


def seen_at(column: float, row: float, depth_m: float) -> list[float]:
    """The point in the scanner's frame that the camera sees at (column, row) and `depth_m`."""
    image = torch.tensor([column * depth_m, row * depth_m, depth_m], dtype=torch.float64)
    x, y, z = torch.linalg.solve(CAMERA[:, :3], image - CAMERA[:, 3]).tolist()
    return [z + 0.27, -x, -y]


def project(points, **options):
    depth_m, valid = project_scan(torch.tensor(points, dtype=torch.float64), PROJECTION, SIZE, **options)
    return depth_m[0], valid[0]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 59), st.integers(0, 39), st.floats(1, 80)), min_size=1, max_size=40))
def test_every_point_lands_on_its_pixel_and_the_nearest_wins(seen):
    depth_m, valid = project([seen_at(*s) for s in seen])
    nearest: dict[tuple[int, int], float] = {}
    for column, row, z in seen:
        nearest[row, column] = min(z, nearest.get((row, column), np.inf))
    assert {(int(r), int(c)) for r, c in valid.nonzero()} == set(nearest)
    assert all(depth_m[pixel].item() == pytest.approx(z, rel=1e-5) for pixel, z in nearest.items())
    assert (depth_m[~valid] == 0).all()


def test_order_of_the_points_does_not_matter():
    points = [seen_at(10.2, 5.1, z) for z in (4.0, 2.0, 3.0)]
    assert project(points)[0][5, 10] == project(points[::-1])[0][5, 10] == pytest.approx(2.0)


def test_classic_pixels_lie_one_to_the_upper_left_and_what_leaves_the_image_is_lost():
    points = [seen_at(c, r, 9.0) for c, r in ((10.4, 5.4), (0.0, 7.0), (60.4, 40.4), (-0.4, 3.0))]
    exact, classic = project(points)[1], project(points, pixels="classic")[1]
    assert exact.nonzero().tolist() == [[3, 0], [5, 10], [7, 0]]
    assert classic.nonzero().tolist() == [[4, 9], [39, 59]]


def test_what_is_behind_the_scanner_or_the_camera_is_not_seen():
    behind, between = [-5.0, 0.1, 0.1], [0.1, 0.0, 0.0]  # 0.1 m before the scanner is behind the camera
    assert not project([behind, between])[1].any()
    assert not project_scan(torch.zeros(0, 3), PROJECTION, SIZE)[1].any()


def test_lidar_view_is_the_forward_distance_from_the_scanner():
    points = [seen_at(20, 20, 7.0), seen_at(20, 20, 9.0)]
    assert project(points, view="lidar")[0][20, 20] == pytest.approx(7.0 + 0.27 - 0.002, abs=1e-5)


def test_a_resized_image_sees_the_point_at_the_same_place():
    half = scale_projection(PROJECTION, SIZE, (20, 30))
    depth_m, valid = project_scan(torch.tensor([seen_at(20.5, 10.5, 5.0)], dtype=torch.float64), half, (20, 30))
    assert valid[0].nonzero().tolist() == [[5, 10]] and depth_m[0, 5, 10] == pytest.approx(5.0)


@pytest.fixture(scope="module")
def street(real_data):
    """Frame -> (points, disparity, valid) of KITTI 2015, the projection, focal length * baseline."""
    folder = real_data / "kitti2015"
    calibration = folder / "calib_cam_to_cam.txt", folder / "calib_velo_to_cam.txt"
    left, right = (read_lidar_projection(*calibration, camera)[0] for camera in (2, 3))
    size = read_lidar_projection(*calibration, 2)[1]
    scans = [*sorted((folder / "velodyne_front").glob("*.bin")), folder / "velodyne" / "000054.bin"]
    frames = [(read_scan(p), *read_disparity(folder / "disp_occ_0" / f"{p.stem}_10.png")) for p in scans]
    return frames, torch.from_numpy(left), size, abs(float((left - right)[0, 3]))


def errors_px(street, pixels):
    """|focal * baseline / depth - ground truth| at every pixel that has both."""
    frames, projection, size, scale = street
    for points, truth, known in frames:
        depth_m, valid = project_scan(torch.from_numpy(points[:, :3].copy()), projection, size, pixels=pixels)
        both = valid[0].numpy() & known
        assert both.sum() > 2000
        yield np.abs(scale / depth_m[0].numpy()[both] - truth[both])


def test_real_scans_agree_with_kittis_own_disparity(street):
    assert np.median(np.concatenate(list(errors_px(street, "exact")))) < 0.1


def test_classic_pixels_fit_kittis_own_disparity_less(street):
    exact, classic = (np.median(np.concatenate(list(errors_px(street, p)))) for p in ("exact", "classic"))
    assert classic > 2 * exact


def test_classic_map_equals_the_definition_point_by_point(street):
    frames, projection, (height, width), _ = street
    points = frames[-1][0]
    for view in ("camera", "lidar"):
        expected = np.zeros((height, width))
        for x, y, z, _ in points.astype(np.float64)[points[:, 0] >= 0].tolist():
            a, b, c = projection.numpy() @ (x, y, z, 1.0)
            column, row = round(a / c) - 1, round(b / c) - 1
            value = c if view == "camera" else x
            if 0 <= column < width and 0 <= row < height and c > 0:
                expected[row, column] = min(value, expected[row, column] or np.inf)
        found, _ = project_scan(
            torch.from_numpy(points[:, :3].copy()), projection, (height, width), pixels="classic", view=view
        )
        np.testing.assert_allclose(found[0].numpy(), expected, rtol=1e-6)
