"""Reading only a window gives, bit for bit, the window of the whole; memory stays where it was."""

from __future__ import annotations

import gc
import tracemalloc
import zlib
from dataclasses import fields
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch

from stereodistill.data import PairDataset, PairFiles, open_dataset
from stereodistill.data.augment.pair import AugmentStereo, augment_stereo, load_stereo
from stereodistill.data.tolerant import Tolerant
from stereodistill.data.windows import read_pair
from stereodistill.errors import UserError
from stereodistill.io import images
from stereodistill.io.disparity import read_disparity, write_disparity
from stereodistill.io.images import Window, read_image, read_image_window, write_image
from stereodistill.io.png import decode_png, load_isal, load_spng
from stereodistill.rng import rng
from stereodistill.types import Rig

FILTERS = {"sub": cv2.IMWRITE_PNG_FILTER_SUB, "adaptive": cv2.IMWRITE_PNG_ALL_FILTERS}
CONFIG = AugmentStereo(size=(32, 64))


@pytest.fixture(params=["zlib", "isal", "spng", "isal and spng"])
def inflater(request, monkeypatch):
    """The decoder with each of the libraries that may be there."""
    libraries = {"isal": load_isal(), "spng": load_spng()}
    used = {name: module for name, module in libraries.items() if name in request.param}
    if None in used.values():
        pytest.skip("isal or pyspng is not installed: pip install 'stereodistill[fast]'")
    isal, spng = used.get("isal"), used.get("spng")
    monkeypatch.setattr(images, "decode_png", lambda data, **options: decode_png(data, isal, spng, **options))


def same(one, other) -> bool:
    views = [(getattr(one, side), getattr(other, side)) for side in ("left", "right")]
    equal = all(torch.equal(getattr(a, f.name), getattr(b, f.name)) for a, b in views for f in fields(a))
    return equal and one.rig == other.rig and one.name == other.name


@pytest.mark.parametrize("row_filter", FILTERS)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".pgm"])
def test_a_window_of_a_picture(tmp_path, scene, inflater, suffix, row_filter):
    left = (scene(0)[0] * 255).astype(np.uint8)
    stored = left[..., 0] if suffix == ".pgm" else left
    options = [cv2.IMWRITE_PNG_FILTER, FILTERS[row_filter]] if suffix == ".png" else []
    cv2.imwrite(str(tmp_path / f"a{suffix}"), stored, options)
    whole = read_image(tmp_path / f"a{suffix}").transpose(2, 0, 1)
    for window in (Window(0, 0, 160, 320), Window(3, 5, 40, 70), Window(159, 319, 1, 1), Window(100, 0, 60, 320)):
        found, size = read_image_window(tmp_path / f"a{suffix}", lambda size, window=window: window)
        assert size == (160, 320) and found.flags.c_contiguous and found.dtype == np.float32
        rows, columns = slice(window.top, window.top + window.height), slice(window.left, window.left + window.width)
        assert np.array_equal(found, whole[:, rows, columns])


def test_a_turned_photo_is_cropped_as_it_is_shown(tmp_path, inflater):
    image = np.random.default_rng(0).integers(0, 255, (6, 10, 3), dtype=np.uint8)
    data = cv2.imencode(".png", image)[1].tobytes()
    orientation = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    chunk = b"eXIf" + orientation
    exif = len(orientation).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(data[:33] + exif + data[33:])
    whole = read_image(tmp_path / "a.png")
    assert whole.shape == (10, 6, 3)
    found, size = read_image_window(tmp_path / "a.png", lambda size: Window(1, 2, size[0] - 1, size[1] - 2))
    assert size == (10, 6)
    assert np.array_equal(found, whole[1:, 2:].transpose(2, 0, 1))


@pytest.mark.parametrize("index", range(6))
def test_load_stereo_is_load_then_augment(pairs_folder, inflater, index):
    dataset = open_dataset(pairs_folder(2, truth=True))
    expected = augment_stereo(dataset.load(index % 2), CONFIG, rng(0, 0, index))
    found = load_stereo(dataset, index % 2, CONFIG, rng(0, 0, index))
    assert same(found, expected)
    assert (found.left.valid.any() or found.right.valid.any()) and found.rig.is_metric


