"""What an image file says about itself, read without decoding: its size, and whether the file is whole.

Decoders differ in what they do with half a file (some fill the rest with grey without a word), and a small
file can claim a huge picture, so both questions are answered here before anything is decoded.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

from stereodistill.io.png import load_isal


class BadImage(Exception):
    """The bytes are not a whole image; the message says why, without the file's name."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """Stored size in pixels, before any rotation that the file's metadata asks for."""

    kind: str
    height: int
    width: int
    turned: bool = False
    """The picture is shown turned by 90 degrees (known here for TIFF only; others keep it in an EXIF block)."""


TRUNCATED = "the file is truncated; copy or download it again"
_crc32 = (load_isal() or zlib).crc32
_PNG_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_JPEG_NEXT_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")  # fill bytes before it are further 0xFF
_PNM_TOKEN = re.compile(rb"(?:[ \t\r\n\v\f]|#[^\r\n]*[\r\n])*(\d{1,9})(?=[ \t\r\n\v\f#]|$)")
_TIFF_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TIFF_FORMATS = {1: "B", 3: "H", 4: "I"}
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_ORIENTATION = 256, 257, 274
_TURNED = (5, 6, 7, 8)
"""Values of the orientation that exchange height and width."""
_EXIF_MARKS = (b"Exif\0\0", b"eXIf", b"EXIF")
"""What goes before a block of metadata in JPEG, PNG and WebP."""
_EXIF_SLACK = 12
"""Bytes that may lie between the mark and the block: a length, a second mark."""
_TIFF_DATA = ((273, 279), (324, 325))
"""Tags of (starts, lengths) of strips and of tiles."""
_TIFF_WANTED = {_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_ORIENTATION, *(tag for pair in _TIFF_DATA for tag in pair)}


def read_header(data: bytes) -> Header:
    """Kind and size of a PNG, JPEG, WebP, BMP, TIFF, PGM or PPM file that is complete; else `BadImage`."""
    try:
        for magic, reader in _READERS:
            if data.startswith(magic):
                header = reader(data)
                if header.height < 1 or header.width < 1:
                    raise BadImage(f"it claims a size of {header.width} x {header.height} pixels")
                return header
    except (struct.error, IndexError):
        raise BadImage(TRUNCATED) from None
    raise BadImage("it is not an image (PNG, JPEG, WebP, BMP, TIFF, PGM and PPM are understood)")


def asks_to_be_turned(data: bytes) -> bool:
    """Whether a block of camera metadata (EXIF) may ask to show the picture turned by 90 degrees.

    True also for a block that cannot be understood: who needs to know decodes the picture then.
    """
    return any(_asks_to_be_turned(data, found.end()) for mark in _EXIF_MARKS for found in re.finditer(mark, data))


def _asks_to_be_turned(data: bytes, at: int) -> bool:
    """One block, which is a small TIFF file, at most a few bytes after `at`."""
    starts = [start for start in range(at, at + _EXIF_SLACK) if data[start : start + 4] in (b"II*\0", b"MM\0*")]
    if not starts:
        return False
    start = starts[0]
    order = "<" if data[start : start + 2] == b"II" else ">"
    try:
        (offset,) = struct.unpack_from(order + "I", data, start + 4)
        (num_entries,) = struct.unpack_from(order + "H", data, start + offset)
        for entry in range(start + offset + 2, start + offset + 2 + 12 * num_entries, 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", data, entry)
            if tag == _TIFF_ORIENTATION:
                return value in _TURNED
    except struct.error:
        return True
    return False


def _png(data: bytes) -> Header:
    width, height = struct.unpack_from(">II", data, 16)
    view, at = memoryview(data), 8
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        (crc,) = struct.unpack_from(">I", data, end)
        if kind in _PNG_CRITICAL and _crc32(view[at + 4 : end]) != crc:
            raise BadImage(f"the PNG is damaged (checksum of {kind.decode()} does not fit)")
        if kind == b"IEND":
            return Header(kind="png", height=height, width=width)
        at = end + 4


def _jpeg(data: bytes) -> Header:
    size, at = None, 2
    while True:
        marker = _JPEG_NEXT_MARKER.search(data, at)
        if marker is None:
            raise BadImage(TRUNCATED)
        code, at = marker.group(1)[0], marker.end()
        if code == 0xD9:
            break
        if code in (0x01, 0xD8):
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            size = struct.unpack_from(">HH", data, at + 3)
        at += length
    if size is None:
        raise BadImage("the JPEG holds no picture")
    return Header(kind="jpeg", height=size[0], width=size[1])


def _webp(data: bytes) -> Header:
    (length,) = struct.unpack_from("<I", data, 4)
    if data[8:12] != b"WEBP":
        raise BadImage("it is a RIFF file but not a WebP image")
    if length + 8 > len(data):
        raise BadImage(TRUNCATED)
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = (v & 0x3FFF for v in struct.unpack_from("<HH", data, 26))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    else:
        raise BadImage("the WebP holds no picture")
    return Header(kind="webp", height=height, width=width)


def _bmp(data: bytes) -> Header:
    (offset,) = struct.unpack_from("<I", data, 10)
    width, height, _, depth, compression = struct.unpack_from("<iiHHI", data, 18)
    rows = abs(height)  # negative: stored top-down
    if compression in (0, 3) and offset + (width * depth + 31) // 32 * 4 * rows > len(data):
        raise BadImage(TRUNCATED)
    return Header(kind="bmp", height=rows, width=width)


def _tiff(data: bytes) -> Header:
    order = "<" if data[:2] == b"II" else ">"
    (offset,) = struct.unpack_from(order + "I", data, 4)
    (num_entries,) = struct.unpack_from(order + "H", data, offset)
    fields: dict[int, tuple[int, ...]] = {}
    for at in range(offset + 2, offset + 2 + 12 * num_entries, 12):
        tag, kind, count = struct.unpack_from(order + "HHI", data, at)
        num_bytes = count * _TIFF_TYPE_BYTES.get(kind, 0)
        values_at = at + 8 if num_bytes <= 4 else struct.unpack_from(order + "I", data, at + 8)[0]
        if values_at + num_bytes > len(data):
            raise BadImage(TRUNCATED)
        if tag in _TIFF_WANTED and kind in _TIFF_FORMATS:
            fields[tag] = struct.unpack_from(f"{order}{count}{_TIFF_FORMATS[kind]}", data, values_at)
    for starts, lengths in _TIFF_DATA:
        for start, length in zip(fields.get(starts, ()), fields.get(lengths, ()), strict=False):
            if start + length > len(data):
                raise BadImage(TRUNCATED)
    if not fields.get(_TIFF_WIDTH) or not fields.get(_TIFF_HEIGHT):
        raise BadImage("the TIFF does not state its size")
    turned = fields.get(_TIFF_ORIENTATION, (1,))[0] in _TURNED
    return Header(kind="tiff", height=fields[_TIFF_HEIGHT][0], width=fields[_TIFF_WIDTH][0], turned=turned)


def _pnm(data: bytes) -> Header:
    width, height, _, _ = pnm_layout(data)
    return Header(kind="pnm", height=height, width=width)


def pnm_layout(data: bytes) -> tuple[int, int, int, int]:
    """(width, height, maximum value, first data byte) of a P2, P3, P5 or P6 file (netpbm specification)."""
    values, at = [], 2
    for _ in range(3):
        token = _PNM_TOKEN.match(data, at)
        if token is None:
            raise BadImage("the PGM/PPM header is damaged (expected width, height, maximum value)")
        values.append(int(token.group(1)))
        at = token.end()
    width, height, maximum = values
    if not 1 <= maximum <= 65535:
        raise BadImage(f"the PGM/PPM header states a maximum value of {maximum} (1 to 65535 expected)")
    at += 1
    channels = 3 if data[1:2] in b"36" else 1
    sample_bytes = 1 if data[1:2] in b"23" or maximum < 256 else 2
    # A number of the text forms takes at least one digit, and all but the last a separator.
    samples = width * height * channels
    if at + (samples * 2 - 1 if data[1:2] in b"23" else samples * sample_bytes) > len(data):
        raise BadImage(TRUNCATED)
    return width, height, maximum, at


_READERS = (
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"\xff\xd8\xff", _jpeg),
    (b"RIFF", _webp),
    (b"BM", _bmp),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    *((magic, _pnm) for magic in (b"P2", b"P3", b"P5", b"P6")),
)
