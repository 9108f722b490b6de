"""Every source gives back the pictures that were put into it, in files of the true format."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from stereodistill.cameras.sources import SourceOptions, open_source
from stereodistill.cameras.sources.times import StampMatcher, stamp_of_name
from stereodistill.errors import UserError

Pair = tuple[np.ndarray, np.ndarray]


def read(*paths: Path, **options) -> dict[str, Pair]:
    source = open_source(paths, SourceOptions(**options))
    return {raw.name: raw.load() for raw in source.pairs(lambda *_: True) if raw is not None}


def assert_same(found: dict[str, Pair], pairs: list[Pair], tolerance: int = 0) -> None:
    assert len(found) == len(pairs)
    for given, expected in zip(found.values(), pairs, strict=True):
        for picture, original in zip(given, expected, strict=True):
            grey = picture if picture.ndim == 2 else picture[..., 1]
            assert np.abs(grey.astype(int) - original).mean() <= tolerance


def write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)


def test_folders_are_matched_by_name(tmp_path: Path, raw_pairs: list[Pair]) -> None:
    for index, (left, right) in enumerate(raw_pairs):
        write(tmp_path / "left" / f"{index}.png", left)
        write(tmp_path / "right" / f"{index}.png", right)
    assert_same(read(tmp_path), raw_pairs)
    assert_same(read(tmp_path / "left", tmp_path / "right"), raw_pairs)
    assert_same(read(tmp_path / "right", tmp_path / "left"), [pair[::-1] for pair in raw_pairs])


def test_unwanted_pairs_are_not_read(tmp_path: Path, raw_pairs: list[Pair]) -> None:
    for side in ("left", "right"):
        write(tmp_path / side / "0.png", raw_pairs[0][0])
        (tmp_path / side / "1.png").write_bytes(b"no picture")
    source = open_source((tmp_path,), SourceOptions())
    found = list(source.pairs(lambda index, name: name == "0"))
    assert found[1] is None and found[0] is not None and found[0].load()[0].shape == (240, 320)


def test_euroc_is_matched_by_time_within_a_stated_tolerance(tmp_path: Path, raw_pairs: list[Pair]) -> None:
    start, step = 1403636579763555584, 50_000_000
    for index, (left, right) in enumerate(raw_pairs):
        write(tmp_path / "mav0/cam0/data" / f"{start + index * step}.png", left)
        if index != 2:  # one camera dropped a frame
            write(tmp_path / "mav0/cam1/data" / f"{start + index * step + 3_000_000}.png", right)
    source = open_source((tmp_path,), SourceOptions())
    assert source.num_pairs == 5 and "within 12.5 ms, 1 pictures" in source.notes[0]
    assert_same(read(tmp_path), [pair for index, pair in enumerate(raw_pairs) if index != 2])
    with pytest.raises(UserError, match="nearest pictures of both cameras are 3.0 ms apart, the tolerance is 1.0 ms"):
        open_source((tmp_path,), SourceOptions(tolerance_ms=1))


def test_kitti_raw_drive_is_matched_by_its_time_stamps(tmp_path: Path, raw_pairs: list[Pair]) -> None:
    for camera, side, late in (("image_02", 0, 0), ("image_03", 1, 40)):
        lines = []
        for index, pair in enumerate(raw_pairs):
            write(tmp_path / camera / "data" / f"{index:010d}.png", pair[side])
            lines.append(f"2011-09-26 13:02:{25 + index / 10 + late / 1e6:012.9f}")
        (tmp_path / camera / "timestamps.txt").write_text("\n".join(lines) + "\n")
    found = read(tmp_path)
    assert next(iter(found)) == "0000000000"
    assert_same(found, raw_pairs)


@pytest.mark.parametrize("layout", ["sbs", "rl", "tb", "bt", "auto"])
def test_pictures_with_both_views(tmp_path: Path, raw_pairs: list[Pair], layout: str) -> None:
    axis = 0 if layout in ("tb", "bt") else 1
    for index, pair in enumerate(raw_pairs):
        views = pair[::-1] if layout in ("rl", "bt") else pair
        write(tmp_path / f"{index}.png", np.concatenate(views, axis=axis))
    assert_same(read(tmp_path, layout=layout, view_size=(240, 320)), raw_pairs)


def test_an_unclear_layout_is_asked_for(tmp_path: Path, raw_pairs: list[Pair]) -> None:
    write(tmp_path / "a.png", raw_pairs[0][0])
    with pytest.raises(UserError, match="no stereo pairs"):
        read(tmp_path)
    write_video(tmp_path / "one.avi", [raw_pairs[0][0]])
    with pytest.raises(
        UserError, match="320x240 are not two views in one; the calibration's are 320x240; say --layout"
    ):
        read(tmp_path / "one.avi", view_size=(240, 320))


def write_video(path: Path, pictures: list[np.ndarray]) -> None:
    height, width = pictures[0].shape
    # FFV1 loses nothing; MJPG, the other codec every build has, would.
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"FFV1"), 20, (width, height))
    assert writer.isOpened()
    for picture in pictures:
        writer.write(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR))
    writer.release()


def test_video_side_by_side(tmp_path: Path, raw_pairs: list[Pair]) -> None:
    write_video(tmp_path / "run.avi", [np.concatenate(pair, axis=1) for pair in raw_pairs])
    found = read(tmp_path / "run.avi", view_size=(240, 320))
    assert list(found)[:2] == ["run_000000", "run_000001"]
    assert_same(found, raw_pairs, tolerance=1)


@pytest.mark.parametrize("offset", [-2, 0, 1])
def test_two_videos_with_an_offset(tmp_path: Path, raw_pairs: list[Pair], offset: int) -> None:
    write_video(tmp_path / "l.avi", [left for left, _ in raw_pairs])
    write_video(tmp_path / "r.avi", [right for _, right in raw_pairs])
    found = read(tmp_path / "l.avi", tmp_path / "r.avi", offset_frames=offset)
    expected = [
        (raw_pairs[i][0], raw_pairs[i + offset][1]) for i in range(len(raw_pairs)) if 0 <= i + offset < len(raw_pairs)
    ]
    assert_same(found, expected, tolerance=1)


def test_videos_of_different_length_are_refused(tmp_path: Path, raw_pairs: list[Pair]) -> None:
    write_video(tmp_path / "l.avi", [left for left, _ in raw_pairs] * 3)
    write_video(tmp_path / "r.avi", [right for _, right in raw_pairs])
    paths = tmp_path / "l.avi", tmp_path / "r.avi"
    with pytest.raises(UserError, match="18 and 6 frames after the offset of 0.*--max-pairs 6"):
        open_source(paths, SourceOptions())
    assert open_source(paths, SourceOptions(max_pairs=6)).num_pairs == 6


def test_folders_of_different_length_are_refused(tmp_path: Path, raw_pairs: list[Pair]) -> None:
    for index, (left, right) in enumerate(raw_pairs):
        write(tmp_path / "a" / f"{index}.png", left)
        if index < 4:
            write(tmp_path / "b" / f"{index}.png", right)
    with pytest.raises(UserError, match="holds 6 pictures, .* 4; 2 names have no partner on the other side"):
        open_source((tmp_path / "a", tmp_path / "b"), SourceOptions())


def test_mosaic_exif_and_depth(tmp_path: Path) -> None:
    colour = np.zeros((40, 60, 3), np.uint16)
    colour[:] = (3000, 2000, 1000)
    mosaic = np.where(np.indices((40, 60)).sum(0) % 2, 2000, 0).astype(np.uint16)
    mosaic[0::2, 0::2], mosaic[1::2, 1::2] = 3000, 1000
    for side in ("left", "right"):
        write(tmp_path / side / "a.png", mosaic)
    found = read(tmp_path, bayer="rggb")["a"][0]
    assert found.dtype == np.uint16 and np.array_equal(found[4:-4, 4:-4], colour[4:-4, 4:-4])
    with pytest.raises(UserError, match="Bayer pattern 'rgbg' is not known"):
        read(tmp_path, bayer="rgbg")
    for side in ("left", "right"):
        turned = tmp_path / "exif" / side / "a.jpg"
        write(turned, np.zeros((40, 60), np.uint8))
        turned.write_bytes(with_orientation(turned.read_bytes(), 6))
    assert read(tmp_path / "exif")["a"][0].shape == (60, 40)


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    block = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


def test_names_that_are_time_stamps() -> None:
    assert stamp_of_name("1403636579763555584") == 1403636579763555584
    assert stamp_of_name("1403636579763555") == 1403636579763555000
    assert stamp_of_name("1403636579.5") == 1403636579500000000
    assert stamp_of_name("000123") is None and stamp_of_name("left_1403636579763555584") is None


def test_a_silent_camera_does_not_fill_the_memory() -> None:
    matcher = StampMatcher(tolerance_ns=10)
    only_left = ((0, stamp * 1000, bytes(10)) for stamp in range(100_000))
    assert list(matcher.match(only_left)) == []
    assert max(len(side) for side in matcher._waiting) <= 64 and matcher.num_alone == 100_000
