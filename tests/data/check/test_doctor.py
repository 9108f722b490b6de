import json
import shutil

import cv2
import numpy as np
import pytest

from stereodistill.data import check_dataset, open_dataset
from stereodistill.data.check.geometry import judge_geometry
from stereodistill.data.check.views import measure_views
from stereodistill.errors import UserError
from stereodistill.io.disparity import write_disparity
from stereodistill.io.images import read_image, write_image


def warp(image, shift_px=0.0, turn_deg=0.0, scale=1.0):
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn_deg, scale)
    matrix[1, 2] += shift_px
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)


def shift_columns(left, right, num):
    return left[:, num:], right[:, :-num]


CORRUPTIONS = {
    "swapped": (lambda left, right, i: (right, left), "swapped_views"),
    "1.5 rows": (lambda left, right, i: (left, warp(right, 1.5)), "rows_not_aligned"),
    "-3 rows": (lambda left, right, i: (left, warp(right, -3)), "rows_not_aligned"),
    "turned": (lambda left, right, i: (left, warp(right, turn_deg=0.5)), "rows_not_aligned"),
    "zoomed": (lambda left, right, i: (left, warp(right, scale=1.03)), "rows_not_aligned"),
    "shifted": (lambda left, right, i: shift_columns(left, right, 10), "principal_point_offset"),
    "shifted far": (lambda left, right, i: shift_columns(left, right, 40), "principal_point_offset"),
    "resized": (lambda left, right, i: (left, cv2.resize(right, (300, 150))), "size_mismatch"),
    "black": (lambda left, right, i: (left, right * 0), "blank_image"),
    "one camera": (lambda left, right, i: (left, left), "same_views"),
    "one camera, re-encoded": (lambda left, right, i: (left, np.clip(left * 0.9 + 0.03, 0, 1)), "same_views"),
}


def test_good_pairs_raise_nothing(pairs_folder):
    report = check_dataset(pairs_folder(4, truth=True))
    assert report.ok and report.findings == [] and report.table() == []
    assert (report.num_pairs, report.num_readable, report.num_measured) == (4, 4, 4)
    assert abs(report.figures["vertical_offset_px"]) < 0.2
    assert 2 < report.figures["disparity_p02_px"] < report.figures["disparity_p98_px"] < 34


@pytest.mark.parametrize("change, code", CORRUPTIONS.values(), ids=CORRUPTIONS)
def test_each_corruption_of_the_whole_set_is_the_one_finding(pairs_folder, change, code):
    report = check_dataset(pairs_folder(3, change))
    assert report.codes() == {code} and not report.ok
    assert report.findings[0].pairs == ("0", "1", "2")
    assert report.findings[0].remedy


def test_one_bad_pair_is_named(pairs_folder):
    root = pairs_folder(6, lambda left, right, i: (right, left) if i == 4 else (left, right))
    (finding,) = check_dataset(root).findings
    assert (finding.code, finding.pairs, finding.severity) == ("swapped_views", ("4",), "error")


def test_one_tilted_pair_of_many_is_a_warning_only(pairs_folder):
    report = check_dataset(pairs_folder(6, lambda left, right, i: (left, warp(right, 3)) if i == 4 else (left, right)))
    assert report.ok and report.codes("warning") == {"rows_not_aligned"} and report.findings[0].pairs == ("4",)


def test_vertical_offset_is_measured_with_its_sign(scene):
    left, right, _ = (np.uint8(255 * part) for part in scene(1))
    grey = [cv2.cvtColor(v, cv2.COLOR_RGB2GRAY) for v in (left, right)]
    for shift in (-3.0, 0.0, 2.0):
        geometry = measure_views(grey[0], warp(grey[1], shift))
        assert geometry.vertical_offset_px == pytest.approx(shift, abs=0.15)
    turned = measure_views(grey[0], warp(grey[1], turn_deg=-1.0))
    assert turned.rotation_deg == pytest.approx(1.0, abs=0.15)


def test_measured_disparities_are_the_true_ones(scene):
    left, right, disparity = scene(2)
    grey = [cv2.cvtColor(np.uint8(255 * v), cv2.COLOR_RGB2GRAY) for v in (left, right)]
    geometry = measure_views(*grey)
    columns, rows = geometry.points.round().astype(int).T
    error = np.abs(disparity[rows, columns] - geometry.disparity_px)
    assert geometry.num_matches > 100 and np.median(error) < 0.3


