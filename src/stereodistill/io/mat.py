"""Arrays of numbers in MATLAB files of version 5 (as `save` writes them without `-v7.3`).

Only what data sets ship is read: real, full arrays of numbers, compressed or not.  The layout is that of "MAT-File
Format" (The MathWorks, R2016b), chapter 1: a header of 128 bytes, then tagged elements.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stereodistill.errors import UserError
from stereodistill.io.files import read_bytes, shown

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Types of stored numbers; MATLAB stores an array in the smallest that holds its values."""
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
"""Classes of arrays of numbers (1 to 5 are cells, structs, objects, text, sparse matrices)."""
_COMPLEX = 0x0800
_MAX_BYTES = 1 << 28


class _BadMat(Exception):
    """The bytes are not a version 5 file; the message says why, without the file's name."""


def read_mat(path: str | Path, name: str) -> np.ndarray:
    """Variable `name` of a MATLAB file, in its own class and shape.

    Raises:
        UserError: the file is damaged, of another version, has no such variable, or it is no array of real numbers.
    """
    data = read_bytes(path)
    try:
        order = _byte_order(data)
        found = []
        for kind, body in _elements(memoryview(data)[_HEADER_BYTES:], order):
            if kind == _COMPRESSED:
                kind, body = next(_elements(memoryview(_inflate(body)), order))
            if kind != _MATRIX:
                continue
            title, array = _read_matrix(body, order, name)
            if title == name and array is not None:
                return array
            found.append(title)
    except (_BadMat, struct.error, zlib.error, StopIteration, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"cannot read {shown(path)} as a MATLAB file: {error or 'it is truncated'}") from None
    raise UserError(f"{shown(path)}: no variable {name}, found {', '.join(found) or 'none'}")


def _byte_order(data: bytes) -> str:
    if data[:8] == b"\x89HDF\r\n\x1a\n" or b"MATLAB 7.3" in data[:_HEADER_BYTES]:
        raise _BadMat("it is of version 7.3 (HDF5); save it with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None or len(data) < _HEADER_BYTES:
        raise _BadMat("it has no header of version 5")
    return order


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """(type, content) of the tagged elements in `data`."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from(order + "II", data, at)
        if kind >> 16:  # small element: size and type in four bytes, the content in the next four
            size, kind, start = kind >> 16, kind & 0xFFFF, at + 4
            at += 8
        else:
            start = at + 8
            # Elements are padded to 8 bytes; compressed ones are not.
            at = start + size + (0 if kind == _COMPRESSED else -size % 8)
        if start + size > len(data):
            raise _BadMat("it is truncated; copy or download it again")
        yield kind, data[start : start + size]


def _inflate(body: memoryview) -> bytes:
    stream = zlib.decompressobj()
    content = stream.decompress(body, _MAX_BYTES)
    if not stream.eof:
        raise _BadMat(f"a variable is truncated or larger than {_MAX_BYTES >> 20} MB")
    return content


def _read_matrix(body: memoryview, order: str, wanted: str) -> tuple[str, np.ndarray | None]:
    """(name, array) of a matrix element; None instead of the array of another name than `wanted`."""
    parts = _elements(body, order)
    (_, flags), (_, sizes), (_, title) = next(parts), next(parts), next(parts)
    name = bytes(title).decode()
    if name != wanted:
        return name, None
    (flag_bits,) = struct.unpack_from(order + "I", flags)
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    if flag_bits & 0xFF not in _CLASSES or flag_bits & _COMPLEX:
        raise _BadMat(f"{name} is no full array of real numbers")
    kind, values = next(parts)
    if kind not in _NUMBERS:
        raise _BadMat(f"{name} holds data of type {kind}, numbers expected")
    numbers = np.frombuffer(values, order + _NUMBERS[kind])
    if min(shape) < 0 or math.prod(shape) != numbers.size:
        raise _BadMat(f"{name} states the shape {shape} and holds {numbers.size} numbers")
    return name, numbers.reshape(shape, order="F").astype(_CLASSES[flag_bits & 0xFF])
