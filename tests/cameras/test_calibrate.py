"""Pictures that a known rig took of a board give that rig back; pictures that cannot are refused with the reason."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from stereodistill.cameras import read_calibration, stereo_rectify
from stereodistill.cameras.boards import Board
from stereodistill.cameras.rectification import rectified_points
from stereodistill.cli import run
from stereodistill.io.calibration import read_rig
from stereodistill.io.images import write_image


@pytest.fixture(scope="session")
def board_pictures(studio, tmp_path_factory):
    """left/ and right/ of the usual rig with the usual board."""
    return studio.write(tmp_path_factory.mktemp("board"))


@pytest.fixture
def calibrate(tmp_path, capsys):
    """Run the command; returns (exit code, printed, `--json`, the calibration's path)."""

    def call(pictures, *options, board="9x6", square="30"):
        out, numbers = tmp_path / "calibration.yaml", tmp_path / "numbers.json"
        code = run(["calibrate", *map(str, pictures if isinstance(pictures, tuple) else (pictures,)), "--board", board,
                    "--square-mm", square, "--out", str(out), "--json", str(numbers), *options])  # fmt: skip
        said = capsys.readouterr()
        values = json.loads(numbers.read_text()) if numbers.is_file() else {}
        return code, said.out + said.err, values, out

    return call


def seen_by(camera, points):
    """(N, 2) pixels of points (N, 3) in a camera's frame: the lens equations, written out."""
    x, y = points[:, 0] / points[:, 2], points[:, 1] / points[:, 2]
    square = x * x + y * y
    if camera.model == "fisheye":
        radius, angle = np.sqrt(square), np.arctan(np.sqrt(square))
        k1, k2, k3, k4 = camera.distortion
        bent = angle * (1 + k1 * angle**2 + k2 * angle**4 + k3 * angle**6 + k4 * angle**8) / radius
        x, y = x * bent, y * bent
    else:
        k1, k2, p1, p2 = camera.distortion[:4]
        radial = 1 + k1 * square + k2 * square**2
        x, y = (x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x),
                y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y)  # fmt: skip
    return np.stack([camera.matrix[0, 0] * x + camera.matrix[0, 2], camera.matrix[1, 1] * y + camera.matrix[1, 2]], 1)


def assert_measures_like(found, truth, *, rows_px, depth):
    """Points that the true rig sees lie on one row in pictures rectified by `found`, at their true distance."""
    generator = np.random.default_rng(1)
    points = generator.uniform((-0.4, -0.3, 1.0), (0.5, 0.3, 3.0), (400, 3))
    left = seen_by(truth.left, points)
    right = seen_by(truth.right, points @ truth.rotation.T + truth.translation_m)
    inside = ((np.minimum(left, right) > 0) & (np.maximum(left, right) < (479, 359))).all(axis=1)
    assert inside.sum() > 150
    views, rig = (rectification := stereo_rectify(found)).views, rectification.rig
    a = rectified_points(found.left, views.rotation_left, views.projection_left, left[inside])
    b = rectified_points(found.right, views.rotation_right, views.projection_right, right[inside])
    assert np.median(np.abs(a[:, 1] - b[:, 1])) < rows_px
    distance = rig.focal_px * rig.baseline_m / (a[:, 0] - b[:, 0])
    true = (points[inside] @ views.rotation_left.T)[:, 2]
    assert np.median(np.abs(distance / true - 1)) < depth


