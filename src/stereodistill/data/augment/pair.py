"""Augmentation of one unbatched sample: pure functions of (pair, config, rng).

The caller derives the generator from (seed, epoch, sample), so nothing here has state.  A probability of 0 is the
identity, bit for bit.  The argument is never changed in place.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, PositiveInt

from stereodistill.config import Config
from stereodistill.data.augment.camera_faults import (
    Blur,
    Jpeg,
    Misalignment,
    Noise,
    Patches,
    add_noise,
    blur,
    compress,
    cover_patches,
    misalign_rows,
)
from stereodistill.data.augment.colour import Photometric, PositiveRange, Probability, apply_tone, draw_tone
from stereodistill.data.augment.geometry import mirror, resize, source_window
from stereodistill.data.dataset import StereoDataset
from stereodistill.io.images import Window
from stereodistill.ops.geometry import crop_pair, flip_pair_vertical
from stereodistill.types import Image, StereoPair, View

Size = tuple[PositiveInt, PositiveInt]


def _at_most_whole(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[1] > 1:
        raise ValueError(f"a window is a share of the picture, at most 1, found {bounds[1]:g}")
    return bounds


class AugmentStereo(Config):
    """What a stereo network sees in training.

    The defaults train a network that must work on cameras it has never seen.  Guo et al. 2018 use less: `scale`
    0.8..1.2, `shared` at its class defaults, and p = 0 for everything below `shared`.
    """

    size: Size | None = (288, 576)
    """(height, width) of the result; None keeps the sample's own size (then nothing is cropped or resized)."""
    swap_p: Probability = 0.5
    """Mirror both views and exchange them: a valid pair again, with the right view's ground truth."""
    vertical_flip_p: Probability = 0.1
    scale_p: Probability = 0.8
    scale: PositiveRange = (0.8, 1.4)
    """Resize factor before the crop; raised where the image would not fill the crop (nothing is ever padded)."""
    stretch_x: PositiveRange = (0.9, 1.1)
    """Additional factor of the width alone; disparity follows the width."""
    shared: Photometric = Photometric(
        p=0.8, gamma=(0.7, 1.4), colour=(0.9, 1.1), contrast=(0.8, 1.25), saturation=(0.2, 1.5), grey_p=0.15
    )
    """Light and colour, the same for both views."""
    per_view: Photometric = Photometric(p=0.3, gamma=(0.85, 1.15), brightness=(0.85, 1.15), colour=(0.97, 1.03))
    """Light and colour, drawn for each view."""
    noise: Noise = Noise()
    blur: Blur = Blur()
    patches: Patches = Patches()
    misalignment: Misalignment = Misalignment()


class AugmentMono(Config):
    """What a monocular network sees in training; by default colour and mirror only (Guo et al. 2018)."""

    size: Size | None = (256, 512)
    """(height, width) that the whole picture is resized to; None keeps the sample's own size."""
    other_sizes: tuple[Size, ...] = ()
    """Further sizes: each batch is of one of all of them, drawn anew."""
    crop: Annotated[PositiveRange, AfterValidator(_at_most_whole)] = (1.0, 1.0)
    """Share of the largest window of the wanted shape that is cut out and enlarged, drawn uniformly.  A window is the
    picture of a camera with a longer focal length in image widths: disparity in widths grows as the things in it do,
    so that a network which learns one baseline may see any focal length.  At 1 the whole picture is resized."""
    swap_p: Probability = 0.5
    """Mirror both views and exchange them, so that a mirrored picture comes with the disparity of the other view."""
    shared: Photometric = Photometric()
    noise: Noise = Noise(p=0)
    """Noise, blur and compression of the left picture alone, which is all that the network sees."""
    blur: Blur = Blur(p=0)
    jpeg: Jpeg = Jpeg(p=0)

    @property
    def sees_whole_pictures(self) -> bool:
        """True when every sample has one size and shows all of its picture."""
        return self.size is not None and not self.other_sizes and self.crop == (1.0, 1.0)

    def at_each_size(self) -> list[AugmentMono]:
        """The same augmentation for each of the sizes of a batch."""
        return [self.model_copy(update={"size": size, "other_sizes": ()}) for size in (self.size, *self.other_sizes)]


