"""MATLAB version 5 files: against scipy's writer in every form, and refusals."""

from __future__ import annotations

import io

import numpy as np
import pytest

from stereodistill.errors import UserError
from stereodistill.io.mat import read_mat

scipy_io = pytest.importorskip("scipy.io", reason="scipy writes the MATLAB files of these tests")


@pytest.fixture
def write(tmp_path):
    """write(compressed=False, **variables) -> path of a version 5 file."""

    def save(compressed: bool = False, **variables):
        path = tmp_path / "file.mat"
        scipy_io.savemat(path, variables, do_compression=compressed)
        return path

    return save


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_every_class_of_numbers(write, dtype, compressed):
    expected = np.arange(5 * 3 * 4).reshape(5, 3, 4).astype(dtype)
    found = read_mat(write(compressed, before=np.zeros(2), Position3DGrid=expected, after="text"), "Position3DGrid")
    assert found.dtype == expected.dtype and np.array_equal(found, expected)


def test_agrees_with_scipy_on_odd_values(write):
    expected = np.array([[np.nan, np.inf, -0.0], [1e-300, 81.25, -3.0]])
    assert np.array_equal(read_mat(write(x=expected), "x"), expected, equal_nan=True)


def test_short_names_and_short_arrays_use_the_packed_form(write):
    path = write(a=np.uint8([[7, 8]]))
    assert read_mat(path, "a").tolist() == [[7, 8]]


def test_big_endian(write):
    path = write(x=np.float64([[1.5, -2.0]]))
    little = path.read_bytes()
    assert little[126:128] == b"IM"
    words = np.frombuffer(little[128:], "<u4").copy()
    # The eight words of tags, flags and shape, the packed name, and the tag of the numbers; then two doubles.
    body = words[:-4].astype(">u4").tobytes() + np.frombuffer(words[-4:].tobytes(), "<f8").astype(">f8").tobytes()
    swapped = bytearray(little[:124] + b"\x01\x00MI" + body)
    name_at = swapped.index(b"\x00\x01\x00\x01", 128)
    swapped[name_at + 4 : name_at + 8] = b"x\0\0\0"
    path.write_bytes(swapped)
    assert read_mat(path, "x").tolist() == [[1.5, -2.0]]


def test_the_absent_variable_is_told_with_those_that_are_there(write):
    with pytest.raises(UserError, match="no variable Position3DGrid, found first, second"):
        read_mat(write(first=np.ones(2), second=np.ones(3)), "Position3DGrid")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_a_truncated_file_is_refused(write, compressed, share):
    path = write(compressed, x=np.random.default_rng(0).random((20, 30)))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UserError, match="cannot read .* as a MATLAB file"):
        read_mat(path, "x")


@pytest.mark.parametrize("value", ["text", {"field": 1}, np.array([[1 + 2j]])], ids=["text", "struct", "complex"])
def test_what_is_no_array_of_real_numbers_is_refused(write, value):
    with pytest.raises(UserError, match="x is no full array of real numbers"):
        read_mat(write(x=value), "x")


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "a.mat"
    for data in (b"\x89HDF\r\n\x1a\n" + bytes(200), b"MATLAB 7.3 MAT-file".ljust(126) + b"IM" + bytes(64)):
        path.write_bytes(data)
        with pytest.raises(UserError, match="version 7.3"):
            read_mat(path, "x")
    stream = io.BytesIO()
    np.save(stream, np.ones(40))
    path.write_bytes(stream.getvalue())
    with pytest.raises(UserError, match="no header of version 5"):
        read_mat(path, "x")


def test_damage_anywhere_is_one_line(write):
    path = write(True, x=np.random.default_rng(1).random((9, 9)))
    whole = path.read_bytes()
    for at in range(128, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :])
        try:
            read_mat(path, "x")
        except UserError as error:
            assert "\n" not in str(error)
