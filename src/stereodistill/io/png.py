"""PNG files decoded in quicker ways than OpenCV's, when the optional packages `isal` and `pyspng` are there.

Decoding is inflating and then undoing the row filters.  ISA-L (Intel's library, any CPU) inflates twice as fast as
zlib, and libspng undoes filters twice as fast as OpenCV's libpng; without it the simple filters are undone here and
the others by OpenCV.  All this goes by strips of rows, small enough for the processor's cache: fresh memory for
whole pictures costs as much as the inflating.  Whoever undoes filters gets a strip as a PNG without compression.
The samples are the same, bit for bit.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
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
_FED_BYTES, _STRIP_BYTES = 1 << 15, 1 << 18
"""How much is inflated at a time, and how much of that is then made samples of."""


def load_isal() -> Any | None:
    """The module `isal.isal_zlib`, or None where the extra `fast` is not installed."""
    return _optional("isal.isal_zlib")


def load_spng() -> Any | None:
    """The module `pyspng`, or None where the extra `fast` is not installed."""
    return _optional("pyspng")


def _optional(name: str) -> Any | None:
    try:
        return import_module(name)
    except ImportError:
        return None


_isal, _spng = load_isal(), load_spng()


@dataclass(frozen=True)
class _Layout:
    """How the rows of a file lie: each is a byte that names its filter, then its samples."""

    width: int
    depth: int
    colour: int

    @property
    def channels(self) -> int:
        return _CHANNELS[self.colour]

    @property
    def stride(self) -> int:
        return 1 + self.width * self.channels * self.depth // 8


class _NotOurs(Exception):
    """Damaged, or nothing that is decoded here: OpenCV's turn."""


def decode_png(
    data: bytes,
    inflater: Any | None = _isal,
    spng: Any | None = _spng,
    *,
    rows: tuple[int, int] | None = None,
    columns: tuple[int, int] | None = None,
) -> np.ndarray | None:
    """The stored samples, uint8 or uint16 (height, width[, 3 or 4]), RGB order; None = let OpenCV decode the file.

    `data` is a whole PNG file whose checksums were found right (`image_headers.read_header`).  `inflater` has the
    interface of `zlib`, `spng` that of `pyspng`.  With `rows` and `columns` (first, end) only these come back, and
    nothing below them is inflated: that is worth it with zlib, too.
    """
    if inflater is None and spng is None and rows is None:
        return None
    library: Any = zlib if inflater is None else inflater
    width, height, depth, colour, *rest = struct.unpack_from(">IIBBBBB", data, 16)
    if data[12:16] != b"IHDR" or colour not in _CHANNELS or depth not in (8, 16) or any(rest):
        return None
    top, bottom = rows or (0, height)
    left, right = columns or (0, width)
    if not (0 <= top < bottom <= height and 0 <= left < right <= width):
        return None
    layout = _Layout(width, depth, colour)
    shape = (bottom - top, right - left, layout.channels)[: 2 + (layout.channels > 1)]
    found, at = np.empty(shape, np.uint8 if depth == 8 else np.uint16), 0
    try:
        strips = _strips(data, bottom, layout.stride, library, is_all=bottom == height)
        for samples in _decode_strips(strips, top, layout, library, spng):
            found[at : at + len(samples)] = samples[:, left:right]
            at += len(samples)
    except (_NotOurs, zlib.error, library.error):
        return None
    return found


def _decode_strips(
    strips: Iterator[memoryview], top: int, layout: _Layout, library: Any, spng: Any | None
) -> Iterator[np.ndarray]:
    """The samples (rows, width[, channels]) of each strip from row `top` on."""
    at, above = 0, b""
    for strip in strips:
        filters = np.frombuffer(strip, np.uint8)[:: layout.stride]
        end = at + len(filters)
        # From the last row on that is not told relative to the one above it.
        alone = (
            np.flatnonzero(filters[: max(top - at, 0) + 1] <= _SUB) if end > top else np.flatnonzero(filters <= _SUB)
        )
        start = int(alone[-1]) if len(alone) else 0
        samples = _undo_filters(strip[start * layout.stride :], filters[start:], above, layout, library, spng)
        above = samples[-1].astype(samples.dtype.newbyteorder(">")).tobytes()
        if end > top:
            yield samples[max(top - at, 0) - start :]
        at = end


