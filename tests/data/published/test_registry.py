from __future__ import annotations

from pathlib import Path

import pytest

from stereodistill.data import DATASETS, ListedPairs, open_dataset
from stereodistill.data.published.registry import NamedSource, dataset_class, parse_source
from stereodistill.errors import UserError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kitti_raw:eigen_test=/discs/kitti", NamedSource("kitti_raw", "eigen_test", Path("/discs/kitti"))),
        ("kitti_raw=/discs/a=b:c", NamedSource("kitti_raw", None, Path("/discs/a=b:c"))),
        ("kitti_raw:=/discs", NamedSource("kitti_raw", None, Path("/discs"))),
        ("vkitti2:clone", NamedSource("vkitti2", "clone", Path("/sets/vkitti2"))),
        ("vkitti2", NamedSource("vkitti2", None, Path("/sets/vkitti2"))),
        ("vkitti2=~/v", NamedSource("vkitti2", None, Path("~/v").expanduser())),
    ],
)
def test_what_a_name_says(text, expected):
    environment = {"STEREODISTILL_DATA": "/sets"}
    assert parse_source(text, environment) == parse_source(Path(text), environment) == expected


@pytest.mark.parametrize("text", ["pairs", "/a/kitti_raw:x=y", "C:/pairs", r"C:\pairs", "s3://a/b", "pairs/x=1"])
def test_paths_stay_paths(text):
    assert parse_source(text) is None


def test_what_exists_on_disk_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("kitti_raw", "kitti_raw:all=x", "odd:name=1"):
        (tmp_path / name).mkdir()
        assert parse_source(name) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kiti_raw=/x", "did you mean kitti_raw.*known: kitti_raw, "),
        ("nothing:like=it", "no such path and no data set 'nothing'; known:"),
        ("kitti_raw:all", "STEREODISTILL_DATA"),
    ],
)
def test_unusable_names_say_what_is_known(text, message):
    with pytest.raises(UserError, match=message):
        parse_source(text, {})


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_lists_its_splits(name, tmp_path):
    cls = dataset_class(name)
    assert issubclass(cls, ListedPairs) and cls.name == name
    for source, message in ((f"{name}:?", "choose a split: "), (f"{name}:odd={tmp_path}", "no split 'odd'")):
        with pytest.raises(UserError, match=message) as error:
            open_dataset(source)
        assert all(split in str(error.value) for split in cls.splits)


@pytest.mark.parametrize("name", DATASETS)
def test_a_wrong_root_says_what_was_expected(name, tmp_path):
    (tmp_path / "holiday").mkdir()
    split = list(dataset_class(name).splits)[-1]
    with pytest.raises(UserError, match=f"{tmp_path}: nothing of {name}:{split} there; expected ") as error:
        open_dataset(f"{name}:{split}={tmp_path}")
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="no such folder"):
        open_dataset(f"{name}={tmp_path / 'absent'}")


def test_root_from_the_environment_and_no_layout(kitti_drives, tmp_path, monkeypatch):
    kitti_drives([("2011_09_26", "0001", 3)], root=tmp_path / "kitti_raw")
    monkeypatch.setenv("STEREODISTILL_DATA", str(tmp_path))
    assert open_dataset("kitti_raw:all").names == ["2011_09_26_drive_0001_sync/0000000003"]
    with pytest.raises(UserError, match="leave out layout 'kitti'"):
        open_dataset("kitti_raw:all", layout="kitti")