def test_a_chessboard_gives_the_rig_back(studio, board_pictures, calibrate, tmp_path):
    code, said, values, out = calibrate(board_pictures)
    assert code == 0, said
    assert values["reprojection_error_px"] < 0.15
    assert values["num_pairs"] == 12
    assert values["baseline_m"] == pytest.approx(np.linalg.norm(studio.rig.translation_m), rel=2e-3)
    assert abs(values["baseline_m"] - 0.12005) < 3 * values["baseline_deviation_m"]
    assert values["row_error_px"]["median"] < 0.1
    assert values["held_out_row_error_px"] < 0.1
    found = read_calibration(out)
    for side in ("left", "right"):
        seen, true = getattr(found, side), getattr(studio.rig, side)
        np.testing.assert_allclose(np.diag(seen.matrix), np.diag(true.matrix), rtol=3e-3)
        np.testing.assert_allclose(seen.matrix[:2, 2], true.matrix[:2, 2], atol=1.5)
    assert_measures_like(found, studio.rig, rows_px=0.1, depth=0.01)
    assert read_rig(out).baseline_m == pytest.approx(found.baseline_m)  # and as what rectified pairs have
    page = (tmp_path / "calibration.html").read_text()
    assert page.count("<figure>") == 2 + 1 + 2 * 12
    assert "This calibration can be used" in page
    assert "http" not in page.replace("http-equiv", "")


def test_our_fit_agrees_with_opencvs_on_what_both_can_do(studio):
    from stereodistill.cameras.board_views import BoardView, BoardViews
    from stereodistill.cameras.calibrate import calibrate as fit_rig

    board = Board.parse("9x6", 30)
    seen = [tuple(board.detect(picture) for picture in pair) for pair in studio.pictures()[:6]]
    seen = [(left, board.same_way(left, right)) for left, right in seen]
    views = [BoardView(name=str(i), left=a, right=b, load=lambda: None) for i, (a, b) in enumerate(seen)]
    ours = fit_rig(BoardViews(board=board, size=(360, 480), views=tuple(views), left_out=()))
    boards = [board.points_m.astype(np.float32)] * 6
    left, right = ([pair[c].pixels.astype(np.float32) for pair in seen] for c in (0, 1))
    alone = [cv2.calibrateCamera(boards, points, (480, 360), None, None, flags=cv2.CALIB_FIX_K3)[1:3]
             for points in (left, right)]  # fmt: skip
    flags = cv2.CALIB_USE_INTRINSIC_GUESS | cv2.CALIB_FIX_K3
    done = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 200, 1e-12)
    rms, k1, _, _, _, _, shift, *_ = cv2.stereoCalibrate(
        boards, left, right, *alone[0], *alone[1], (480, 360), flags=flags, criteria=done
    )
    assert ours.rms_px == pytest.approx(rms, abs=2e-4)
    np.testing.assert_allclose(ours.calibration.left.matrix, k1, atol=0.5)
    np.testing.assert_allclose(ours.calibration.translation_m, shift.ravel(), atol=2e-4)


@pytest.mark.parametrize(
    ("change", "board", "options"),
    [
        ({"pattern": "circles", "columns": 4, "rows": 11}, "4x11", ("--pattern", "circles")),
        ({"pattern": "charuco", "columns": 7, "rows": 5, "square_m": 0.05}, "7x5", ("--pattern", "charuco",
                                                                                     "--marker-mm", "35")),
    ],
)  # fmt: skip
def test_other_boards(studio, calibrate, tmp_path, change, board, options):
    pictures = replace(studio, **change).write(tmp_path / "p")
    code, said, values, out = calibrate(
        pictures, *options, board=board, square=str(1000 * change.get("square_m", 0.03))
    )
    assert code == 0, said
    assert values["reprojection_error_px"] < 0.3
    assert_measures_like(read_calibration(out), studio.rig, rows_px=0.2, depth=0.02)


def test_fisheye(studio, fisheye_rig, calibrate, tmp_path):
    pictures = replace(studio, rig=fisheye_rig, closer=0.6).write(tmp_path / "p")
    code, said, values, out = calibrate(pictures, "--model", "fisheye")
    assert code == 0, said
    assert values["reprojection_error_px"] < 0.2
    found = read_calibration(out)
    assert (found.left.model, found.right.model) == ("fisheye", "fisheye")
    assert found.left.matrix[0, 0] == pytest.approx(231, rel=5e-3)
    assert_measures_like(found, fisheye_rig, rows_px=0.1, depth=0.02)


