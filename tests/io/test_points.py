"""Point clouds: the exact bytes, the round trip."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stereodistill.io.points import write_ply

HEADER = (
    b"ply\nformat binary_little_endian 1.0\nelement vertex 1\n"
    b"property float x\nproperty float y\nproperty float z\n"
    b"property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
)


def test_bytes_by_hand(tmp_path):
    write_ply(tmp_path / "a.ply", np.array([[1.0, -2.0, 3.5]]), np.array([[1, 2, 255]], np.uint8))
    assert (tmp_path / "a.ply").read_bytes() == HEADER + struct.pack("<3f3B", 1, -2, 3.5, 1, 2, 255)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 9).flatmap(lambda n: arrays(np.float32, (n, 3), elements=st.floats(width=32))))
def test_round_trip_of_the_finite_points(tmp_path_factory, read_ply, points):
    path = tmp_path_factory.getbasetemp() / "a.ply"
    colors = np.arange(points.size, dtype=np.uint8).reshape(points.shape)
    write_ply(path, points, colors)
    finite = np.isfinite(points).all(axis=1)
    back_points, back_colors = read_ply(path)
    np.testing.assert_array_equal(back_points, points[finite])
    np.testing.assert_array_equal(back_colors, colors[finite])


def test_shapes_are_checked(tmp_path):
    with pytest.raises(AssertionError):
        write_ply(tmp_path / "a.ply", np.zeros((2, 3)), np.zeros((3, 3), np.uint8))
    with pytest.raises(AssertionError):
        write_ply(tmp_path / "a.ply", np.zeros((2, 3)), np.zeros((2, 3)))
