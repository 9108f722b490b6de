"""Labels belong to the pictures they were made from, whatever happens to the originals; nothing is spoilt."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from stereodistill.errors import UserError
from stereodistill.io.images import read_image, write_image
from stereodistill.labels.dataset import LabelledDataset
from stereodistill.labels.make import label
from stereodistill.predict.teachers import FolderTeacher, SgbmTeacher


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Two pairs of PGM files: every picture of a size has the same number of bytes."""
    generator = np.random.default_rng(0)
    for name in ("0", "1"):
        picture = generator.integers(0, 256, (32, 64), np.uint8)
        write_image(tmp_path / "raw/left" / f"{name}.pgm", picture)
        write_image(tmp_path / "raw/right" / f"{name}.pgm", np.roll(picture, -4, axis=1))
    return tmp_path / "raw"


def other_picture(path: Path, in_place: bool) -> None:
    blob = bytearray(path.read_bytes())
    blob[-100:] = bytes(100)
    if not in_place:
        path.unlink()
    path.write_bytes(blob)


def age(folder: Path, seconds: int) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns - seconds * 10**9))


def test_other_pictures_of_the_same_names_and_sizes_are_refused(raw, tmp_path):
    label(raw, SgbmTeacher(), tmp_path / "labels")
    other_picture(raw / "left/1.pgm", in_place=False)
    with pytest.raises(UserError, match=r"another picture 1\.pgm"):
        label(raw, SgbmTeacher(), tmp_path / "labels")


def test_the_same_pictures_copied_again_are_known(raw, tmp_path):
    label(raw, SgbmTeacher(), tmp_path / "labels")
    again = Path(shutil.copytree(raw, tmp_path / "again", copy_function=shutil.copyfile))
    assert label(again, SgbmTeacher(), tmp_path / "labels").num_old == 2


def test_a_picture_that_is_written_over_is_labelled_again(raw, tmp_path):
    """The picture beside the label is a hard link, so it has changed too."""
    label(raw, SgbmTeacher(), tmp_path / "labels")
    age(tmp_path / "labels", 10)
    before = (tmp_path / "labels/disparity/1.png").read_bytes()
    other_picture(raw / "left/1.pgm", in_place=True)
    with pytest.raises(UserError, match="changed after it was labelled"):
        LabelledDataset(tmp_path / "labels").load(1)
    done = label(raw, SgbmTeacher(), tmp_path / "labels")
    assert (done.num_new, done.num_old) == (1, 1)
    assert (tmp_path / "labels/disparity/1.png").read_bytes() != before
    assert LabelledDataset(tmp_path / "labels").load(1).left.valid.any()


@pytest.mark.parametrize("out", ["raw/left", "raw/left/labels", "raw/right/a/b"])
def test_labels_among_the_pictures_are_refused(raw, tmp_path, out):
    with pytest.raises(UserError, match="among the pictures|no labels.json"):
        label(raw, SgbmTeacher(), tmp_path / out)
    assert sorted(path.name for path in (raw / "left").iterdir()) == ["0.pgm", "1.pgm"]
    label(raw, SgbmTeacher(), raw / "labels")


def test_maps_of_the_left_view_alone_label_it_with_a_word(raw, tmp_path):
    (tmp_path / "maps").mkdir()
    for name in ("0", "1"):
        np.save(tmp_path / "maps" / f"{name}.npy", np.full((32, 64), 4.0, np.float32))
    teacher = FolderTeacher(tmp_path / "maps")
    with pytest.warns(UserWarning, match="only the left views are labelled"):
        assert label(raw, teacher, tmp_path / "labels").num_new == 2
    pair = LabelledDataset(tmp_path / "labels").load(0)
    assert pair.left.valid.all() and not pair.right.valid.any()
    with pytest.warns(UserWarning, match="only the left"):
        assert label(raw, teacher, tmp_path / "labels").num_old == 2


def test_nothing_is_held_out(raw, tmp_path):
    label(raw, SgbmTeacher(), tmp_path / "labels")
    assert len(LabelledDataset(tmp_path / "labels", raw, names=())) == 0


def test_as_many_threads_as_there_is_sense_in(raw, tmp_path):
    with pytest.raises(UserError, match="256"):
        label(raw, SgbmTeacher(), tmp_path / "labels", workers=100_000)


def test_names_that_are_no_text_or_odd_numbers(raw, tmp_path):
    """`5²` is a digit to Python but no number; bytes of an old file system are no text."""
    for view in ("left", "right"):
        for old, new in (("0", "5²"), ("1", os.fsdecode(b"caf\xe9"))):
            (raw / view / f"{old}.pgm").rename(raw / view / f"{new}.pgm")
        shutil.copyfile(raw / view / "5².pgm", raw / view / "①.pgm")
    done = label(raw, SgbmTeacher(), tmp_path / os.fsdecode(b"out\xe9"))
    assert done.num_new == 3
    found = LabelledDataset(done.out)
    assert sorted(found.names) == sorted(["5²", "caf%E9", "①"])
    assert all(found.load(index).left.valid.any() for index in range(3))
    assert read_image(done.out / "left" / "caf%E9.pgm").shape == (32, 64, 3)
