"""What counts as a photo."""

import numpy as np
import pytest
import torch

from stereodistill.errors import UserError
from stereodistill.io.images import write_image
from stereodistill.predict.photo import to_image


def test_a_photo_can_come_in_many_ways(tmp_path):
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)
    write_image(tmp_path / "photo.png", photo)
    expected = torch.from_numpy(photo).permute(2, 0, 1) / 255
    alpha = np.concatenate([photo, np.zeros_like(photo[..., :1])], axis=2)
    ways = [tmp_path / "photo.png", str(tmp_path / "photo.png"), photo, alpha, photo / 255.0, expected]
    ways.append(photo.astype(np.uint16) * 257)
    for way in ways:
        torch.testing.assert_close(to_image(way), expected)
    grey = to_image(photo[..., 0])
    assert torch.equal(grey[0], grey[2]) and grey.shape == (3, 20, 30)


def test_pil_images_work():
    image = pytest.importorskip("PIL.Image")
    photo = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    assert torch.equal(to_image(image.fromarray(photo)), to_image(photo))
    grey = photo[..., 0].astype(np.uint16) * 257
    torch.testing.assert_close(to_image(image.fromarray(grey)), to_image(grey))


@pytest.mark.parametrize(
    ("photo", "message"),
    [
        (np.zeros((4, 5, 2), np.uint8), r"not \(4, 5, 2\)"),
        (np.zeros((4, 5, 3), np.int64), "uint8, uint16 or float"),
        (np.full((4, 5, 3), 200.0), r"\[0, 1\].*divide 8-bit values by 255"),
        (np.full((4, 5, 3), np.nan), r"\[0, 1\]"),
        (np.zeros((0, 5, 3), np.uint8), "array"),
        (torch.zeros(1, 3, 4, 5), r"float \(3, H, W\)"),
        (torch.zeros(3, 4, 5, dtype=torch.uint8), r"float \(3, H, W\)"),
        (42, "not int"),
        ("nowhere.png", "nowhere.png"),
    ],
)
def test_what_is_no_photo(photo, message):
    with pytest.raises(UserError, match=message):
        to_image(photo)