def test_unreadable_files_are_found_and_the_rest_is_still_judged(pairs_folder):
    root = pairs_folder(5, lambda left, right, i: (left, warp(right, 3)))
    data = (root / "left" / "1.png").read_bytes()
    (root / "left" / "1.png").write_bytes(data[: len(data) // 2])
    (root / "right" / "3.png").write_bytes(b"")
    report = check_dataset(root)
    found = {f.code: f for f in report.findings}
    assert set(found) == {"unreadable", "rows_not_aligned"}
    assert found["unreadable"].pairs == ("1", "3") and found["unreadable"].severity == "error"
    assert (report.num_pairs, report.num_readable) == (5, 3)


def test_missing_view_is_a_finding(pairs_folder):
    root = pairs_folder(3)
    (root / "right" / "1.png").unlink()
    report = check_dataset(root)
    (finding,) = report.findings
    assert (finding.code, report.num_pairs, report.ok) == ("missing_view", 2, False)
    assert finding.pairs[0].endswith("1.png")


def test_exact_and_near_duplicates_are_warnings(pairs_folder):
    root = pairs_folder(4)
    for side in ("left", "right"):
        shutil.copy(root / side / "0.png", root / side / "7.png")
        write_image(root / side / "3.jpg", read_image(root / side / "3.png"))
        (root / side / "3.jpg").rename(root / side / "4.jpg")
    report = check_dataset(root)
    (finding,) = report.findings
    assert report.ok and finding.code == "duplicate_frames" and finding.severity == "warning"
    assert finding.pairs == ("4", "7")


def test_a_camera_that_drops_frames(pairs_folder):
    root = pairs_folder(4)
    shutil.copy(root / "right" / "1.png", root / "right" / "2.png")
    report = check_dataset(root)
    assert "frozen_view" in report.codes("error") and not report.ok
    assert next(f for f in report.findings if f.code == "frozen_view").pairs == ("2",)


def test_missing_and_impossible_rigs_are_warnings(pairs_folder):
    root = pairs_folder(2, rig=False)
    report = check_dataset(root)
    assert report.ok and report.codes("warning") == {"no_rig"} and report.table()[0][2] == "all"
    (root / "rig.json").write_text('{"focal_px": 4.2, "baseline_m": 120.0, "width": 320}')
    assert "odd_rig" in check_dataset(root).codes() or "bad_calibration" in check_dataset(root).codes()
    (root / "rig.json").write_text("{")
    assert check_dataset(root).codes("error") == {"bad_calibration"}


def test_ground_truth_that_cannot_belong_to_the_views(pairs_folder):
    root = pairs_folder(3, truth=True)
    good = np.asarray(read_truth(root, 0))
    write_disparity(root / "disparity" / "0.png", np.ones((4, 4), np.float32))
    assert check_dataset(root).codes("error") == {"bad_truth"}
    for index in range(3):
        write_disparity(root / "disparity" / f"{index}.png", good * 2)
    assert check_dataset(root).codes("error") == {"truth_disagrees"}
    for index in range(3):
        write_disparity(root / "disparity" / f"{index}.png", good * 0)
    assert check_dataset(root).codes() == {"empty_truth"}


def read_truth(root, index):
    return open_dataset(root).load(index).left.disparity[0]


def test_pictures_without_texture_are_an_information(pairs_folder):
    ramp = np.repeat(np.linspace(0, 1, 320, dtype=np.float32)[None, :, None], 160, axis=0).repeat(3, axis=2)
    root = pairs_folder(1, lambda left, right, i: (ramp, np.roll(ramp, -3, axis=1)))
    report = check_dataset(root)
    assert report.ok and report.codes("info") == {"few_matches"} and report.num_measured == 0


def test_report_is_json_and_the_worst_comes_first(pairs_folder):
    report = check_dataset(pairs_folder(2, lambda left, right, i: (right, left), rig=False))
    values = json.loads(json.dumps(report.to_json()))
    assert values["ok"] is False and values["num_pairs"] == 2
    assert [f["code"] for f in values["findings"]] == ["swapped_views", "no_rig"]
    assert [row[0] for row in report.table()] == ["error", "warning"]


def test_open_datasets_side_by_side_and_progress(pairs_folder, tmp_path):
    root = pairs_folder(2)
    steps = []
    assert check_dataset(open_dataset(root), progress=lambda done, total: steps.append((done, total))).ok
    assert steps == [(1, 2), (2, 2)]
    for index in range(2):
        left, right = (read_image(root / side / f"{index}.png") for side in ("left", "right"))
        (tmp_path / "sbs").mkdir(exist_ok=True)
        write_image(tmp_path / "sbs" / f"{index}.png", np.concatenate([right, left], axis=1))
    assert check_dataset(tmp_path / "sbs", layout="sbs").codes("error") == {"swapped_views"}
    assert check_dataset(root, limit=1).num_pairs == 1


def test_nothing_to_look_at_is_refused(tmp_path):
    with pytest.raises(UserError, match="no stereo pairs"):
        check_dataset(tmp_path)


def test_motorcycle_pair_and_its_corrupted_copies(motorcycle):
    left, right = (cv2.cvtColor(np.uint8(255 * v), cv2.COLOR_RGB2GRAY) for v in motorcycle[:2])
    far = int(np.nanpercentile(motorcycle[2], 30))
    cut = [np.ascontiguousarray(v) for v in shift_columns(left, right, far)]
    expected = {
        (): (left, right),
        ("swapped_views",): (right, left),
        ("rows_not_aligned",): (left, warp(right, 2)),
        ("principal_point_offset",): cut,
    }
    for codes, views in expected.items():
        assert tuple(f.code for f in judge_geometry({"motorcycle": measure_views(*views)})) == codes


GOOD = {
    "kitti2012": 4,
    "kitti2015": 3,
    "kitti_odometry_seq1_grey": 3,
    "karlsruhe_libviso2": 2,
    "kitti_single_openstereo": 1,
    "sceneflow_A-0032-0006": 1,
    "middlebury2003_teddy": 1,
    "indoor_foundationstereo": 1,
    "endoscopy_scared_a": 1,
}


@pytest.mark.parametrize("name, limit", GOOD.items(), ids=GOOD)
def test_no_false_alarm_on_good_real_pairs(real_data, name, limit):
    report = check_dataset(real_data / name, limit=limit)
    assert report.codes() <= {"no_rig"} and report.num_measured == limit


def test_no_false_alarm_on_tsukuba(real_data):
    folder = real_data / "middlebury2001_tsukuba"
    report = check_dataset((folder / "scene1.row3.col3.ppm", folder / "scene1.row3.col4.ppm"))
    assert report.codes() == {"no_rig"}


@pytest.mark.parametrize("name", ["euroc_drone_raw_b", "chessboard_usb_rig_raw"])
def test_raw_cameras_are_not_row_aligned(real_data, name):
    assert "rows_not_aligned" in check_dataset(real_data / name).codes("error")


@pytest.mark.parametrize(
    "left_file, right_file",
    [
        ("kitti2015/image_2/000066_10.png", "kitti2015/image_3/000066_10.png"),
        ("middlebury2003_teddy/im2.ppm", "middlebury2003_teddy/im6.ppm"),
    ],
)
def test_corrupted_copies_of_real_pairs(real_data, left_file, right_file):
    left, right = (cv2.imread(str(real_data / file), cv2.IMREAD_GRAYSCALE) for file in (left_file, right_file))
    far = max(20, int(np.median(measure_views(left, right).disparity_px)))
    cases = {
        "swapped_views": (right, left),
        "rows_not_aligned": (left, warp(right, -1.5)),
        "principal_point_offset": tuple(np.ascontiguousarray(v) for v in shift_columns(left, right, far)),
    }
    for code, views in cases.items():
        assert [f.code for f in judge_geometry({"pair": measure_views(*views)})] == [code]
    turned = judge_geometry({"pair": measure_views(left, warp(right, turn_deg=0.5))})
    assert "rows_not_aligned" in {f.code for f in turned}


def test_an_unknown_layout_is_named_as_the_mistake(tmp_path):
    with pytest.raises(UserError, match="layout 'nonsense' is not known; choose one of auto, folder"):
        check_dataset(tmp_path, layout="nonsense")