@pytest.mark.parametrize(("layout", "axis"), [("sbs", 1), ("tb", 0)])
def test_both_views_in_one_picture(studio, calibrate, tmp_path, layout, axis):
    for index, pair in enumerate(studio.pictures()[:5]):
        write_image(tmp_path / "p" / f"{index}.png", np.concatenate(pair, axis=axis))
    code, said, values, _ = calibrate(tmp_path / "p", "--layout", layout)
    assert code == 0, said
    assert values["num_pairs"] == 5
    assert "5 pairs are few: 15 to 20" in said


def test_two_folders_and_views_that_are_left_out(board_pictures, calibrate, tmp_path):
    for side in ("left", "right"):
        (tmp_path / side).mkdir()
        for index in range(7):
            (tmp_path / side / f"{index}.png").write_bytes((board_pictures / side / f"{index:02d}.png").read_bytes())
    empty = np.full((360, 480), 128, np.uint8)
    write_image(tmp_path / "right" / "2.png", empty)
    write_image(tmp_path / "left" / "5.png", empty)
    write_image(tmp_path / "right" / "5.png", empty)
    (tmp_path / "left" / "6.png").write_bytes(b"\x89PNG broken")
    # A moment later: the right camera saw the board somewhere else.
    (tmp_path / "right" / "1.png").write_bytes((board_pictures / "right" / "07.png").read_bytes())
    code, said, values, _ = calibrate((tmp_path / "left", tmp_path / "right"))
    assert code == 0, said
    reasons = {entry["name"]: entry["reason"] for entry in values["left_out"]}
    assert "not found in the right picture" in reasons["2"]
    assert "in neither picture" in reasons["5"]
    assert "cannot read" in reasons["6"]
    assert "px off the rig that all others agree on" in reasons["1"]
    assert values["num_pairs"] == 3


def test_what_is_missing_is_said(studio, calibrate, tmp_path):
    upper = [pose for pose in ((p[0], -0.1, *p[2:]) for p in studio.poses) if pose[2] > 0.54]
    code, said, _, _ = calibrate(
        replace(studio, poses=tuple(upper), columns=7, rows=4).write(tmp_path / "p"), board="7x4"
    )
    assert code == 0, said
    assert "no corner in the lower left and the lower right quarter of the left picture" in said


def test_a_degenerate_set_is_refused_and_not_written(studio, calibrate, tmp_path):
    flat = tuple(
        (x, y, 0.6, 0.0, 0.0, turn) for x, y, turn in ((0, 0, 0), (0.1, 0, 0.1), (0.1, 0.05, 0), (0, 0.05, 0.2))
    )
    code, said, values, out = calibrate(replace(studio, poses=flat).write(tmp_path / "p"))
    assert code == 1
    assert "must not be used: the board has nearly one direction in all views" in said
    assert (values["usable"], len(values["refusals"])) == (False, 1)
    assert not out.exists()


def test_one_picture_is_refused(board_pictures, calibrate, tmp_path):
    for side in ("left", "right"):
        (tmp_path / "p" / side).mkdir(parents=True)
        (tmp_path / "p" / side / "0.png").write_bytes((board_pictures / side / "00.png").read_bytes())
    code, said, _, out = calibrate(tmp_path / "p")
    assert code == 1
    assert "1 pair shows the board to both cameras; at least 3" in said
    assert not out.exists()


def test_cameras_that_do_not_agree_are_refused(board_pictures, calibrate, tmp_path):
    """The right camera's clock runs one picture late: each calibrates well, both together do not."""
    for side, late in (("left", 0), ("right", 1)):
        (tmp_path / "p" / side).mkdir(parents=True)
        for index in range(8):
            path = board_pictures / side / f"{index + late:02d}.png"
            (tmp_path / "p" / side / f"{index}.png").write_bytes(path.read_bytes())
    code, said, _, out = calibrate(tmp_path / "p")
    assert code == 1
    assert "did not take their pictures at the same moment" in said
    assert not out.exists()


