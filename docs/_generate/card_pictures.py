"""Draw the pictures of the shipped teacher's model card: `python docs/_generate/card_pictures.py`.

One real pair (Middlebury 2014, in scikit-image) and one procedural street; both have ground truth.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from skimage.data import stereo_motorcycle

import stereodistill as sd
from stereodistill.io.images import write_image
from stereodistill.synth import SynthDataset

CARD = Path(__file__).resolve().parents[2] / "src" / "stereodistill" / "pretrained" / "lite_stereo"
HEIGHT = 300
GAP = 6
STREET_SEED, STREET = 4711, 2


def main() -> None:
    """Write `motorcycle.jpg` and `street.jpg` beside the weights."""
    network = sd.from_pretrained("lite_stereo", "cpu")
    assert isinstance(network, sd.StereoPredictor)
    left, right, truth = stereo_motorcycle()
    write_image(CARD / "motorcycle.jpg", _panels(network, left, right, np.where(np.isfinite(truth), truth, 0)))
    pair = SynthDataset("street", STREET + 1, (320, 704), seed=STREET_SEED).load(STREET)
    left, right = (
        np.rint(view.image.permute(1, 2, 0).numpy() * 255).astype(np.uint8) for view in (pair.left, pair.right)
    )
    write_image(CARD / "street.jpg", _panels(network, left, right, (pair.left.disparity * pair.left.valid)[0].numpy()))


def _panels(network: sd.StereoPredictor, left: np.ndarray, right: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Left view, disparity, confidence, and in white what is wrong by more than 3 px and 5 %."""
    found = network.predict(left, right)
    assert found.confidence is not None
    error = np.abs(found.disparity_px - truth)
    wrong = (truth > 0) & (error > 3) & (error > 0.05 * truth)
    print(f"D1 {100 * wrong.sum() / (truth > 0).sum():.1f} %")
    greys = [np.repeat((255 * grey).astype(np.uint8)[..., None], 3, axis=2) for grey in (found.confidence, wrong)]
    panels = [left, found.colorize(), *greys]
    size = (round(left.shape[1] * HEIGHT / left.shape[0]), HEIGHT)
    small = [cv2.resize(panel, size, interpolation=cv2.INTER_AREA) for panel in panels]
    rows = [np.concatenate([a, np.full((HEIGHT, GAP, 3), 255, np.uint8), b], axis=1) for a, b in (small[:2], small[2:])]
    return np.concatenate([rows[0], np.full((GAP, *rows[0].shape[1:]), 255, np.uint8), rows[1]], axis=0)


if __name__ == "__main__":
    main()
