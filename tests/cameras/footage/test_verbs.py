"""The doctor on raw input, `fit --calibration`, `predict --calibration`, and the verb itself."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from stereodistill import fitting
from stereodistill.cameras import stereo_rectify
from stereodistill.cameras.one_view import RawCamera
from stereodistill.cameras.output import is_rectified
from stereodistill.cli import run
from stereodistill.data import check_dataset
from stereodistill.errors import UserError
from stereodistill.models import build
from stereodistill.types import Rig
from stereodistill.weights import WeightsHeader, save_weights


def write_pairs(folder: Path, pairs: list[tuple[np.ndarray, np.ndarray]]) -> Path:
    for index, pair in enumerate(pairs):
        for side, picture in zip(("left", "right"), pair, strict=True):
            (folder / side).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / side / f"{index:03d}.png"), picture)
    return folder


def test_the_doctor_names_the_remedy_of_raw_pictures(raw_pairs, scene_views, tmp_path: Path) -> None:
    raw = write_pairs(tmp_path / "raw footage", [(left, np.roll(right, 6, 0)) for left, right in raw_pairs])
    row = next(f for f in check_dataset(raw).findings if f.code == "rows_not_aligned")
    assert row.severity == "error" and row.message.startswith("raw: not rectified: in 6 of 6 pairs")
    assert f"`stereodistill rectify '{raw}' --calibration FILE --out pairs`" in row.remedy
    assert "stereodistill calibrate PICTURES" in row.remedy
    bumped = write_pairs(
        tmp_path / "bumped", [(left, np.roll(right, 3, 0)) for left, right in map(scene_views, (0, 1, 2))]
    )
    row = next(f for f in check_dataset(bumped).findings if f.code == "rows_not_aligned")
    assert not row.message.startswith("raw")
    assert row.remedy.startswith(f"`stereodistill rectify {bumped} --refine --out mended`")


def test_the_doctor_knows_a_recording(raw_pairs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = 1403636579763555584
    for index, pair in enumerate(raw_pairs[:2]):
        for camera, picture in zip(("cam0", "cam1"), pair, strict=True):
            folder = tmp_path / "mav0" / camera / "data"
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f"{start + index * 50_000_000}.png"), picture)
    assert run(["check", str(tmp_path), "--json", str(tmp_path / "found.json")]) == 1
    said = capsys.readouterr().out
    assert "raw: not rectified" in said and "are off by" in said and "--calibration FILE --out pairs" in said
    assert json.loads((tmp_path / "found.json").read_text())["ok"] is False


def test_rectify_and_refine_from_the_command_line(
    raw_rig, raw_pairs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, file = write_pairs(tmp_path / "raw", raw_pairs[:3]), raw_rig.write(tmp_path / "c.yaml")
    assert run(["rectify", str(raw), "--calibration", str(file), "--out", str(tmp_path / "pairs")]) == 0
    assert "Next: stereodistill fit" in capsys.readouterr().out
    assert run(["rectify", str(tmp_path / "pairs"), "--refine", "--out", str(tmp_path / "mended")]) == 0
    assert "3 pairs mended" in capsys.readouterr().out
    for arguments, text in (
        ([], "give either --calibration FILE (raw footage) or --refine"),
        (["--refine", "--calibration", str(file)], "give either --calibration FILE"),
        (["--calibration", str(file), "--size", "480"], "--size is HEIGHTxWIDTH"),
        (["--calibration", str(tmp_path / "no.yaml")], "no.yaml"),
    ):
        assert run(["rectify", str(raw), "--out", str(tmp_path / "x"), *arguments]) == 2
        said = capsys.readouterr().err
        assert text in said and said.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_a_raw_photo_is_undistorted_as_in_training(raw_rig, raw_pairs, tmp_path: Path) -> None:
    camera = RawCamera(raw_rig.write(tmp_path / "c.yaml"))
    left = raw_pairs[0][0]
    photo = np.repeat(left[..., None], 3, axis=2).astype(np.float32) / 255
    picture, seen, focal_px = camera.undistorted(photo)
    rectification = stereo_rectify(raw_rig.calibration)
    expected, _ = rectification.undistort_left(left)
    assert focal_px == pytest.approx(rectification.rig.focal_px, rel=1e-6)
    assert np.abs(picture[..., 0] * 255 - expected).max() <= 1 and seen.mean() > 0.99


def test_fit_rectifies_raw_footage_first(raw_rig, raw_pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the pairs that are opened: all behind it is as for any others."""
    raw, file = write_pairs(tmp_path / "raw", raw_pairs[:3]), raw_rig.write(tmp_path / "c.yaml")

    class Opened(Exception):
        pass

    def opened(data: Path, **options: object) -> None:
        raise Opened(data, options)

    monkeypatch.setattr(fitting, "open_dataset", opened)
    for _ in range(2):  # and goes on with what is there
        with pytest.raises(Opened) as caught:
            fitting.fit(raw, tmp_path / "run", calibration=file)
        data, options = caught.value.args
        assert data == tmp_path / "run/pairs" and options == {"layout": "auto", "rig": None}
        assert len(list((data / "left").iterdir())) == 3 and is_rectified(data)
    with pytest.raises(UserError, match="the rig was given twice"):
        fitting.fit(raw, tmp_path / "x", calibration=file, rig=Rig(focal_px=300, baseline_m=0.1, width=320))


def test_predict_undistorts_raw_photos_and_asks_for_it(
    raw_rig, raw_pairs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, photo = raw_rig.write(tmp_path / "c.yaml"), tmp_path / "photo.png"
    cv2.imwrite(str(photo), raw_pairs[0][0])
    rig = stereo_rectify(raw_rig.calibration).rig
    header = WeightsHeader(
        architecture="lite_mono", kind="mono", input_size=(64, 96), rectified=True,
        rig={"focal_px": float(rig.focal_px), "baseline_m": 0.1, "width": 320},
    )  # fmt: skip
    torch.manual_seed(0)
    weights = str(save_weights(tmp_path / "weights", build("lite_mono"), header))
    arguments = ["predict", str(photo), "--weights", weights, "--save", "npy", "--out"]
    assert run([*arguments, str(tmp_path / "a"), "--focal-px", "260"]) == 0
    assert "its raw photos need --calibration" in capsys.readouterr().err
    assert run([*arguments, str(tmp_path / "b"), "--calibration", str(file)]) == 0
    assert capsys.readouterr().err == ""
    plain, undistorted = (np.load(tmp_path / name / "npy/photo.npy") for name in ("a", "b"))
    assert plain.shape == undistorted.shape == (240, 320) and not np.allclose(plain, undistorted, equal_nan=True)
    assert run([*arguments, str(tmp_path / "c"), "--calibration", str(file), "--focal-px", "300"]) == 2
    assert "the camera was given twice" in capsys.readouterr().err
