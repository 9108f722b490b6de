"""Depth of one photo.

python examples/photo.py photo.jpg                                    the general network that ships
python examples/photo.py photo.jpg --weights runs/mine/weights --focal-px 1450
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import stereodistill as sd


def main(photo: Path, weights: str, focal_px: float | None, out: Path) -> sd.DepthMap:
    """Write depth, a picture of it and coloured points; says how far the scene is."""
    mono = sd.from_pretrained(weights)
    depth = mono.predict(photo, focal_px=focal_px)
    for name in ("depth.png", "depth.jpg", "points.ply"):
        depth.save(out / name)
    nearest, middle = np.nanpercentile(depth.depth_m, [1, 50])
    print(f"{photo}: nearest {nearest:.1f} m, half of the picture within {middle:.1f} m; see {out}")
    return depth


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--weights", default="lite0_mono")
    parser.add_argument("--focal-px", type=float)
    parser.add_argument("--out", type=Path, default=Path("out"))
    main(**vars(parser.parse_args()))
