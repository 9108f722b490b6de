"""Disparity of a rectified pair, and metres where the rig is known.

python examples/pair.py left.png right.png
python examples/pair.py left.png right.png --focal-px 721.5 --baseline-m 0.54
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2

import stereodistill as sd


def main(
    left: Path, right: Path, teacher: str, focal_px: float | None, baseline_m: float | None, out: Path
) -> sd.DepthMap:
    """Write disparity and a picture of it; with a rig also depth and coloured points."""
    stereo = sd.from_pretrained(teacher)
    rig = None
    if focal_px and baseline_m:
        # The focal length belongs to a width: here that of the pictures.
        rig = sd.Rig(focal_px=focal_px, baseline_m=baseline_m, width=cv2.imread(str(left)).shape[1])
    depth = stereo.predict(left, right, rig)
    for name in ("disparity.pfm", "disparity.jpg", *(("depth.png", "points.ply") if rig else ())):
        depth.save(out / name)
    assert depth.confidence is not None
    print(
        f"disparity up to {depth.disparity_px.max():.1f} px, {100 * (depth.confidence > 0.5).mean():.0f} % of it sure"
    )
    return depth


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("left", type=Path)
    parser.add_argument("right", type=Path)
    parser.add_argument("--teacher", default="lite_stereo")
    parser.add_argument("--focal-px", type=float)
    parser.add_argument("--baseline-m", type=float)
    parser.add_argument("--out", type=Path, default=Path("out"))
    main(**vars(parser.parse_args()))
