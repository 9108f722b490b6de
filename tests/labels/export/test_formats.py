"""What is written, read by readers that know nothing of ours: metres and unknown pixels are right."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image

from stereodistill.data import open_dataset, split_stretches
from stereodistill.io.images import read_image
from stereodistill.labels.export import export_labels
from stereodistill.labels.export.formats import units_for
from stereodistill.predict.depth_map import depth_to_units

SPLITS = ("train", "val")


def flat(name: str) -> str:
    return name.replace("/", "__")


def close_to(found: np.ndarray, truth: np.ndarray, units_per_m: int | None) -> None:
    """Equal to the format's step, unknown where the truth is, and where the format cannot reach."""
    reach = np.inf if units_per_m is None else 65535.5 / units_per_m
    expected = np.where(truth < reach, truth, 0)
    assert ((found > 0) == (expected > 0)).all()
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=0 if units_per_m is None else 0.5001 / units_per_m)


def names_of(labels, seed: int = 0, val_fraction: float = 0.25) -> dict[str, str]:
    """Name -> split, as `fit` makes it."""
    names = sorted({name for name, _ in labels.depth_m})
    train, _ = split_stretches(names, val_fraction, seed)
    return {name: "train" if index in train else "val" for index, name in enumerate(names)}


@pytest.mark.parametrize("seed", [0, 1])
def test_ultralytics(labels, tmp_path, seed):
    done = export_labels(labels.root, "ultralytics", tmp_path, val_fraction=0.25, seed=seed)
    root = tmp_path / "ultralytics"
    about = yaml.safe_load((root / "data.yaml").read_text())
    assert about == {
        "train": "images/train", "val": "images/val", "nc": 1, "names": {0: "depth"}, "channels": 3, "depth_scale": 256,
    }  # fmt: skip
    splits = names_of(labels, seed)
    assert (done.num_train, done.num_val) == tuple(list(splits.values()).count(split) for split in SPLITS)
    for split in SPLITS:
        photos = sorted((root / about[split]).iterdir())
        assert [p.stem for p in photos] == [flat(name) for name, of in splits.items() if of == split]
        for photo in photos:
            # The loader swaps the last folder called `images` and the suffix.
            depth = root / "depth" / split / f"{photo.stem}.png"
            with Image.open(depth) as stored:
                assert stored.format == "PNG" and stored.mode == "I;16"
                metres = np.asarray(stored).astype(np.float64) / about["depth_scale"]
            close_to(metres, labels.depth(photo.stem.replace("__", "/")), 256)
    assert len(list((root / "depth").rglob("*.png"))) == len(splits)


def test_photos_are_what_the_other_side_reads(labels, tmp_path):
    export_labels(labels.root, "ultralytics", tmp_path, val_fraction=0.25)
    photos = {path.stem: path for path in (tmp_path / "ultralytics" / "images").rglob("*.*")}
    assert {path.suffix for path in photos.values()} == {".png"}  # it does not read PGM
    assert photos["a__000001"].stat().st_ino == (labels.root / "left/a/000001.png").stat().st_ino
    for stem, path in photos.items():
        own = labels.root / "left" / f"{stem.replace('__', '/')}.{'png' if stem[0] == 'a' else 'pgm'}"
        assert (read_image(path) == read_image(own)).all()


def test_npy(labels, tmp_path):
    export_labels(labels.root, "npy", tmp_path, val_fraction=0.25)
    root = tmp_path / "npy"
    with (root / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["name"]: row["split"] for row in rows} == names_of(labels)
    for row in rows:
        depth = np.load(root / row["depth"], allow_pickle=False)
        assert depth.dtype == np.float32
        close_to(depth, labels.depth(row["name"]), None)
        sure = cv2.imread(str(root / row["confidence"]), cv2.IMREAD_UNCHANGED)
        assert sure.shape == depth.shape and (sure[depth == 0] == 0).all() and (sure[depth > 0] > 0).all()
        assert (int(row["height"]), int(row["width"])) == depth.shape
        assert float(row["focal_px"]) == (100 if row["name"][0] == "a" else 140)
        assert read_image(root / row["photo"]).shape[:2] == depth.shape