def _strips(data: bytes, num_rows: int, stride: int, library: Any, *, is_all: bool) -> Iterator[memoryview]:
    """The first rows as they lie in the file, whole rows at a time; if these are all, the end must be there, too."""
    stream, parts, num_held, left = library.decompressobj(), [], 0, num_rows * stride
    for compressed in _compressed(data):
        # One byte more than the whole picture has: then the end and its checksum are looked at.
        part = stream.decompress(compressed, left + is_all)
        parts.append(part)
        num_held, left = num_held + len(part), left - len(part)
        if left < 0:
            raise _NotOurs
        if num_held >= max(_STRIP_BYTES, stride) or (left == 0 and num_held):
            held = memoryview(b"".join(parts))
            num_held %= stride
            yield held[: len(held) - num_held]
            parts = [held[len(held) - num_held :]]
        if left == 0 and not is_all:
            return
    if left or not stream.eof or stream.unused_data:
        raise _NotOurs


def _compressed(data: bytes) -> Iterator[memoryview]:
    """The IDAT chunks' content, piece by piece; refuses a file with a chunk that OpenCV must see."""
    at, spans, view = 8, [], memoryview(data)
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in _LEFT_TO_OPENCV or (kind[:1].isupper() and kind not in _CRITICAL):
            raise _NotOurs
        if kind == b"IDAT":
            spans.append((at + 8, at + 8 + length))
        if kind == b"IEND":
            break
        at += length + 12
    for start, end in spans:
        for piece in range(start, end, _FED_BYTES):
            yield view[piece : min(piece + _FED_BYTES, end)]


def _undo_filters(
    rows: memoryview, filters: np.ndarray, above: bytes, layout: _Layout, library: Any, spng: Any | None
) -> np.ndarray:
    """Rows as they lie in the file, below the samples `above` (none at the top), as samples."""
    width, depth, channels = layout.width, layout.depth, layout.channels
    if spng is None and filters.max() <= _SUB:
        stored = np.frombuffer(rows, np.uint8).reshape(len(filters), -1)[:, 1:]
        return _undo_sub(stored.reshape(len(filters), width, channels * depth // 8), filters, depth)
    first = [memoryview(bytes([_NONE]) + above)] if above else []
    file = _uncompressed_png((width, len(filters) + len(first), depth, layout.colour), [*first, rows], library)
    samples = _by_opencv(file) if spng is None else _by_spng(file, channels, spng)
    return samples[len(first) :]


def _by_spng(file: bytes, channels: int, spng: Any) -> np.ndarray:
    try:
        samples = spng.load(file)
    except RuntimeError:
        raise _NotOurs from None
    if samples.ndim == 3:  # 16-bit pictures come with an alpha channel that they do not have
        samples = samples[..., 0] if channels == 1 else samples[..., :channels]
    return samples


def _undo_sub(stored: np.ndarray, filters: np.ndarray, depth: int) -> np.ndarray:
    """Filter `Sub` undone (PNG specification, 9.2): each byte is the difference to that of the pixel to the left.

    `stored` is (rows, width, bytes per pixel).
    """
    samples = np.cumsum(stored, axis=1, dtype=np.uint8)
    if not filters.all():
        samples[filters == _NONE] = stored[filters == _NONE]
    if depth == 16:
        samples = samples.view(">u2").astype(np.uint16)
    return samples[..., 0] if samples.shape[2] == 1 else samples


def _by_opencv(file: bytes) -> np.ndarray:
    samples = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None:
        raise _NotOurs
    if samples.ndim == 2:
        return samples
    to_rgb = cv2.COLOR_BGR2RGB if samples.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return cv2.cvtColor(samples, to_rgb, dst=samples)


def _uncompressed_png(layout: tuple[int, int, int, int], rows: list[memoryview], library: Any) -> bytes:
    """A PNG (width, height, depth, colour) of stored blocks (RFC 1951, 3.2.4)."""
    header = b"IHDR" + struct.pack(">IIBBBBB", *layout, 0, 0, 0)
    parts: list[bytes | memoryview] = [b"IDAT\x78\x01"]
    sum_of_rows = 1
    for piece in rows:
        sum_of_rows = library.adler32(piece, sum_of_rows)
        for start, end in pairwise([*range(0, len(piece), _STORED_BYTES), len(piece)]):
            is_last = end == len(piece) and piece is rows[-1]
            parts += [struct.pack("<BHH", is_last, end - start, end - start ^ 0xFFFF), piece[start:end]]
    parts.append(struct.pack(">I", sum_of_rows))
    checksum = 0
    for part in parts:
        checksum = library.crc32(part, checksum)
    length = sum(map(len, parts)) - 4
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)),
            struct.pack(">I", length),
            *parts,
            struct.pack(">I", checksum) + b"\0\0\0\0IEND\xaeB`\x82",
        ]
    )