def test_exchanged_and_mirrored_cameras(studio, board_pictures, calibrate, tmp_path):
    code, said, _, _ = calibrate((board_pictures / "right", board_pictures / "left"))
    assert code == 2
    assert "given as left come from the camera that stands on the right" in said
    one = replace(studio, poses=studio.poses[:5]).write(tmp_path / "one", lambda left, right: (left, right[:, ::-1]))
    code, said, _, _ = calibrate(one)
    assert code == 2
    assert "the pictures of one camera are mirrored" in said


def test_a_wrong_board_is_named(board_pictures, calibrate, tmp_path):
    for side in ("left", "right"):
        (tmp_path / side).mkdir()
        for index in range(2):
            (tmp_path / side / f"{index}.png").write_bytes((board_pictures / side / f"{index:02d}.png").read_bytes())
    for wrong in ("10x7", "8x6"):
        code, said, _, _ = calibrate(tmp_path, board=wrong)
        assert code == 2
        assert "a 9x6 chessboard is there: say --board 9x6" in said, wrong


def test_pictures_of_different_sizes(board_pictures, calibrate, tmp_path):
    for side in ("left", "right"):
        for index in range(3):
            picture = cv2.imread(str(board_pictures / side / f"{index:02d}.png"), 0)
            write_image(tmp_path / "a" / side / f"{index}.png", picture[:300] if index == 2 else picture)
            write_image(tmp_path / "b" / side / f"{index}.png", picture[:300] if side == "right" else picture)
    for folder, words in (
        ("a", "a picture of 480x300 among pictures of 480x360"),
        ("b", "both cameras need pictures of"),
    ):
        code, said, _, _ = calibrate(tmp_path / folder)
        assert (code, said.count("\n")) == (2, 1)
        assert words in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--board", "9"), "--board is COLUMNSxROWS such as 9x6"),
        (("--square-mm", "0"), "--square-mm is the side of a square in millimetres"),
        (("--pattern", "dots"), "--pattern is one of chessboard, circles, charuco"),
        (("--marker-mm", "40"), "--marker-mm is smaller than a square"),
        (("--model", "omni"), "--model is pinhole or fisheye"),
        (("--out", "calibration.txt"), "a calibration ends in one of .yaml"),
    ],
)
def test_bad_options_are_one_line(board_pictures, calibrate, options, words):
    code, said, _, _ = calibrate(board_pictures, *options)
    assert (code, said.count("\n")) == (2, 1)
    assert words in said


def test_a_real_usb_rig(real_data, calibrate):
    """Four pairs of a board on a tablet, held by hand."""
    folder = real_data / "chessboard_usb_rig_raw"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    code, said, values, _ = calibrate(folder, square="25")
    assert code == 0, said
    assert values["reprojection_error_px"] < 0.2  # measured: 0.12
    assert values["row_error_px"]["largest"] < 1.0  # measured: 0.44
    assert values["held_out_row_error_px"] < 0.5  # measured: 0.25
    assert "4 pairs are few" in said


def test_a_calibration_above_the_bounds_is_shown_and_not_written(board_pictures, calibrate, tmp_path, monkeypatch):
    monkeypatch.setattr("stereodistill.cameras.calibrate.LARGEST_ERROR_PX", 0.01)
    for side in ("left", "right"):
        (tmp_path / "p" / side).mkdir(parents=True)
        for index in range(4):
            (tmp_path / "p" / side / f"{index}.png").write_bytes(
                (board_pictures / side / f"{index:02d}.png").read_bytes()
            )
    code, said, values, out = calibrate(tmp_path / "p")
    assert code == 1
    assert "must not be used: the reprojection error is 0." in said
    assert "rows of rectified pairs are" in said
    assert len(values["refusals"]) == 2
    assert not out.exists()
    assert "This calibration must not be used" in (tmp_path / "calibration.html").read_text()