def test_kitti_depth_by_the_rule_of_its_development_kit(labels, tmp_path):
    export_labels(labels.root, "kitti-depth", tmp_path, val_fraction=0.25)
    root = tmp_path / "kitti-depth"
    with (root / "names.csv").open(newline="") as file:
        name_of = {row["photo"]: row["name"] for row in csv.DictReader(file)}
    splits, seen = names_of(labels), []
    place = re.compile(r"(\d{4}_\d\d_\d\d)/(\1_drive_\d{4}_sync)/(image_0[23])/data/(\d{10})\.png")
    for split in SPLITS:
        drives = {path.name for path in (root / split).iterdir()}
        for line in (root / f"{split}_files_with_gt.txt").read_text().splitlines():
            photo, depth, focal = line.split()
            day, drive, camera, frame = place.fullmatch(photo).groups()
            assert depth == f"{split}/{drive}/proj_depth/groundtruth/{camera}/{frame}.png"
            assert drive in drives and day in drive
            stored = np.array(Image.open(root / depth), dtype=int)
            assert stored.max() > 255  # the kit's own check that it is 16 bit
            name = name_of[photo]
            close_to(stored / 256.0, labels.depth(name, "left" if camera == "image_02" else "right"), 256)
            assert splits[name] == split
            assert float(focal) == (100 if name[0] == "a" else 140)
            assert (root / photo).is_file()
            seen.append((name, camera))
    assert sorted(seen) == sorted((name, camera) for name in splits for camera in ("image_02", "image_03"))
    assert len(list(root.glob("train/*"))) + len(list(root.glob("val/*"))) == len(
        {path.name for split in SPLITS for path in (root / split).iterdir()}
    ), "a drive belongs to one split"


def test_kitti_depth_is_read_back_as_the_data_set_of_that_name(labels, tmp_path):
    export_labels(labels.root, "kitti-depth", tmp_path, val_fraction=0.25)
    root, splits = tmp_path / "kitti-depth", names_of(labels)
    with (root / "names.csv").open(newline="") as file:
        frames = {row["photo"]: row["name"] for row in csv.DictReader(file) if "image_02" in row["photo"]}
    name_of = {f"{p.split('/')[1]}/{Path(p).stem}": name for p, name in frames.items()}
    for split in SPLITS:
        dataset = open_dataset(f"kitti_depth:{split}={root}")
        assert len(dataset) == list(splits.values()).count(split)
        for index, frame in enumerate(dataset.names):
            pair, name = dataset.load(index), name_of[frame]
            expected = (100, 0.5, 0) if name[0] == "a" else (140, 0.25, 3)
            found = (pair.rig.focal_px, pair.rig.baseline_m, pair.rig.doffs_px)
            assert found == pytest.approx(expected)
            depth_m, valid = dataset.depth(index)
            close_to(np.where(valid, depth_m, 0), labels.depth(name), 256)


def test_frames_of_kitti_raw_keep_their_place(write_labels, tmp_path):
    names = tuple(f"2011_09_26_drive_{drive}_sync/{frame:010d}" for drive in ("0001", "0036") for frame in (5, 9, 14))
    made = write_labels(tmp_path / "labels", names=names)
    export_labels(made.root, "kitti-depth", tmp_path, val_fraction=0.3)
    root = tmp_path / "kitti-depth"
    photos = {path.relative_to(root).as_posix() for path in root.rglob("image_02/data/*.png")}
    assert photos == {f"2011_09_26/{n.split('/')[0]}/image_02/data/{n.split('/')[1]}.png" for n in names}
    for split, num in (("train", 4), ("val", 2)):
        dataset = open_dataset(f"kitti_depth:{split}={root}")
        assert len(dataset) == num and set(dataset.names) <= set(names)
        for index, name in enumerate(dataset.names):
            depth_m, valid = dataset.depth(index)
            close_to(np.where(valid, depth_m, 0), made.depth(name), 256)


