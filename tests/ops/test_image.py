import numpy as np
import pytest
import torch

from stereodistill.ops.image import (
    gradient_x,
    gradient_y,
    image_pyramid,
    local_contrast,
    psnr,
    second_gradient_x,
    second_gradient_y,
    ssim,
)
from stereodistill.ops.upsample import convex_upsample


def test_ssim_equals_its_definition_in_numpy():
    a, b = torch.rand(2, 3, 6, 7, dtype=torch.float64), torch.rand(2, 3, 6, 7, dtype=torch.float64)
    measured = ssim(a, b).numpy()
    for row in range(4):
        for column in range(5):
            x = a.numpy()[0, 1, row : row + 3, column : column + 3]
            y = b.numpy()[0, 1, row : row + 3, column : column + 3]
            covariance = np.mean(x * y) - x.mean() * y.mean()
            luminance = (2 * x.mean() * y.mean() + 1e-4) / (x.mean() ** 2 + y.mean() ** 2 + 1e-4)
            structure = (2 * covariance + 9e-4) / (x.var() + y.var() + 9e-4)
            assert np.isclose(measured[0, 1, row, column], luminance * structure)
    assert torch.allclose(ssim(a, a), torch.ones(2, 3, 4, 5, dtype=torch.float64))


def test_gradients_of_a_plane():
    y, x = torch.meshgrid(torch.arange(5.0), torch.arange(6.0), indexing="ij")
    plane = (2 * x + 3 * y)[None]
    assert (gradient_x(plane) == 2).all() and (gradient_y(plane) == 3).all()
    assert (second_gradient_x(plane) == 0).all() and (second_gradient_y(plane) == 0).all()
    assert (second_gradient_x(x[None] ** 2) == 2).all()


def test_pyramid_keeps_the_mean():
    image = torch.rand(1, 3, 8, 16)
    levels = image_pyramid(image, 3)
    assert [tuple(level.shape[-2:]) for level in levels] == [(8, 16), (4, 8), (2, 4)]
    assert all(torch.allclose(level.mean(), image.mean(), atol=1e-6) for level in levels)


def test_psnr_is_golden():
    a = torch.zeros(1, 3, 4, 4)
    assert psnr(a, a + 0.1).item() == torch.tensor(20.0)
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2] = 1
    half = a.clone()
    half[..., 2:] = 1
    assert psnr(a, half, mask) > 100


def test_convex_upsampling_stays_between_its_neighbours():
    coarse = torch.rand(2, 1, 4, 5)
    fine = convex_upsample(coarse, torch.randn(2, 9 * 16, 4, 5), 4)
    assert fine.shape == (2, 1, 16, 20)
    assert fine.min() >= coarse.min() and fine.max() <= coarse.max()
    constant = convex_upsample(torch.full((1, 1, 4, 5), 3.0), torch.randn(1, 36, 4, 5), 2)
    assert torch.allclose(constant, torch.full((1, 1, 8, 10), 3.0))


def test_convex_upsampling_puts_the_chosen_neighbour_in_place():
    coarse = torch.arange(6.0).reshape(1, 1, 2, 3)
    logits = torch.full((1, 9, 2, 2, 2, 3), -50.0)
    logits[:, 4] = 50.0  # the cell itself ...
    logits[:, 4, 1, 0], logits[:, 5, 1, 0] = -50.0, 50.0  # ... but the right neighbour for fine (row 1, column 0)
    fine = convex_upsample(coarse, logits.reshape(1, 36, 2, 3), 2)
    assert torch.allclose(fine[0, 0, 0], torch.tensor([0.0, 0, 1, 1, 2, 2]), atol=1e-6)
    assert torch.allclose(fine[0, 0, 1], torch.tensor([1.0, 0, 2, 1, 2, 2]), atol=1e-6)


def test_local_contrast_sees_the_same_in_light_and_in_shadow():
    torch.manual_seed(0)
    image = 0.2 + 0.6 * torch.rand(1, 1, 40, 53).expand(-1, 3, -1, -1)
    bright, dim = local_contrast(image), local_contrast(0.5 * image + 0.1)
    assert bright.shape == (1, 1, 40, 53)
    assert (bright - dim).abs().max() < 0.05
    assert bright.std() == pytest.approx(1.0, abs=0.15) and abs(float(bright.mean())) < 0.1


def test_local_contrast_of_a_plain_picture_is_nothing():
    assert local_contrast(torch.full((1, 3, 9, 17), 0.37)).abs().max() < 1e-3
    noise = 0.001 * torch.randn(1, 3, 40, 40)
    assert local_contrast(0.5 + noise).abs().max() < 0.3
