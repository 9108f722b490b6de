"""A JPEG whose picture data are not all there is no picture, and no library has the word on the terminal."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from stereodistill.errors import UserError
from stereodistill.io.image_headers import BadImage, read_header
from stereodistill.io.images import read_image, write_image


@pytest.fixture
def jpeg() -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (96, 160, 3), np.uint8)
    return cv2.imencode(".jpg", cv2.GaussianBlur(noise, (0, 0), 2))[1].tobytes()


@pytest.mark.parametrize("how", ["zeroed", "half zeroed", "cut", "other bytes"])
def test_scan_data_that_are_not_there(tmp_path, capfd, jpeg, how):
    scan = jpeg.index(b"\xff\xda") + 14
    half = (scan + len(jpeg)) // 2
    blob = {
        "zeroed": jpeg[:scan] + bytes(len(jpeg) - scan - 2) + jpeg[-2:],
        "half zeroed": jpeg[:half] + bytes(len(jpeg) - half - 2) + jpeg[-2:],
        "cut": jpeg[:half] + jpeg[-2:],
        "other bytes": jpeg[:half] + b"\xfe" * (len(jpeg) - half - 2) + jpeg[-2:],
    }[how]
    (tmp_path / "a.jpg").write_bytes(blob)
    with pytest.raises(UserError, match=r"a\.jpg.*damaged"):
        read_image(tmp_path / "a.jpg")
    assert capfd.readouterr() == ("", "")


def test_bytes_that_can_be_spared(tmp_path, capfd, jpeg):
    """Cameras pad; a picture of one colour is short."""
    (tmp_path / "a.jpg").write_bytes(jpeg[:-2] + bytes(40) + jpeg[-2:])
    assert read_image(tmp_path / "a.jpg").shape == (96, 160, 3)
    write_image(tmp_path / "b.jpg", np.zeros((96, 160, 3), np.uint8))
    assert read_image(tmp_path / "b.jpg").max() == 0
    assert capfd.readouterr() == ("", "")


def test_a_damaged_png_is_silent_too(tmp_path, capfd):
    write_image(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8))
    blob = bytearray((tmp_path / "a.png").read_bytes())
    at = blob.index(b"IDAT")
    blob[at + 4 : at + 24] = bytes(20)
    import zlib

    length = int.from_bytes(blob[at - 4 : at], "big")
    blob[at + 4 + length : at + 8 + length] = zlib.crc32(blob[at : at + 4 + length]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(blob)
    with pytest.raises(UserError, match="damaged"):
        read_image(tmp_path / "a.png")
    assert capfd.readouterr() == ("", "")


@pytest.mark.timeout(20)
def test_a_million_fill_bytes_are_read_once():
    with pytest.raises(BadImage):
        read_header(b"\xff\xd8\xff" + b"\xff" * 1_000_000 + b"\x00")
