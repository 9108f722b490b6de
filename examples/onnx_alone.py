"""Metres from an exported network without this package: numpy, OpenCV and onnxruntime are enough on the robot.

stereodistill export --weights runs/mine/weights --out model.onnx
python examples/onnx_alone.py model.onnx photo.jpg --focal-px 721.5
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import onnxruntime


def depth_of(model: Path, photo: Path, focal_px: float) -> np.ndarray:
    """Depth (H, W) float32 in metres at the photo's size; `focal_px` is that of the photo at its own width."""
    header = json.loads(model.with_suffix(".json").read_text())["header"]
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    rgb = cv2.cvtColor(cv2.imread(str(photo)), cv2.COLOR_BGR2RGB).astype(np.float32) / 255
    height, width = rgb.shape[:2]
    input_height, input_width = header["input_size"] or (height, width)
    # INTER_AREA averages where the photo shrinks, as training did; a plain bilinear resize would alias.
    small = cv2.resize(rgb, (input_width, input_height), interpolation=cv2.INTER_AREA)
    (disparity,) = session.run(["disparity"], {"image": small.transpose(2, 0, 1)[None]})
    # Disparity is a number of pixels: it grows with the width.
    disparity_px = cv2.resize(disparity[0, 0], (width, height), interpolation=cv2.INTER_LINEAR) * (width / input_width)
    known = disparity_px > 0
    depth_m = np.full((height, width), np.nan, np.float32)
    depth_m[known] = focal_px * header["rig"]["baseline_m"] / disparity_px[known]
    return depth_m


def main(model: Path, photo: Path, focal_px: float, out: Path) -> None:
    """Write depth as a 16-bit PNG, metres * 256, 0 = unknown."""
    depth_m = depth_of(model, photo, focal_px)
    units = np.where(depth_m < 256, np.nan_to_num(depth_m) * 256, 0)
    cv2.imwrite(str(out), np.rint(units).astype(np.uint16))
    print(f"{out}: half of the picture within {np.nanmedian(depth_m):.1f} m")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--focal-px", type=float, required=True)
    parser.add_argument("--out", type=Path, default=Path("depth.png"))
    main(**vars(parser.parse_args()))
