"""Nothing is overwritten, dropped or read that should not be, and nobody is left to guess."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from stereodistill.cli.photos import find_photos
from stereodistill.data import open_dataset
from stereodistill.errors import UserError
from stereodistill.io.calibration import read_rig
from stereodistill.io.disparity import read_disparity
from stereodistill.io.images import write_image


def names(source, out=None) -> list[str]:
    return sorted(name for name, _ in find_photos(str(source), out=out).images)


def test_every_photo_has_its_own_result(tmp_path):
    for name in ("a.png", "a.jpg", "a.png.png", "b.png", "sub/a.png", "sub/a.jpg.png"):
        write_image(tmp_path / name, np.zeros((4, 4), np.uint8))
    assert names(tmp_path) == ["a.jpg", "a.png", "a.png.png", "b", "sub/a", "sub/a.jpg"]


def test_results_of_an_earlier_run_are_no_input(tmp_path):
    for name in ("0.png", "1.png", "out/depth16/0.png", "out/color/0.jpg", "out/mine.png"):
        write_image(tmp_path / name, np.zeros((4, 4), np.uint8))
    assert names(tmp_path, tmp_path / "out") == ["0", "1", "out/mine"]
    assert names(f"{tmp_path}/**/*.png", tmp_path / "out") == ["0", "1", "out/mine"]
    assert names(tmp_path, tmp_path / "elsewhere") == ["0", "1", "out/color/0", "out/depth16/0", "out/mine"]


@pytest.mark.parametrize("number", ["²", "9" * 200, "٣"])
def test_numbers_that_are_no_camera(number):
    with pytest.raises(UserError, match="no images there"):
        find_photos(number)


@pytest.mark.parametrize(
    ("cells", "word"),
    [("1e400,0.5", "positive"), ("nan,0.5", "positive"), ("-100,0.5", "positive"), ("0,0.5", "positive"),
     ("100,0", "positive"), ("100,inf", "positive"), ("100,", "both"), (",0.5", "both"), ("x,0.5", "numbers")],
)  # fmt: skip
def test_a_list_with_no_such_camera(tmp_path, cells, word):
    for name in ("l.png", "r.png"):
        write_image(tmp_path / name, np.zeros((4, 4), np.uint8))
    (tmp_path / "list.csv").write_text(f"left,right,focal_px,baseline_m\nl.png,r.png,{cells}\n")
    with pytest.raises(UserError, match=f"line 2: .*{word}"):
        open_dataset(tmp_path / "list.csv")


def test_linked_folders_hold_pairs(rendered, tmp_path):
    (tmp_path / "left").mkdir()
    (tmp_path / "right").mkdir()
    for view in ("left", "right"):
        (tmp_path / view / "seq1").symlink_to(rendered / view)
        (tmp_path / view / "again").symlink_to(tmp_path / view)
    found = open_dataset(tmp_path)
    assert len(found) == len(open_dataset(rendered))
    assert all(name.startswith("seq1/") for name in found.names)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(("name", "text"), [
    ("calib.txt", "\n" * 200_000), ("calib.txt", " " * 200_000), ("calib.txt", "a\n" * 100_000),
    ("calib.txt", "a=" + " " * 200_000 + "b"), ("stereo.xml", "<?xml version='1.0'?>" + "<!--" * 60_000),
    ("stereo.xml", "<?xml version='1.0'?><!-- <!DOCTYPE x> --><!DOCTYPE y><x/>"), ("rig.json", "9" * 5000),
    ("rig.json", "[" * 100_000),
])  # fmt: skip
def test_calibrations_that_are_none_are_told_at_once(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=name):
        read_rig(tmp_path / name, width=100)


HEADERS = ["{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", "{'descr': '<f4'}", "{", "(" * 5000, "[]", "",
           "{'descr': 'f4,' * 9, 'fortran_order': False, 'shape': (2, 3)}", "{'descr': '|O', 'fortran_order': 0}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2, -3), }", "\x00\xff",
           "{'descr': [('a', '<f4', (2,))], 'fortran_order': False, 'shape': (2, 3), }",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 5000 + ", 3), }",
           "{'descr': 5, 'fortran_order': False, 'shape': (2, 3), }",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 3.5), }"]  # fmt: skip


@pytest.mark.parametrize("text", HEADERS[1:], ids=range(1, len(HEADERS)))
@pytest.mark.parametrize("version", [b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"])
def test_numpy_headers(tmp_path, text, version):
    def file(header: str, version: bytes) -> bytes:
        blob = header.encode("latin-1")
        size = len(blob).to_bytes(2 if version[0] == 1 else 4, "little")
        return b"\x93NUMPY" + version + size + blob + np.ones(6, "<f4").tobytes()

    (tmp_path / "d.npy").write_bytes(file(HEADERS[0], b"\x01\x00"))
    assert read_disparity(tmp_path / "d.npy")[0].shape == (2, 3)
    (tmp_path / "d.npy").write_bytes(file(text, version))
    try:
        read_disparity(tmp_path / "d.npy")
    except UserError as error:
        assert "d.npy" in str(error)


def test_an_onnx_file_is_told_where_its_weights_are(cli, rendered, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"x")
    done = cli("predict", rendered / "left", "--weights", tmp_path / "model.onnx", "--out", tmp_path / "out")
    assert done.code == 2 and "weights folder that it was exported from" in done.complaint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [
    ("synth", "flying", "--seed", "-1"), ("synth", "flying", "--seed", 2**32), ("train", "lite_stereo", "--seed", "-1"),
    ("train", "lite_stereo", "loop.seed=-1"), ("train", "lite_stereo", "loop.batch_size=100000000"),
    ("train", "lite_stereo", "loop.batch_size=65536"), ("train", "lite_stereo", "loop.workers=100000"),
    ("train", "lite_stereo", "loop.measure_norms=1000000000"), ("train", "lite_stereo", "loop.epochs=.inf"),
    ("train", "lite_stereo", "optimizer.lr=.nan"), ("train", "lite_stereo", "augment.size=[100000, 100000]"),
    ("train", "lite_stereo", "model.weights=@x"), ("train", "lite_stereo", "model.weights=2024-05-01"),
    ("synth", "flying", "--size", "100000", "100000"), ("fit", "x", "--epochs", "1e308"),
    ("fit", "x", "--minutes", "1e308"), ("label", "x", "--shard", "0/" + "9" * 5000),
])  # fmt: skip
def test_options_are_judged_before_anything_is_done(cli, tmp_path, arguments):
    done = cli(*arguments, "--out", tmp_path / "out")
    assert done.code == 2
    assert done.complaint
    assert not list((tmp_path / "out").glob("[!.]*"))


def test_a_pipe_among_the_pictures_is_passed_by(pairs):
    import os

    os.mkfifo(pairs / "left" / "pipe.png")
    os.mkfifo(pairs / "right" / "pipe.png")
    assert len(open_dataset(pairs)) == len(list((pairs / "rig").iterdir()))


def test_one_lock_for_each_folder(cli, pairs, mono_weights, tmp_path):
    """Whoever is second is refused by every command that writes a folder, and leaves it as it is."""
    import fcntl

    out = tmp_path / "out"
    out.mkdir()
    with (out / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for arguments in (
            ("label", pairs, "--teacher", "sgbm"), ("fit", pairs, "--teacher", "sgbm"), ("train", "lite_stereo"),
            ("synth", "flying"), ("predict", pairs / "left", "--weights", mono_weights), ("demo",),
            ("study", "guo2018-worlds"),
        ):  # fmt: skip
            assert "in use by" in cli(*arguments, "--out", out).complaint
        assert [path.name for path in out.iterdir()] == [".lock"]
        assert cli("label", pairs, "--teacher", "sgbm", "--out", out, "--shard", "0/2").code == 0
    shutil.rmtree(out)
