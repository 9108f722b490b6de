"""Disparity files: hand-assembled bytes, round trips, wrong units and signs, hostile headers."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from stereodistill.errors import UserError
from stereodistill.io.disparity import DISPARITY_SUFFIXES, read_disparity, read_pfm, write_disparity, write_pfm
from stereodistill.io.images import read_samples, write_image

SMALL = array_shapes(min_dims=2, max_dims=2, max_side=7)


def saved(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(("order", "scale"), [("<", b"-1.0"), (">", b"1"), ("<", b"-0.003922"), (">", b"2.5e0")])
def test_pfm_by_hand_bottom_row_first_both_byte_orders(tmp_path, order, scale):
    body = struct.pack(f"{order}6f", 4, 5, 6, 1, 2, 3)
    (tmp_path / "a.pfm").write_bytes(b"Pf\n3 2\n" + scale + b"\n" + body)
    assert read_pfm(tmp_path / "a.pfm").tolist() == [[1, 2, 3], [4, 5, 6]]


def test_pfm_written_bytes(tmp_path):
    write_pfm(tmp_path / "a.pfm", np.array([[1.5], [2.0]]))
    assert (tmp_path / "a.pfm").read_bytes() == b"Pf\n1 2\n-1.0\n" + struct.pack("<2f", 2.0, 1.5)


def test_colour_pfm(tmp_path):
    (tmp_path / "a.pfm").write_bytes(b"PF 1 1\r\n-1\r\n" + struct.pack("<3f", 1, 2, 3))
    assert read_pfm(tmp_path / "a.pfm").tolist() == [[[1, 2, 3]]]
    with pytest.raises(UserError, match="one channel"):
        read_disparity(tmp_path / "a.pfm")


@settings(max_examples=40, deadline=None, derandomize=True)
@given(arrays(np.float32, SMALL, elements=st.floats(width=32)))
def test_pfm_round_trip_is_exact(tmp_path_factory, values):
    path = tmp_path_factory.getbasetemp() / "a.pfm"
    write_pfm(path, values)
    np.testing.assert_array_equal(read_pfm(path), values)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from(DISPARITY_SUFFIXES),
    arrays(np.float32, SMALL, elements=st.one_of(st.floats(0, 1, width=32), st.sampled_from([np.nan, np.inf, -2.0]))),
    st.booleans(),
)
def test_round_trip_keeps_what_is_known(tmp_path_factory, suffix, share, masked):
    path = tmp_path_factory.getbasetemp() / f"a{suffix}"
    disparity = share * np.float32(share.shape[1])
    valid = np.indices(share.shape).sum(axis=0) % 2 == 0 if masked else np.ones(share.shape, bool)
    write_disparity(path, disparity, valid)
    back, known = read_disparity(path)
    with np.errstate(invalid="ignore"):
        expected = valid & (disparity > 0) & np.isfinite(disparity)
    assert back.dtype == np.float32 and known.dtype == bool
    np.testing.assert_array_equal(known, expected)
    np.testing.assert_array_equal(back[~known], 0)
    # 1/512 px is half a step of the PNG; the smallest known value is one step.
    tolerance = 1 / 256 if suffix == ".png" else 0
    np.testing.assert_allclose(back[known], disparity[known], atol=tolerance, rtol=0)


def test_png_holds_pixels_times_256_and_zero_for_unknown(tmp_path):
    write_disparity(tmp_path / "a.png", np.pad([[1.0, 0.5, np.nan, 0.0001]], ((0, 0), (0, 252))))
    assert read_samples(tmp_path / "a.png")[0, :5].tolist() == [256, 128, 0, 1, 0]


def test_png_refuses_what_it_cannot_hold(tmp_path):
    wide = np.full((1, 400), 255.996, np.float32)
    write_disparity(tmp_path / "a.png", wide)
    assert read_disparity(tmp_path / "a.png")[0].max() == 65535 / 256
    with pytest.raises(UserError, match=r"ends at 255.99 px, found 300.00; use .pfm"):
        write_disparity(tmp_path / "b.png", np.full((1, 400), 300.0))
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize("suffix", [".pfm", ".npy"])
@pytest.mark.parametrize(("value", "word"), [(-1.0, "negative"), (5.5, "exceeds the width of 5 px"), (1e30, "exceeds")])
def test_wrong_sign_or_unit_is_told(tmp_path, suffix, value, word):
    values = np.ones((4, 5), np.float32)
    values[1, 2] = value
    if suffix == ".pfm":
        write_pfm(tmp_path / "a.pfm", values)
    else:
        np.save(tmp_path / "a.npy", values)
    with pytest.raises(UserError, match=word):
        read_disparity(tmp_path / f"a{suffix}")


def test_unknown_is_zero_nan_or_infinite(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[0, np.nan, np.inf, -np.inf, 2.0, 1e-300]]))
    disparity, valid = read_disparity(tmp_path / "a.npy")
    assert disparity.tolist() == [[0, 0, 0, 0, 2, 0]] and valid.tolist() == [[False] * 4 + [True, False]]


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3) / 2),
        np.arange(6, dtype=">f2").reshape(1, 1, 2, 3) / 2,
        np.arange(6, dtype=np.float32).reshape(2, 3) / 2,
    ],
)
def test_npy_of_any_order_and_type(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    assert read_disparity(tmp_path / "a.npy")[0].tolist() == [[0, 0.5, 1], [1.5, 2, 2.5]]


def test_pickled_npy_is_never_loaded(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "touched"), "w"))

    np.save(tmp_path / "a.npy", np.array([[Hostile()]], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="plain numbers"):
        read_disparity(tmp_path / "a.npy")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("a.pfm", b"Pf\n3 2\n-1.0\n" + b"\0" * 23, "truncated"),
        ("a.pfm", b"Pf\n3 2\n-1.0\n" + b"\0" * 25, "damaged"),
        ("a.pfm", b"Pf\n999999999 999999999\n-1.0\n", "megapixels"),
        ("a.pfm", b"Pf\n0 2\n-1.0\n", "megapixels"),
        ("a.pfm", b"Pf\n-3 2\n-1.0\n", "header"),
        ("a.pfm", b"Pf\n3 2\n0\n" + b"\0" * 24, "no number"),
        ("a.pfm", b"Pf\n3 2\nnan\n" + b"\0" * 24, "no number"),
        ("a.pfm", b"Pf\n3 2\n\xff\x07\n" + b"\0" * 24, "no number"),
        ("a.pfm", b"Pf\n3 2", "header"),
        ("a.pfm", b"P5\n1 1\n255\n\0", "header"),
        ("a.npy", b"\x93NUMPY\x01\x00", "header"),
        ("a.npy", b"not numpy at all", "header"),
        ("a.npy", saved(np.ones((4, 4)))[:-1], "truncated"),
        ("a.npy", saved(np.ones(4)), "height, width"),
        ("a.npy", saved(np.ones((3, 4, 5))), "height, width"),
        ("a.npy", saved(np.ones((0, 5))), "megapixels"),
        ("a.npy", saved(np.ones((2, 2), complex)), "plain numbers"),
        ("a.npy", saved(np.ones((2, 2))).replace(b"(2, 2), }", b"(999999, 999999), }"), "header|megapixels"),
        ("a.exr", b"x", "ends in one of"),
        ("a", b"x", "no suffix"),
    ],
)
def test_hostile_and_broken_files(tmp_path, name, content, word):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=word) as caught:
        read_disparity(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("shape", "found"), [((2, 2), "8-bit grey"), ((2, 2, 3), "8-bit colour")])
def test_eight_bit_png_is_not_taken_for_disparity(tmp_path, shape, found):
    write_image(tmp_path / "a.png", np.zeros(shape, np.uint8))
    with pytest.raises(UserError, match=found):
        read_disparity(tmp_path / "a.png")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    suffix=st.sampled_from(DISPARITY_SUFFIXES),
    edits=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=5),
    keep=st.integers(1, 400),
)
def test_damaged_bytes_give_a_map_or_one_clear_line(tmp_path_factory, suffix, edits, keep):
    path = tmp_path_factory.getbasetemp() / f"fuzz{suffix}"
    write_disparity(path, np.arange(20, dtype=np.float32).reshape(1, 20))
    data = bytearray(path.read_bytes())
    for at, value in edits:
        data[at % len(data)] = value
    path.write_bytes(data[:keep])
    try:
        disparity, valid = read_disparity(path)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert np.isfinite(disparity).all() and (disparity >= 0).all() and disparity.size <= 200
        assert ((disparity > 0) == valid).all()


def test_writers_refuse_unknown_suffix(tmp_path):
    with pytest.raises(UserError, match="ends in one of"):
        write_disparity(tmp_path / "a.exr", np.ones((2, 2)))


def test_real_ground_truth(real_data):
    disparity, valid = read_disparity(real_data / "kitti2015" / "disp_occ_0" / "000054_10.png")
    assert disparity.shape == (375, 1242) and 0.1 < valid.mean() < 0.5
    assert 1 < np.median(disparity[valid]) < 100
    raw = read_pfm(real_data / "sceneflow_A-0032-0006" / "disp_left.pfm")
    assert raw.shape == (540, 960) and np.abs(raw).min() > 1 and np.abs(raw).max() < 960
