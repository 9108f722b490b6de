"""PNG files decoded with a faster inflate than OpenCV's, when the optional package `isal` is there.

Two thirds of the time it takes to decode a photo of KITTI are spent inflating it.  ISA-L (Intel's library, any CPU)
inflates more than twice as fast as zlib; what is left, undoing the row filters, is done here for the simple filters
and by OpenCV, which gets the same rows without compression, for the others.  The samples are the same, bit for bit.
"""

from __future__ import annotations

import struct
import zlib
from importlib import import_module
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

_CHANNELS = {0: 1, 2: 3, 6: 4}
"""Colour type -> samples per pixel: grey, RGB, RGBA.  Palettes and grey with alpha are left to OpenCV."""
_CRITICAL = (b"IHDR", b"IDAT", b"IEND")
_LEFT_TO_OPENCV = (b"tRNS", b"eXIf", b"acTL")
"""Chunks that change what the picture looks like; so may any further one whose name starts with a capital."""
_NONE, _SUB = 0, 1
_STORED_BYTES = 65535


def load_isal() -> Any | None:
    """The module `isal.isal_zlib`, or None where the extra `fast` is not installed."""
    try:
        return import_module("isal.isal_zlib")
    except ImportError:
        return None


_isal = load_isal()


def decode_png(data: bytes, inflater: Any | None = _isal, *, rows: tuple[int, int] | None = None) -> np.ndarray | None:
    """The stored samples, uint8 or uint16 (height, width[, 3 or 4]), RGB order; None = let OpenCV decode the file.

    `data` is a whole PNG file whose checksums were found right (`image_headers.read_header`).  `inflater` has the
    interface of `zlib`.  With `rows` (first, end) only these rows come back, and nothing below them is inflated:
    that is worth it with zlib, too.
    """
    if inflater is None and rows is None:
        return None
    library: Any = zlib if inflater is None else inflater
    width, height, depth, colour, *rest = struct.unpack_from(">IIBBBBB", data, 16)
    if data[12:16] != b"IHDR" or colour not in _CHANNELS or depth not in (8, 16) or any(rest):
        return None
    body = _compressed(data)
    pixel_bytes = _CHANNELS[colour] * depth // 8
    top, bottom = rows or (0, height)
    num_bytes = bottom * (1 + width * pixel_bytes)
    if body is None or not 0 <= top < bottom <= height:
        return None
    stream = library.decompressobj()
    try:
        # One byte more than the whole picture has: then the end and its checksum are looked at.
        content = stream.decompress(body, num_bytes + (bottom == height))
    except (zlib.error, library.error):
        return None
    if len(content) != num_bytes or (bottom == height and (not stream.eof or stream.unused_data)):
        return None
    filters = np.frombuffer(content, np.uint8)[:: 1 + width * pixel_bytes]
    if filters[top:].max() <= _SUB:
        stored = np.frombuffer(content, np.uint8).reshape(bottom, -1)[top:, 1:]
        return _samples(stored.reshape(bottom - top, width, pixel_bytes), filters[top:], depth)
    samples = _decode_stored(struct.pack(">IIBBBBB", width, bottom, depth, colour, *rest), content)
    return None if samples is None else samples[top:]


def _compressed(data: bytes) -> bytes | None:
    """The IDAT chunks' content, or None for a file with a chunk that OpenCV must see."""
    at, parts = 8, []
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in _LEFT_TO_OPENCV or (kind[:1].isupper() and kind not in _CRITICAL):
            return None
        if kind == b"IDAT":
            parts.append(data[at + 8 : at + 8 + length])
        if kind == b"IEND":
            return b"".join(parts)
        at += length + 12


def _samples(stored: np.ndarray, filters: np.ndarray, depth: int) -> np.ndarray:
    """Filter `Sub` undone (PNG specification, 9.2): each byte is the difference to that of the pixel to the left.

    `stored` is (rows, width, bytes per pixel).
    """
    samples = np.cumsum(stored, axis=1, dtype=np.uint8)
    if not filters.all():
        samples[filters == _NONE] = stored[filters == _NONE]
    if depth == 16:
        samples = samples.view(">u2").astype(np.uint16)
    return samples[..., 0] if samples.shape[2] == 1 else samples


def _decode_stored(header: bytes, rows: bytes) -> np.ndarray | None:
    """Rows as they lie in the file, decoded by OpenCV from a PNG without compression."""
    file = _uncompressed_png(header, rows)
    samples = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.ndim == 2:
        return samples
    to_rgb = cv2.COLOR_BGR2RGB if samples.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return cv2.cvtColor(samples, to_rgb, dst=samples)


def _uncompressed_png(header: bytes, rows: bytes) -> bytearray:
    """A PNG of stored blocks (RFC 1951, 3.2.4), written into one piece of memory: fresh memory is what costs."""
    edges = [*range(0, len(rows), _STORED_BYTES), len(rows)]
    length = 2 + 5 * (len(edges) - 1) + len(rows) + 4
    file, view = bytearray(33 + 12 + length + 12), memoryview(rows)
    named = b"IHDR" + header
    file[:33] = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + named + struct.pack(">I", zlib.crc32(named))
    struct.pack_into(">I4sH", file, 33, length, b"IDAT", 0x7801)
    at = 43
    for start, end in pairwise(edges):
        size = end - start
        struct.pack_into("<BHH", file, at, end == len(rows), size, size ^ 0xFFFF)
        file[at + 5 : at + 5 + size] = view[start:end]
        at += 5 + size
    struct.pack_into(">I", file, at, zlib.adler32(rows))
    struct.pack_into(">I", file, at + 4, zlib.crc32(memoryview(file)[37 : at + 4]))
    file[at + 8 :] = b"\0\0\0\0IEND\xaeB`\x82"
    return file
