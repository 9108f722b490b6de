"""ROS bags, written by the rosbags library with the real message definitions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags", reason="the extra `bags` is not installed")
from rosbags import rosbag1, rosbag2
from rosbags.typesys import Stores, get_typestore

from stereodistill.cameras.sources import SourceOptions, open_source
from stereodistill.errors import UserError

Pair = tuple[np.ndarray, np.ndarray]
START_NS, STEP_NS = 1_600_000_000_000_000_000, 50_000_000


class BagWriter:
    """A bag of one kind with image topics; bytes are those that a driver would publish."""

    def __init__(self, kind: str, path: Path):
        self.kind = kind
        if kind == "bag":
            self.store = get_typestore(Stores.ROS1_NOETIC)
            self.path = path.with_suffix(".bag")
            self.writer: Any = rosbag1.Writer(self.path)
        else:
            self.store = get_typestore(Stores.ROS2_HUMBLE)
            self.path = path
            plugin = rosbag2.StoragePlugin.MCAP if kind == "mcap" else rosbag2.StoragePlugin.SQLITE3
            self.writer = rosbag2.Writer(path, version=8, storage_plugin=plugin)
        self.connections: dict[str, Any] = {}

    def __enter__(self) -> BagWriter:
        self.writer.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.writer.close()

    def image(self, topic: str, stamp_ns: int, data: np.ndarray, encoding: str, *, width: int, pad: int = 0) -> None:
        height = data.shape[0]
        rows = np.ascontiguousarray(data).reshape(height, -1).view(np.uint8)
        rows = np.pad(rows, ((0, 0), (0, pad)))
        self._write(topic, "sensor_msgs/msg/Image", stamp_ns, {
            "height": height, "width": width, "encoding": encoding, "is_bigendian": 0, "step": rows.shape[1],
            "data": rows.ravel(),
        })  # fmt: skip

    def compressed(self, topic: str, stamp_ns: int, data: bytes, form: str) -> None:
        fields = {"format": form, "data": np.frombuffer(data, np.uint8)}
        self._write(topic, "sensor_msgs/msg/CompressedImage", stamp_ns, fields)

    def text(self, topic: str, stamp_ns: int) -> None:
        kind = "std_msgs/msg/String"
        message = self.store.types[kind](data="hello")
        self.writer.write(self._connection(topic, kind), stamp_ns, self._bytes(message, kind))

    def _write(self, topic: str, kind: str, stamp_ns: int, fields: dict[str, Any]) -> None:
        types = self.store.types
        stamp = types["builtin_interfaces/msg/Time"](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
        head = {"stamp": stamp, "frame_id": "cam"} | ({"seq": 0} if self.kind == "bag" else {})
        message = types[kind](header=types["std_msgs/msg/Header"](**head), **fields)
        # Recorded a little later than taken, by another amount each: the header counts.
        received_ns = stamp_ns + 7_000_000 * (1 + len(topic) % 2)
        self.writer.write(self._connection(topic, kind), received_ns, self._bytes(message, kind))

    def _connection(self, topic: str, kind: str) -> Any:
        if topic not in self.connections:
            self.connections[topic] = self.writer.add_connection(topic, kind, typestore=self.store)
        return self.connections[topic]

    def _bytes(self, message: Any, kind: str) -> Any:
        serialize = self.store.serialize_ros1 if self.kind == "bag" else self.store.serialize_cdr
        return serialize(message, kind)


def fill(bag: BagWriter, pairs: list[Pair], topics: tuple[str, str] = ("/left/image_raw", "/right/image_raw")) -> None:
    for index, pair in enumerate(pairs):
        for side, (topic, picture) in enumerate(zip(topics, pair, strict=True)):
            stamp = START_NS + index * STEP_NS + side * 2_000_000
            bag.image(topic, stamp, picture, "mono8", width=picture.shape[1], pad=5)
    bag.text("/chatter", START_NS)


def read(path: Path, **options: Any) -> dict[str, Pair]:
    source = open_source((path,), SourceOptions(**options))
    return {raw.name: raw.load() for raw in source.pairs(lambda *_: True) if raw is not None}


@pytest.mark.parametrize("kind", ["bag", "sqlite3", "mcap"])
def test_bags_of_every_kind_give_their_pictures_back(tmp_path: Path, raw_pairs: list[Pair], kind: str) -> None:
    with BagWriter(kind, tmp_path / "run") as bag:
        fill(bag, raw_pairs)
    paths = [bag.path]
    if kind != "bag":
        paths += [p for p in bag.path.iterdir() if p.suffix in (".db3", ".mcap")]  # the file without its folder
    for path in paths:
        found = read(path)
        assert list(found) == [str(START_NS + index * STEP_NS) for index in range(len(raw_pairs))]
        for given, expected in zip(found.values(), raw_pairs, strict=True):
            assert np.array_equal(given, expected)


def test_what_was_taken_for_left_and_how_stamps_were_matched_is_said(tmp_path: Path, raw_pairs: list[Pair]) -> None:
    with BagWriter("bag", tmp_path / "run") as bag:
        fill(bag, raw_pairs)
    source = open_source((bag.path,), SourceOptions())
    assert len(list(source.pairs(lambda *_: False))) == len(raw_pairs)
    assert source.notes[0] == "left: /left/image_raw, right: /right/image_raw"
    assert "matched by time stamp within" in source.notes[1]


RGB = np.arange(24 * 32 * 3, dtype=np.uint32).reshape(24, 32, 3) % 251


def mosaic(colour: np.ndarray, pattern: str) -> np.ndarray:
    result = np.zeros(colour.shape[:2], colour.dtype)
    for index, letter in enumerate(pattern):
        y, x = divmod(index, 2)
        result[y::2, x::2] = colour[y::2, x::2, "rgb".index(letter)]
    return result


def uyvy(grey: np.ndarray) -> np.ndarray:
    packed = np.full((*grey.shape, 2), 128, np.uint8)
    packed[..., 1] = grey
    return packed


FLAT8 = np.full((24, 32, 3), (200, 120, 40), np.uint8)
FLAT16 = FLAT8.astype(np.uint16) * 16
GREY = (np.arange(24 * 32).reshape(24, 32) % 200 + 20).astype(np.uint8)
CODINGS: dict[str, tuple[np.ndarray, np.ndarray]] = {
    "rgb8": (RGB.astype(np.uint8), RGB), "bgr8": (RGB[..., ::-1].astype(np.uint8), RGB),
    "bgra8": (np.dstack([RGB[..., ::-1], RGB[..., :1]]).astype(np.uint8), RGB),
    "8UC3": (RGB[..., ::-1].astype(np.uint8), RGB), "mono16": (GREY.astype(np.uint16) * 257, GREY.astype(int) * 257),
    "16UC1": (GREY.astype(np.uint16), GREY), "rgb16": (RGB.astype(np.uint16) * 200, RGB * 200),
    **{f"bayer_{p}8": (mosaic(FLAT8, p), FLAT8) for p in ("rggb", "bggr", "gbrg", "grbg")},
    "bayer_grbg16": (mosaic(FLAT16, "grbg"), FLAT16),
    "yuv422": (uyvy(GREY), cv2.cvtColor(uyvy(GREY), cv2.COLOR_YUV2RGB_UYVY)),
    "yuv422_yuy2": (uyvy(GREY)[..., ::-1], cv2.cvtColor(uyvy(GREY), cv2.COLOR_YUV2RGB_UYVY)),
}  # fmt: skip


@pytest.mark.parametrize("encoding", CODINGS)
def test_codings(tmp_path: Path, encoding: str) -> None:
    data, expected = CODINGS[encoding]
    with BagWriter("mcap", tmp_path / "run") as bag:
        for topic in ("/cam0/image", "/cam1/image"):
            bag.image(topic, START_NS, data, encoding, width=32, pad=8)
    left, right = next(iter(read(bag.path).values()))
    inner = slice(4, -4)  # a mosaic's border is extrapolated
    assert np.array_equal(left[inner, inner], np.asarray(expected)[inner, inner]) and np.array_equal(left, right)
    assert left.dtype == (np.uint16 if "16" in encoding else np.uint8)


@pytest.mark.parametrize(
    ("picture", "form", "suffix"),
    [
        (FLAT8, "jpeg", ".jpg"),
        (FLAT8, "bgr8; png compressed bgr8", ".png"),
        (mosaic(FLAT8, "gbrg"), "bayer_gbrg8; png compressed bayer_gbrg8", ".png"),
    ],
)
def test_compressed_pictures(tmp_path: Path, picture: np.ndarray, form: str, suffix: str) -> None:
    stored = cv2.imencode(suffix, picture[..., ::-1] if picture.ndim == 3 else picture)[1].tobytes()
    with BagWriter("sqlite3", tmp_path / "run") as bag:
        for topic in ("/left/compressed", "/right/compressed"):
            bag.compressed(topic, START_NS, stored, form)
    left, _ = next(iter(read(bag.path).values()))
    assert np.abs(left[4:-4, 4:-4].astype(int) - FLAT8[4:-4, 4:-4]).max() <= 3


def test_wrong_topics_list_the_right_ones(tmp_path: Path, raw_pairs: list[Pair]) -> None:
    with BagWriter("bag", tmp_path / "run") as bag:
        fill(bag, raw_pairs[:2], ("/front/image", "/back/image"))
    listed = r"its image topics: /back/image \(2\), /front/image \(2\)"
    with pytest.raises(UserError, match=r"which topics are left and right\?  Say --topics LEFT RIGHT; " + listed):
        read(bag.path)
    with pytest.raises(UserError, match="has no images in topic /chatter; " + listed):
        read(bag.path, topics=("/front/image", "/chatter"))
    assert len(read(bag.path, topics=("/back/image", "/front/image"))) == 2


def test_no_matching_stamps(tmp_path: Path, raw_pairs: list[Pair]) -> None:
    with BagWriter("bag", tmp_path / "run") as bag:
        for index, (left, right) in enumerate(raw_pairs):
            bag.image("/left", START_NS + index * STEP_NS, left, "mono8", width=320)
            bag.image("/right", START_NS + index * STEP_NS + 20_000_000, right, "mono8", width=320)
    with pytest.raises(
        UserError, match=r"no matching time stamps: the nearest .* are 20.0 ms apart, .* --tolerance-ms"
    ):
        read(bag.path)
    assert len(read(bag.path, tolerance_ms=24)) == len(raw_pairs)


def cut_end(path: Path) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.6)])
    return path


@pytest.mark.parametrize("kind", ["bag", "sqlite3", "mcap"])
def test_a_truncated_bag_is_one_clear_line(tmp_path: Path, raw_pairs: list[Pair], kind: str) -> None:
    with BagWriter(kind, tmp_path / "run") as bag:
        fill(bag, raw_pairs)
    cut_end(bag.path if kind == "bag" else next(p for p in bag.path.iterdir() if p.suffix in (".db3", ".mcap")))
    with pytest.raises(UserError, match="cannot be read to its end as a bag .*truncated or damaged") as raised:
        read(bag.path)
    assert "\n" not in str(raised.value)


def test_a_message_that_lies_about_its_size(tmp_path: Path) -> None:
    with BagWriter("mcap", tmp_path / "run") as bag:
        for topic in ("/left", "/right"):
            bag.image(topic, START_NS, GREY, "mono8", width=64)
    with pytest.raises(UserError, match="768 bytes cannot be a mono8 picture of 64x24 with 32 bytes a row"):
        read(bag.path)
    with BagWriter("mcap", tmp_path / "other") as bag:
        for topic in ("/left", "/right"):
            bag.image(topic, START_NS, GREY, "32FC1", width=8)
    with pytest.raises(UserError, match="pictures in '32FC1' are not understood; mono8"):
        read(bag.path)


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rosbags.highlevel", None)
    (tmp_path / "run.bag").write_bytes(b"#ROSBAG V2.0\n")
    with pytest.raises(UserError, match=r"pip install 'stereodistill\[bags\]'"):
        read(tmp_path / "run.bag")


@pytest.mark.parametrize("kind", ["bag", "mcap", "sqlite3"])
def test_reading_a_bag_streams(tmp_path: Path, kind: str, peak_mb: Callable[[Callable[[], None]], float]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 400), np.uint8)
    with BagWriter(kind, tmp_path / "run") as bag:
        fill(bag, [(noise, noise)] * 400)  # 64 MB

    def through() -> None:
        source = open_source((bag.path,), SourceOptions())
        assert (
            sum(raw is not None and raw.load()[0].shape == (200, 400) for raw in source.pairs(lambda *_: True)) == 400
        )

    assert peak_mb(through) < 16
