"""The quicker PNG decoder gives what OpenCV gives, bit for bit, or leaves the file to it."""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise

import cv2
import numpy as np
import pytest

from stereodistill.io import images
from stereodistill.io import png as png_module
from stereodistill.io.png import decode_png, load_isal, load_spng

# The decoder takes anything with zlib's interface, so that it is tested where isal is not installed, too.
INFLATERS = [zlib, *([isal] if (isal := load_isal()) else [])]
SPNGS = [None, *([spng] if (spng := load_spng()) else [])]
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(colour: int, depth: int, filters: str, *, extra: bytes = b"", interlace: int = 0, parts: int = 2) -> bytes:
    """A PNG whose row y has filter `filters[y % len]` and random filtered bytes: every byte string is a picture."""
    height, width = 11, 37
    generator = np.random.default_rng(depth * 7 + colour)
    stride = width * CHANNELS[colour] * depth // 8
    rows = b"".join(bytes([int(filters[y % len(filters)])]) + generator.bytes(stride) for y in range(height))
    body = zlib.compress(rows)
    cuts = [len(body) * i // parts for i in range(parts + 1)]
    idats = b"".join(chunk(b"IDAT", body[a:b]) for a, b in pairwise(cuts))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + idats + chunk(b"IEND", b"")


def by_opencv(data: bytes) -> np.ndarray:
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples.ndim == 2:
        return samples
    return cv2.cvtColor(samples, cv2.COLOR_BGR2RGB if samples.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)


@pytest.mark.parametrize("spng", SPNGS)
@pytest.mark.parametrize("inflater", INFLATERS)
@pytest.mark.parametrize("filters", ["1", "0", "0110", "4", "01234", "2", "3"])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("colour", [0, 2, 6])
def test_the_same_samples_as_opencv(monkeypatch, colour, depth, filters, inflater, spng):
    # As a large picture: several strips, each inflated in several pieces.
    monkeypatch.setattr(png_module, "_STRIP_BYTES", 400)
    monkeypatch.setattr(png_module, "_FED_BYTES", 70)
    data = png(colour, depth, filters, extra=chunk(b"gAMA", struct.pack(">I", 45455)))
    expected = by_opencv(data)
    for rows in (None, (0, 1), (3, 9), (10, 11)):
        samples, wanted = decode_png(data, inflater, spng, rows=rows), expected[slice(*rows or (None,))]
        assert samples is not None and samples.flags.c_contiguous
        assert samples.dtype == wanted.dtype and np.array_equal(samples, wanted)


@pytest.mark.parametrize(
    "data",
    [
        png(4, 8, "1"),
        png(2, 8, "1", extra=chunk(b"tRNS", bytes(6))),
        png(2, 8, "1", extra=chunk(b"eXIf", b"II*\0")),
        png(2, 8, "1", extra=chunk(b"PLTE", bytes(3))),
        png(2, 8, "1", interlace=1),
    ],
    ids=["grey with alpha", "transparent colour", "EXIF", "palette", "interlaced"],
)
def test_what_is_left_to_opencv(data):
    assert decode_png(data, zlib) is None


def test_without_an_inflater_everything_is_left_to_opencv():
    assert decode_png(png(2, 8, "1"), None, None) is None


@pytest.mark.parametrize("spng", SPNGS)
def test_a_filter_that_does_not_exist_is_left_to_opencv(spng):
    for filters in ("5", "15", "41119"):
        assert decode_png(png(2, 8, filters), zlib, spng) is None


@pytest.mark.parametrize("inflater", INFLATERS)
@pytest.mark.parametrize("spng", SPNGS)
def test_damaged_or_too_short_data_is_left_to_opencv(inflater, spng):
    whole = png(2, 8, "1", parts=1)
    start = whole.index(b"IDAT") + 4
    for at in range(start, len(whole) - 16, 5):
        damaged = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
        assert decode_png(damaged, inflater, spng) is None


def test_a_bomb_is_inflated_no_further_than_the_picture():
    rows = zlib.compress(bytes(1 << 26), 9)
    header = struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")

    class Watched:
        error = zlib.error

        @staticmethod
        def decompressobj():
            class Stream:
                eof = False

                @staticmethod
                def decompress(body: bytes, limit: int) -> bytes:
                    assert limit == 4 * 13 + 1
                    return zlib.decompressobj().decompress(body, limit)

            return Stream()

    assert decode_png(data, Watched) is None


@pytest.mark.parametrize("spng", SPNGS)
@pytest.mark.parametrize("inflater", INFLATERS)
def test_read_image_and_read_samples_do_not_change(tmp_path, monkeypatch, inflater, spng):
    for colour, depth, filters in ((0, 16, "0012"), (2, 8, "1"), (6, 8, "4"), (2, 16, "1")):
        path = tmp_path / "a.png"
        path.write_bytes(png(colour, depth, filters))
        monkeypatch.setattr(images, "decode_png", lambda data: None)
        expected = images.read_image(path), images.read_samples(path)
        monkeypatch.setattr(images, "decode_png", lambda data: decode_png(data, inflater, spng))
        found = images.read_image(path), images.read_samples(path)
        for a, b in zip(found, expected, strict=True):
            assert a.dtype == b.dtype and np.array_equal(a, b) and a.flags.c_contiguous
