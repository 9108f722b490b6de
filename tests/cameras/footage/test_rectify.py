"""From raw footage to a folder of pairs whose rows agree."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from stereodistill.cameras import read_calibration
from stereodistill.cameras.matches import match_views
from stereodistill.cameras.rectify import RectifyOptions, SourceOptions, rectify
from stereodistill.data import open_dataset
from stereodistill.errors import UserError

Pair = tuple[np.ndarray, np.ndarray]


@pytest.fixture
def footage(tmp_path: Path, raw_pairs: list[Pair]) -> Path:
    """A folder of raw pairs."""
    return write_pairs(tmp_path / "raw", raw_pairs)


@pytest.fixture
def calibration(tmp_path: Path, raw_rig) -> Path:
    return raw_rig.write(tmp_path / "calibration.yaml")


def write_pairs(folder: Path, pairs: list[Pair]) -> Path:
    for index, pair in enumerate(pairs):
        for side, picture in zip(("left", "right"), pair, strict=True):
            (folder / side).mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(folder / side / f"{index:03d}.png"), picture)
    return folder


def pictures(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.png") if "seen" not in p.name)


def test_rows_agree_and_disparities_are_those_of_the_scene(
    footage: Path, calibration: Path, tmp_path: Path, raw_pairs: list[Pair]
) -> None:
    assert np.median(np.abs(match_views(*raw_pairs[0]).rows_px)) > 5
    done = rectify(footage, calibration, tmp_path / "pairs")
    assert done.num_new == 6 and done.rows is not None and done.rows.before_px > 5 and done.rows.after_px < 0.15
    dataset = open_dataset(tmp_path / "pairs")
    pair = dataset.load(3)
    assert pair.size == (240, 320) and pair.rig.is_metric
    assert pair.rig.baseline_m == pytest.approx(read_calibration(calibration).baseline_m, rel=1e-6)
    left, right = ((v.image * 255).byte().permute(1, 2, 0).numpy() for v in (pair.left, pair.right))
    found = match_views(left, right)
    assert np.median(np.abs(found.rows_px)) < 0.15
    # The scene's layers lie at 5, 12 and 22 px (conftest.py).
    nearest = np.abs(found.disparity_px[:, None] - (5, 12, 22)).min(axis=1)
    assert np.percentile(nearest, 90) < 0.3
    rig = json.loads((tmp_path / "pairs/rig.json").read_text())
    assert rig["cx_px"] == pytest.approx(160, abs=25) and rig["cy_px"] == pytest.approx(120, abs=25)


def test_every_max_pairs_and_format(footage: Path, calibration: Path, tmp_path: Path) -> None:
    options = RectifyOptions(every=2, max_pairs=2, suffix="jpg", size=(120, 160))
    rectify(footage, calibration, tmp_path / "pairs", options)
    assert sorted(p.name for p in (tmp_path / "pairs/left").iterdir()) == ["000.jpg", "002.jpg"]
    assert open_dataset(tmp_path / "pairs").load(0).size == (120, 160)


def test_frames_that_hardly_differ_are_left_out(raw_rig, calibration: Path, tmp_path: Path) -> None:
    still, moved = raw_rig.pair(0), raw_rig.pair(3)
    footage = write_pairs(tmp_path / "raw", [still, still, moved, moved, still])
    done = rectify(footage, calibration, tmp_path / "pairs", RectifyOptions(min_motion_px=3))
    assert pictures(tmp_path / "pairs/left") == ["000.png", "002.png", "004.png"] and done.num_still == 2
    again = rectify(footage, calibration, tmp_path / "pairs", RectifyOptions(min_motion_px=3))
    assert (again.num_new, again.num_old) == (0, 3)


def test_a_stopped_run_goes_on_and_ends_the_same(footage: Path, calibration: Path, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    rectify(footage, calibration, whole)
    rectify(footage, calibration, stopped)
    for name in ("left/002.png", "right/004.png", "left/005.png", "right/005.png"):  # as a kill leaves it
        (stopped / name).unlink()
    times = (stopped / "left/000.png").stat().st_mtime_ns
    done = rectify(footage, calibration, stopped)
    assert (done.num_new, done.num_old) == (3, 3)
    assert (stopped / "left/000.png").stat().st_mtime_ns == times
    for name in pictures(whole):
        assert (whole / name).read_bytes() == (stopped / name).read_bytes()


def test_ctrl_c_leaves_whole_pairs_only(
    footage: Path, calibration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def report(done: int, _: int) -> None:
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"stopped; \d whole pairs .* the same command goes on"):
        rectify(footage, calibration, tmp_path / "pairs", RectifyOptions(workers=1), report=report)
    left, right = (sorted(p.name for p in (tmp_path / "pairs" / side).glob("*")) for side in ("left", "right"))
    assert left == right and all(cv2.imread(str(tmp_path / "pairs/left" / name)) is not None for name in left)


def test_another_run_is_not_mixed_in(footage: Path, calibration: Path, tmp_path: Path) -> None:
    rectify(footage, calibration, tmp_path / "pairs", RectifyOptions(max_pairs=1))
    with pytest.raises(UserError, match=r"holds pairs made with every 1, not 2; give another --out"):
        rectify(footage, calibration, tmp_path / "pairs", RectifyOptions(every=2))
    with pytest.raises(UserError, match="holds something else already"):
        rectify(footage, calibration, footage)


@pytest.mark.parametrize("how", ["exchanged", "another rig", "another size", "two sizes"])
def test_pictures_that_do_not_fit_leave_nothing_behind(
    raw_pairs: list[Pair], raw_rig, calibration: Path, tmp_path: Path, how: str
) -> None:
    pairs, text = {
        "exchanged": ([pair[::-1] for pair in raw_pairs], "left and right are exchanged: rows are off by"),
        "another rig": (
            [(left, np.roll(right, 14, 0)) for left, right in raw_pairs],
            "does not belong.* rows are off by",
        ),
        "another size": ([(left[:200], right[:200]) for left, right in raw_pairs], "another aspect"),
        "two sizes": ([(left, right[:200]) for left, right in raw_pairs], "differ in size, 320x240 and 320x200"),
    }[how]
    with pytest.raises(UserError, match=text):
        rectify(write_pairs(tmp_path / "raw", pairs), calibration, tmp_path / "pairs")
    assert not (tmp_path / "pairs").exists()


def test_mirrored_pictures_are_named(raw_rig, tmp_path: Path) -> None:
    """Lenses without distortion and a rig without rotation: rows agree although the views are exchanged."""
    rows = np.random.default_rng(0).integers(0, 255, (240, 400), np.uint8)
    rows = cv2.GaussianBlur(rows, (0, 0), 1.5)
    rows = cv2.normalize(rows, None, 0, 255, cv2.NORM_MINMAX)
    left, right = rows[:, 20:340], rows[:, 30:350]
    storage = cv2.FileStorage(str(tmp_path / "c.yaml"), cv2.FILE_STORAGE_WRITE)
    lens = np.array([[300.0, 0, 159.5], [0, 300, 119.5], [0, 0, 1]])
    values = {"K1": lens, "D1": np.zeros(5), "K2": lens, "D2": np.zeros(5), "R": np.eye(3), "T": np.array([-0.1, 0, 0])}
    for name, value in {"image_width": 320, "image_height": 240, **values}.items():
        storage.write(name, value)
    storage.release()
    good = write_pairs(tmp_path / "good", [(left, right)])
    assert rectify(good, tmp_path / "c.yaml", tmp_path / "pairs").num_new == 1
    bad = write_pairs(tmp_path / "bad", [(left[:, ::-1], right[:, ::-1])])
    with pytest.raises(UserError, match="the pictures are mirrored, or left and right are exchanged"):
        rectify(bad, tmp_path / "c.yaml", tmp_path / "other")


def test_a_calibration_of_another_resolution_is_scaled_with_a_word(
    raw_pairs: list[Pair], calibration: Path, tmp_path: Path
) -> None:
    half = [tuple(cv2.resize(v, (160, 120), interpolation=cv2.INTER_AREA) for v in pair) for pair in raw_pairs]
    done = rectify(write_pairs(tmp_path / "raw", half), calibration, tmp_path / "pairs")
    assert any("scaled to pictures of 160x120" in note for note in done.notes)
    assert done.rows is not None and done.rows.after_px < 0.3


def test_millimetres_are_noticed_and_the_unit_decides(footage: Path, raw_rig, tmp_path: Path) -> None:
    file = raw_rig.write(tmp_path / "mm.yaml", scale=1000)
    done = rectify(footage, file, tmp_path / "pairs", RectifyOptions(max_pairs=1))
    assert done.rig.baseline_m == pytest.approx(0.1, rel=0.01) and any("millimetres" in note for note in done.notes)
    done = rectify(footage, file, tmp_path / "cm", RectifyOptions(max_pairs=1, unit="cm"))
    assert done.rig.baseline_m == pytest.approx(1.0, rel=0.01)


def test_sixteen_bits_stay_and_twelve_are_brightened(raw_pairs: list[Pair], calibration: Path, tmp_path: Path) -> None:
    deep = [tuple(view.astype(np.uint16) * 16 for view in pair) for pair in raw_pairs[:2]]  # up to 4080: 12 bits
    done = rectify(write_pairs(tmp_path / "raw", deep), calibration, tmp_path / "pairs")
    assert any("use 12 bits were brightened" in note for note in done.notes)
    stored = cv2.imread(str(tmp_path / "pairs/left/000.png"), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16 and stored.max() > 40000
    rectify(tmp_path / "raw", calibration, tmp_path / "as_is", RectifyOptions(bits=16))
    assert cv2.imread(str(tmp_path / "as_is/left/000.png"), cv2.IMREAD_UNCHANGED).max() <= 4095


def test_empty_pixels_are_marked_for_training(footage: Path, calibration: Path, tmp_path: Path) -> None:
    done = rectify(footage, calibration, tmp_path / "pairs", RectifyOptions(keep_fov=1.0, max_pairs=2))
    assert done.share_empty > 0.05
    pair = open_dataset(tmp_path / "pairs").load(0)
    seen, image = pair.left.seen, pair.left.image
    assert 1 - float(seen.float().mean()) == pytest.approx(done.share_empty)
    # At the border of the two, interpolation draws a little of the picture into the empty part.
    assert float(image[:, ~seen[0]].mean()) < 0.03 and float((image[:, seen[0]] > 0).float().mean()) > 0.97
    assert not rectify(footage, calibration, tmp_path / "full").share_empty > 0.01


def test_a_video_that_breaks_off_is_told_with_what_is_saved(
    raw_pairs: list[Pair], calibration: Path, tmp_path: Path
) -> None:
    video = tmp_path / "run.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 20, (640, 240))
    for pair in raw_pairs * 6:
        writer.write(cv2.cvtColor(np.concatenate(pair, axis=1), cv2.COLOR_GRAY2BGR))
    writer.release()
    data = video.read_bytes()
    video.write_bytes(data[: len(data) // 2])
    with pytest.raises(
        UserError, match=r"is truncated: it states 36 frames, \d+ can be decoded.*whole pairs from before"
    ):
        rectify(video, calibration, tmp_path / "pairs")
    left, right = (len(list((tmp_path / "pairs" / side).glob("*.png"))) for side in ("left", "right"))
    assert left == right > 5


def test_real_drone_footage(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "euroc_drone_raw_b"
    done = rectify(folder, folder, tmp_path / "pairs")
    assert done.rows is not None and done.rows.before_px > 12 and done.rows.after_px <= 0.5
    found = [
        match_views(*(cv2.imread(str(tmp_path / f"pairs/{side}/left_img_{i}.png"), 0) for side in ("left", "right")))
        for i in (0, 1)
    ]
    assert np.median(np.abs(np.concatenate([matches.rows_px for matches in found]))) <= 0.5


def test_options_that_cannot_be(footage: Path, calibration: Path, tmp_path: Path) -> None:
    for options, text in (
        (RectifyOptions(every=0), "--every must be at least 1"),
        (RectifyOptions(min_motion_px=-1), "--min-motion is a number of pixels"),
        (RectifyOptions(bits=4), "--bits is between 8 and 16"),
        (RectifyOptions(suffix="gif"), "--format is one of png, jpg"),
        (RectifyOptions(source=SourceOptions(layout="sbsx")), "no stereo pairs"),
    ):
        with pytest.raises(UserError, match=text):
            rectify(footage, calibration, tmp_path / "pairs", options)
    with pytest.raises(UserError, match="no file or folder"):
        rectify(tmp_path / "nowhere", calibration, tmp_path / "pairs")
    assert not (tmp_path / "pairs").exists()
