"""Every kind of picture becomes the same thing: float32 RGB in [0, 1]; half a picture becomes an error."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stereodistill.errors import UserError
from stereodistill.io import images
from stereodistill.io.images import IMAGE_SUFFIXES, image_size, read_image, read_samples, write_image

LOSSLESS = [suffix for suffix in IMAGE_SUFFIXES if suffix not in (".jpg", ".jpeg", ".pgm")]


def png(width, height, depth, colour, raw):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def noise(height=19, width=23, seed=0):
    return np.random.default_rng(seed).random((height, width, 3), dtype=np.float32)


def encoded(suffix, seed=0):
    samples = (noise(seed=seed) * 255).astype(np.uint8)
    return cv2.imencode(suffix, samples[..., 0] if suffix == ".pgm" else samples)[1].tobytes()


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_round_trip_keeps_every_value_to_half_a_step(tmp_path, suffix):
    image = noise()
    write_image(tmp_path / f"a{suffix}", image)
    back = read_image(tmp_path / f"a{suffix}")
    assert back.dtype == np.float32 and back.shape == image.shape and back.flags.c_contiguous
    np.testing.assert_allclose(back, image, atol=0.5 / 255 + 1e-6)
    write_image(tmp_path / f"b{suffix}", back)
    np.testing.assert_array_equal(read_image(tmp_path / f"b{suffix}"), back)


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_size_without_decoding_is_the_size_of_the_picture(tmp_path, suffix):
    (tmp_path / f"a{suffix}").write_bytes(encoded(suffix))
    assert image_size(tmp_path / f"a{suffix}") == (19, 23) == read_image(tmp_path / f"a{suffix}").shape[:2]


@pytest.mark.parametrize(
    ("depth", "colour", "raw", "expected"),
    [
        (8, 0, b"\0\x33", [51 / 255] * 3),  # grey
        (16, 0, b"\0\x12\x34", [0x1234 / 65535] * 3),
        (8, 2, b"\0\x01\x02\xff", [1 / 255, 2 / 255, 1]),  # RGB: not exchanged with BGR
        (16, 2, b"\0\x00\x01\x80\x00\xff\xff", [1 / 65535, 0x8000 / 65535, 1]),
        (8, 4, b"\0\x33\x00", [51 / 255] * 3),  # grey + alpha 0: dropped, not blended
        (8, 6, b"\0\x01\x02\xff\x00", [1 / 255, 2 / 255, 1]),  # RGBA
        (16, 6, b"\0\x00\x01\x80\x00\xff\xff\x00\x00", [1 / 65535, 0x8000 / 65535, 1]),
        (1, 0, b"\0\x80", [1, 1, 1]),
    ],
)
def test_png_by_hand(tmp_path, depth, colour, raw, expected):
    (tmp_path / "a.png").write_bytes(png(1, 1, depth, colour, raw))
    np.testing.assert_allclose(read_image(tmp_path / "a.png")[0, 0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"P5 # camera\n2 1\n255\n\x00\xff", [[0, 0, 0], [1, 1, 1]]),
        (b"P5\n2 1\n4095\n\x0f\xff\x00\x00", [[1, 1, 1], [0, 0, 0]]),  # 12 bit, big-endian
        (b"P6\n1 1 255\n\x00\x33\xff", [[0, 0.2, 1]]),
        (b"P2\n2 1\n4\n0 1\n", [[0, 0, 0], [0.25, 0.25, 0.25]]),
        (b"P3\n1 1\n10\n0 5 10", [[0, 0.5, 1]]),
    ],
)
def test_netpbm_by_hand(tmp_path, content, expected):
    (tmp_path / "a.pgm").write_bytes(content)
    np.testing.assert_allclose(read_image(tmp_path / "a.pgm")[0], expected, rtol=1e-6)


def test_camera_rotation_is_applied_as_viewers_do(tmp_path):
    samples = np.zeros((16, 32, 3), np.uint8)
    samples[:, :16] = 255
    jpeg = cv2.imencode(".jpg", samples)[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # orientation 6: turn right
    (tmp_path / "a.jpg").write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    image = read_image(tmp_path / "a.jpg")
    assert image.shape == (32, 16, 3) and image[0, 0, 0] > 0.9 and image[-1, 0, 0] < 0.1
    assert image_size(tmp_path / "a.jpg") == (32, 16)


def test_stored_numbers_are_returned_unscaled(tmp_path):
    values = np.arange(6, dtype=np.uint16).reshape(2, 3) * 10000
    write_image(tmp_path / "a.png", values)
    np.testing.assert_array_equal(read_samples(tmp_path / "a.png"), values)
    (tmp_path / "b.png").write_bytes(png(1, 1, 8, 6, b"\0\x01\x02\x03\x04"))
    assert read_samples(tmp_path / "b.png").tolist() == [[[1, 2, 3, 4]]]


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_no_truncation_is_read_as_a_picture(tmp_path, suffix, capfd):
    data = encoded(suffix)
    path = tmp_path / f"a{suffix}"
    for keep in {1, 2, 4, 9, 30, len(data) // 3, len(data) // 2, len(data) - 40, len(data) - 3, len(data) - 1}:
        path.write_bytes(data[:keep])
        for read in (read_image, image_size):
            with pytest.raises(UserError) as caught:
                read(path)
                pytest.fail(f"{keep} of {len(data)} bytes were read as a picture")
            assert "\n" not in str(caught.value) and path.name in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_flipped_bit_anywhere_in_a_png_is_seen(tmp_path, capfd):
    data = bytearray(png(2, 2, 8, 0, b"\0\x01\x02\0\x03\x04"))
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1 << at % 8
        (tmp_path / "a.png").write_bytes(damaged)
        with pytest.raises(UserError):
            read_image(tmp_path / "a.png")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "claim", [png(60000, 60000, 8, 0, b"\0"), b"P5\n99999 99999\n255\n", b"P5\n999999999 999999999\n65535\n1"]
)
def test_small_file_that_claims_a_huge_picture(tmp_path, claim):
    (tmp_path / "a.png").write_bytes(claim)
    with pytest.raises(UserError, match=r"megapixels|truncated"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("content", [b"hello", b"<html></html>", b"GIF89a", b"\x80\x04\x95pickle", b"P5\n0 4\n255\n"])
def test_not_an_image(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match=r"not an image|claims a size"):
        read_image(tmp_path / "a.png")


def test_float_pictures_are_refused(tmp_path):
    (tmp_path / "a.tiff").write_bytes(cv2.imencode(".tiff", np.ones((3, 3), np.float32))[1].tobytes())
    with pytest.raises(UserError, match="8 or 16 bit expected"):
        read_image(tmp_path / "a.tiff")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    suffix=st.sampled_from([".png", ".jpg", ".pgm", ".ppm", ".bmp", ".tiff", ".webp"]),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6),
    keep=st.floats(0, 1),
)
def test_damaged_bytes_give_a_picture_or_one_clear_line(tmp_path_factory, suffix, edits, keep):
    data = bytearray(encoded(suffix))
    for where, value in edits:
        data[int(where * where * len(data))] = value  # squared: headers are hit more often
    path = tmp_path_factory.getbasetemp() / f"fuzz{suffix}"
    path.write_bytes(data[: max(1, int(len(data) * (1 - keep**8)))])
    try:
        image = read_image(path)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert image.dtype == np.float32 and image.ndim == 3 and image.min() >= 0 and image.max() <= 1
        assert image_size(path) == image.shape[:2]


def test_write_refuses_what_the_format_cannot_hold(tmp_path):
    with pytest.raises(UserError, match="must end in one of"):
        write_image(tmp_path / "a.gif", noise())
    with pytest.raises(UserError, match="8 bits only"):
        write_image(tmp_path / "a.jpg", np.ones((2, 2), np.uint16))
    with pytest.raises(UserError, match="grey only"):
        write_image(tmp_path / "a.pgm", noise())
    with pytest.raises(UserError, match="cannot hold"):
        write_image(tmp_path / "a.webp", np.zeros((2, 20000, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_write_clips_floats_and_spreads_grey(tmp_path):
    write_image(tmp_path / "a.png", np.array([[[-1, np.nan, 2]]]))
    assert read_samples(tmp_path / "a.png").tolist() == [[[0, 0, 255]]]
    write_image(tmp_path / "a.ppm", np.array([[0.2]]))
    assert read_samples(tmp_path / "a.ppm").tolist() == [[[51, 51, 51]]]


def test_opencv_log_level_is_restored(tmp_path):
    before = cv2.utils.logging.getLogLevel()
    with images.quiet_opencv():
        assert cv2.utils.logging.getLogLevel() == cv2.utils.logging.LOG_LEVEL_SILENT
    assert cv2.utils.logging.getLogLevel() == before


def test_real_pictures_are_read(real_data):
    grey = read_image(next((real_data / "kitti2012" / "image_0").glob("*.png")))
    assert np.array_equal(grey[..., 0], grey[..., 2]) and 0.05 < grey.mean() < 0.9
    assert read_image(real_data / "sceneflow_A-0032-0006" / "left.png").shape == (540, 960, 3)
    assert read_image(real_data / "middlebury2003_teddy" / "im2.ppm").shape == (375, 450, 3)
    assert read_samples(real_data / "middlebury2003_teddy" / "disp2.pgm").ndim == 2