@pytest.mark.parametrize("suffix", [".pfm", ".npy", ".png"])
def test_truth_of_both_views_in_every_format(tmp_path, scene, suffix):
    left, right, disparity = scene(1)
    for name, image in (("left", left), ("right", right)):
        write_image(tmp_path / name / "a.png", image)
    for name in ("disparity", "disparity_right"):
        write_disparity(tmp_path / name / f"a{suffix}", disparity, disparity != 5)
    dataset = open_dataset(tmp_path, rig=Rig(focal_px=300.0, baseline_m=0.2, width=0))
    for index in range(3):
        expected = augment_stereo(dataset.load(0), CONFIG, rng(1, 0, index))
        assert same(load_stereo(dataset, 0, CONFIG, rng(1, 0, index)), expected)


def test_without_a_size_the_whole_picture_is_augmented(pairs_folder):
    dataset, config = open_dataset(pairs_folder(1, truth=True)), AugmentStereo(size=None)
    assert same(load_stereo(dataset, 0, config, rng(3)), augment_stereo(dataset.load(0), config, rng(3)))


def test_other_sizes_are_refused_as_by_load(tmp_path, scene):
    left, right, disparity = scene(2)
    files = PairFiles(name="a", left=tmp_path / "l.png", right=tmp_path / "r.png", disparity=tmp_path / "d.png")
    write_image(files.left, left)
    write_image(files.right, right[:, :300])
    write_disparity(tmp_path / "d.png", disparity[:100])
    window = Window(2, 4, 50, 60)
    with pytest.raises(UserError, match="one size, found 320x160 .* and 300x160") as found:
        read_pair(files, lambda size: window)
    with pytest.raises(UserError) as expected:
        PairDataset([files]).load(0)
    assert str(found.value) == str(expected.value)
    write_image(files.right, right)
    for top in (2, 110):
        with pytest.raises(UserError, match="must have the size of its image 320x160, found 320x100"):
            read_pair(files, lambda size, top=top: Window(top, 4, 50, 60))


@pytest.mark.parametrize("part", ["left", "disparity"])
def test_a_truncated_file_is_refused_even_below_the_window(pairs_folder, inflater, part):
    root = pairs_folder(1, truth=True)
    path = root / part / "0.png"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match="truncated"):
        read_pair(open_dataset(root).pair_files(0), lambda size: Window(0, 0, 8, 8))


@pytest.mark.parametrize("suffix", [".png", ".pfm"])
def test_memory_stays_flat_over_an_epoch(pairs_folder, inflater, suffix):
    root = pairs_folder(4, truth=True)
    for path in (root / "disparity").iterdir() if suffix == ".pfm" else ():
        write_disparity(path.with_suffix(suffix), read_disparity(path)[0])
        path.unlink()
    dataset = open_dataset(root)

    def epoch(number: int) -> int:
        for index in range(len(dataset)):
            load_stereo(dataset, index, CONFIG, rng(0, number, index))
            augment_stereo(dataset.load(index), CONFIG, rng(0, number, index))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        held = [epoch(number) for number in range(6)]
    finally:
        tracemalloc.stop()
    one_picture = 160 * 320 * 3
    # Caches fill at some time; a leak grows in every epoch.
    growth = [after - before for before, after in pairwise(held)]
    assert min(growth) < one_picture / 8, f"bytes more after each epoch of four pairs: {growth}"


def _only_windows(load):
    """`load`, which refuses to read whole files."""

    def only(index, window=None):
        assert window is not None
        return load(index, window)

    return only


def test_a_tolerant_dataset_reads_windows_too_and_skips_what_is_broken(pairs_folder, monkeypatch):
    dataset = open_dataset(pairs_folder(2, truth=True))
    expected = augment_stereo(dataset.load(1), CONFIG, rng(0, 0, 1))
    monkeypatch.setattr(dataset, "load", _only_windows(dataset.load))
    assert same(load_stereo(Tolerant(dataset, "skip"), 1, CONFIG, rng(0, 0, 1)), expected)
    broken = dataset.pair_files(0).left
    broken.write_bytes(broken.read_bytes()[:200])
    tolerant = Tolerant(dataset, "skip")
    assert load_stereo(tolerant, 0, CONFIG, rng(0, 0, 0)).name == dataset.names[1]
    assert [row.name for row in tolerant.skipped] == [dataset.names[0]]
    with pytest.raises(UserError, match=r"mend it or leave such pairs out"):
        load_stereo(Tolerant(dataset, "stop"), 0, CONFIG, rng(0, 0, 0))