def augment_stereo(pair: StereoPair, config: AugmentStereo, rng: np.random.Generator) -> StereoPair:
    """Geometry for both views, light for both, then what goes wrong in each camera alone.

    Ground truth behind a patch of the right view is dropped there (`right.valid` False, disparity 0); the left
    ground truth stays, its visibility follows from the two disparities.  A misaligned right view keeps its
    disparity map, which is then up to about a pixel off vertically.
    """
    # Cropping first and resizing only the window gives the same picture for a fraction of the work.
    window = draw_window(pair.size, config, rng)
    if (window.height, window.width) != pair.size:
        pair = crop_pair(pair, *window)
    return _augment_window(pair, config, rng)


def load_stereo(samples: StereoDataset, index: int, config: AugmentStereo, rng: np.random.Generator) -> StereoPair:
    """`augment_stereo(samples.load(index), config, rng)`, the same numbers; of files, only the drawn window is read."""
    return _augment_window(samples.load(index, lambda size: draw_window(size, config, rng)), config, rng)


def _augment_window(pair: StereoPair, config: AugmentStereo, rng: np.random.Generator) -> StereoPair:
    pair = mirror(pair, config.swap_p, rng)
    if rng.random() < config.vertical_flip_p:
        pair = flip_pair_vertical(pair)
    pair = resize(pair, config.size)
    pair = _with_tone(pair, config.shared, rng)
    left, right = pair.left.image, pair.right.image
    right = misalign_rows(right, config.misalignment, rng)
    left, right = (_spoil(image, config, rng) for image in (left, right))
    right_view = cover_patches(_with_image(pair.right, right), config.patches, rng)
    return replace(pair, left=_with_image(pair.left, left), right=right_view)


def augment_mono(pair: StereoPair, config: AugmentMono, rng: np.random.Generator) -> StereoPair:
    """Mirror, window, resize, colour, the same for both views; then what goes wrong in the left camera."""
    pair = mirror(pair, config.swap_p, rng)
    if config.crop != (1.0, 1.0):
        window = _shaped_window(pair.size, config.size or pair.size, rng.uniform(*config.crop), rng)
        pair = crop_pair(pair, *window)
    pair = resize(pair, config.size)
    pair = _with_tone(pair, config.shared, rng)
    left = add_noise(blur(pair.left.image, config.blur, rng), config.noise, rng)
    return replace(pair, left=_with_image(pair.left, compress(left, config.jpeg, rng)))


def _shaped_window(image_size: Size, shape: Size, share: float, rng: np.random.Generator) -> Window:
    """A random window with the aspect of `shape` and `share` of the width of the largest such window."""
    aspect = shape[1] / shape[0]
    width = max(1, round(min(image_size[1], image_size[0] * aspect) * share))
    height = min(max(1, round(width / aspect)), image_size[0])
    top = int(rng.integers(0, image_size[0] - height + 1))
    return Window(top, int(rng.integers(0, image_size[1] - width + 1)), height, width)


def draw_window(image_size: Size, config: AugmentStereo, rng: np.random.Generator) -> Window:
    """A random window that fills `config.size` once it is resized; the whole picture when there is no size."""
    scale = stretch_x = 1.0
    if rng.random() < config.scale_p:
        scale, stretch_x = rng.uniform(*config.scale), rng.uniform(*config.stretch_x)
    if config.size is None:
        return Window(0, 0, *image_size)
    height, width = source_window(image_size, config.size, scale, stretch_x)
    top = int(rng.integers(0, image_size[0] - height + 1))
    return Window(top, int(rng.integers(0, image_size[1] - width + 1)), height, width)


def _with_tone(pair: StereoPair, config: Photometric, rng: np.random.Generator) -> StereoPair:
    tone = draw_tone(config, rng)
    left, right = (_with_image(view, apply_tone(view.image, tone)) for view in (pair.left, pair.right))
    return replace(pair, left=left, right=right)


def _spoil(image: Image, config: AugmentStereo, rng: np.random.Generator) -> Image:
    image = blur(image, config.blur, rng)
    image = apply_tone(image, draw_tone(config.per_view, rng))
    return add_noise(image, config.noise, rng)


def _with_image(view: View, image: Image) -> View:
    return replace(view, image=image)
