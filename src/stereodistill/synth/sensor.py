"""From clean renderings to camera pictures: exposure, colour, gamma, blur, vignetting, noise, saturation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stereodistill.config import Config
from stereodistill.io.images import LUMA
from stereodistill.rng import rng
from stereodistill.synth.hashing import hash_uint32, normal_rows

_PURPOSE = 0x5E45
_BLUR_RADIUS = 2


class SensorConfig(Config):
    """How far the two cameras may differ and how bad a picture may get; every number at 0 is the identity."""

    auto_exposure: float = 0.7
    """How much of the way to a medium mean brightness the exposure goes (both views by the left one's mean)."""
    exposure: float = 0.35
    """Standard deviation of log2 exposure, shared by both views."""
    exposure_difference: float = 0.06
    """Of log2 exposure between the views; also used per colour channel, at a third."""
    gamma: float = 0.12
    """Standard deviation of log gamma, shared."""
    noise: float = 0.012
    """Mean of the (exponentially distributed) noise level, in units of white."""
    blur_px: float = 0.55
    """Largest standard deviation of defocus; a tenth of the samples is smeared 3 times as far along x or y."""
    vignetting: float = 0.3
    """Largest darkening of the corners."""
    grey_share: float = 0.15
    """Share of samples seen by monochrome cameras."""

    @classmethod
    def off(cls) -> SensorConfig:
        """A perfect sensor."""
        return cls(**dict.fromkeys(cls.model_fields, 0.0))


def apply_sensor(
    left: Tensor, right: Tensor, *, seed: int, indices: Sequence[int], config: SensorConfig
) -> tuple[Tensor, Tensor]:
    """The views (B, 3, H, W) in [0, 1] as two real cameras would deliver them; a function of (seed, index)."""
    draws = [_draw(rng(seed, 0, index, _PURPOSE), config) for index in indices]
    table = {k: torch.from_numpy(np.stack([d[k] for d in draws])).to(left.device) for k in draws[0]}
    if config.auto_exposure:
        gain = torch.stack([_metered_gain(image) for image in left])
        table["gain"] *= gain.pow(config.auto_exposure).view(-1, 1, 1)
    keys = hash_uint32(seed, torch.tensor([int(i) for i in indices]))
    # On a CPU one sample at a time: its planes stay in the cache.
    step = 1 if left.device.type == "cpu" else len(indices)
    out = []
    for view, image in enumerate((left, right)):
        parts = [slice(low, low + step) for low in range(0, len(indices), step)]
        done = [
            _expose(image[part], {k: t[part, view] for k, t in table.items()}, keys[part] * 2 + view, config)
            for part in parts
        ]
        out.append(torch.cat(done))
    return out[0], out[1]


def _metered_gain(image: Tensor) -> Tensor:
    """Gain to a medium mean, but less where that would burn out the brighter part; of one image, for exact repeats."""
    mean, std = image.mean().clamp(min=0.05), image.std()
    return torch.minimum(0.42 / mean, 0.95 / (mean + 1.5 * std))


def _draw(g: np.random.Generator, config: SensorConfig) -> dict[str, np.ndarray]:
    """All choices of one sample; axis 0 is the view."""
    exposure = g.normal(0, 1) * config.exposure + g.normal(0, 1, (2, 1)) * config.exposure_difference
    tint = g.normal(0, 1, (2, 3)) * config.exposure_difference / 3
    gamma = np.exp(g.normal(0, 1) * config.gamma + g.normal(0, 1, 2) * config.exposure_difference / 3)
    noise = g.exponential(1.0) * config.noise * np.exp(g.normal(0, 0.1, 2))
    vignetting = np.full(2, g.random() * config.vignetting)
    grey = np.full(2, g.random() < config.grey_share)
    values = {
        "gain": 2.0 ** (exposure + tint),
        "gamma": gamma,
        "shot": noise * g.uniform(0.3, 1.5),
        "read": noise * g.uniform(0.2, 1.0),
        "vignetting": vignetting,
        "grey": grey,
        "kernel": _blur_kernels(g, config.blur_px),
    }
    return {k: np.asarray(v, np.float32) for k, v in values.items()}


def _blur_kernels(g: np.random.Generator, blur_px: float) -> np.ndarray:
    """(2, 2, 5): per view a Gaussian along y and one along x; a delta for blur 0."""
    sigma = g.random() * blur_px * g.uniform(0.75, 1.25, (2, 1)) * np.ones((2, 2))
    if g.random() < 0.1:
        sigma[:, g.integers(2)] *= 3.0
    offset = np.arange(-_BLUR_RADIUS, _BLUR_RADIUS + 1)
    kernel = np.exp(-0.5 * (offset / (sigma[..., None] + 0.05)) ** 2)
    return kernel / kernel.sum(-1, keepdims=True)


def _expose(image: Tensor, p: dict[str, Tensor], keys: Tensor, config: SensorConfig) -> Tensor:
    """One view of some samples, (B, 3, H, W)."""
    channels, height, width = image.shape[1:]
    image = _blur(image, p["kernel"]) if config.blur_px else image.clone()
    image *= p["gain"][:, :, None, None]
    if config.vignetting:
        y = torch.linspace(-1, 1, height, device=image.device).view(1, 1, -1, 1)
        x = torch.linspace(-1, 1, width, device=image.device)
        image *= 1 - p["vignetting"].view(-1, 1, 1, 1) * 0.5 * (x * x + y * y)
    if config.gamma or config.exposure_difference:
        image = image.clamp_(1e-4, 1).pow_(p["gamma"].view(-1, 1, 1, 1))
    if config.grey_share:
        grey = p["grey"].view(-1, 1, 1, 1)
        luma = LUMA[0] * image[:, :1] + LUMA[1] * image[:, 1:2] + LUMA[2] * image[:, 2:]
        image = torch.lerp(image, luma, grey)
    if config.noise:
        rows = hash_uint32(keys.to(image.device).view(-1, 1), torch.arange(height, device=image.device))
        # A monochrome sensor has one grain for all channels.
        channel = torch.arange(channels, device=image.device) * (1 - p["grey"].view(-1, 1)).long()
        grain = normal_rows(hash_uint32(rows[:, None], channel[:, :, None]), width)
        read, shot = (p[name].square().view(-1, 1, 1, 1) for name in ("read", "shot"))
        image.addcmul_(grain, torch.addcmul(read, shot, image).sqrt_())
    return image.clamp_(0, 1)


def _blur(image: Tensor, kernels: Tensor) -> Tensor:
    """Separable, as shifted sums: a third of the time of a grouped convolution on a CPU."""
    height, width = image.shape[-2:]
    for axis in (0, 1):
        pad = (0, 0, _BLUR_RADIUS, _BLUR_RADIUS) if axis == 0 else (_BLUR_RADIUS, _BLUR_RADIUS, 0, 0)
        padded = F.pad(image, pad, mode="replicate")
        tap = kernels[:, axis].T.reshape(-1, len(image), 1, 1, 1)
        views = (
            padded[..., i : i + height, :] if axis == 0 else padded[..., i : i + width]
            for i in range(2 * _BLUR_RADIUS + 1)
        )
        image = next(views) * tap[0]
        for number, shifted in enumerate(views, start=1):
            image.addcmul_(shifted, tap[number])
    return image