def test_hf_datasets_by_its_files(labels, tmp_path):
    export_labels(labels.root, "hf-datasets", tmp_path, val_fraction=0.25)
    root, splits = tmp_path / "hf-datasets", names_of(labels)
    for split, folder in (("train", "train"), ("val", "validation")):
        rows = [json.loads(line) for line in (root / folder / "metadata.jsonl").read_text().splitlines()]
        assert [row["name"] for row in rows] == [name for name, of in splits.items() if of == split]
        for row in rows:
            with Image.open(root / folder / row["depth_file_name"]) as stored:
                assert stored.mode == "F"
                close_to(np.asarray(stored), labels.depth(row["name"]), None)
            assert (root / folder / row["file_name"]).is_file()
            assert (root / folder / row["confidence_file_name"]).is_file()


@pytest.mark.parametrize("kind", ["ultralytics", "kitti-depth", "npy", "hf-datasets"])
def test_doubtful_depth_is_unknown_when_that_is_asked_for(labels, tmp_path, kind):
    export_labels(labels.root, kind, tmp_path / "all", val_fraction=0.25)
    export_labels(labels.root, kind, tmp_path / "sure", val_fraction=0.25, min_confidence=0.5)
    suffix = {"npy": "npy", "hf-datasets": "tiff"}.get(kind, "png")
    maps = [p for p in (tmp_path / "all").rglob(f"*.{suffix}") if {"depth", "proj_depth"} & set(p.parts)]
    assert len(maps) == (24 if kind == "kitti-depth" else 12)
    for path in maps:
        everything, sure = (
            np.load(p) if suffix == "npy" else cv2.imread(str(p), cv2.IMREAD_UNCHANGED)
            for p in (path, tmp_path / "sure" / path.relative_to(tmp_path / "all"))
        )
        quarter = everything.shape[1] // 4
        assert (everything[3:-2, :quarter] > 0).all() and (sure[:, :quarter] == 0).all()
        assert (everything[:, quarter:] == sure[:, quarter:]).all()


@pytest.mark.parametrize(
    ("near_m", "units"), [(4.0, 256), (0.79, 256), (0.7, 1000), (0.05, 10_000), (0.004, 100_000), (0.0001, 100_000)]
)
def test_near_scenes_get_finer_units(near_m, units):
    # 256: 3.9 mm are 0.5 % of 0.78 m; 1000: 1 mm of 20 cm; 10000: 0.1 mm of 2 cm.
    assert units_for(near_m) == units


def test_units_of_a_metre():
    depth = np.array([0, np.nan, np.inf, -1, 1, 0.001, 255.998, 256.01, 1.5 / 256], np.float32)
    assert depth_to_units(depth, 256).tolist() == [0, 0, 0, 0, 256, 1, 65535, 0, 2]
    assert depth_to_units(np.array([0.0123456, 7.0]), 10_000).tolist() == [123, 0]


def test_an_endoscope_gets_units_that_hold_it(write_labels, tmp_path):
    from stereodistill.types import Rig

    made = write_labels(tmp_path / "labels")
    small = Rig(focal_px=100.0, baseline_m=0.005, width=0)
    export_labels(made.root, "ultralytics", tmp_path, rig=small, val_fraction=0.25)
    root = tmp_path / "ultralytics"
    assert yaml.safe_load((root / "data.yaml").read_text())["depth_scale"] == 10_000
    (path,) = root.rglob("depth/*/a__000004.png")
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert stored[10, 16] / 10_000 == pytest.approx(0.5 / (2 + 4 + 16 * 8 / 256), abs=0.5e-4)
    with pytest.warns(UserWarning, match=r"steps of 4 mm.*as near as 0.0\d+ m"):
        export_labels(made.root, "kitti-depth", tmp_path, rig=small, val_fraction=0.25)
