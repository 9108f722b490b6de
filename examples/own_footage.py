"""From pairs to a mono network in Python: what `stereodistill check`, `fit` and `predict` do.

python examples/own_footage.py pairs --focal-px 721.5 --baseline-m 0.54 --out runs/mine
"""

from __future__ import annotations

import argparse
from pathlib import Path

import stereodistill as sd


def main(
    pairs: Path, focal_px: float, baseline_m: float, out: Path, epochs: float | None, student: str, teacher: str
) -> sd.DepthMap:
    """Check the pairs, fit a network to them, and look at the first left view with it."""
    data = sd.open_dataset(pairs)
    first = data.load(0)
    rig = sd.Rig(focal_px=focal_px, baseline_m=baseline_m, width=first.size[1])

    report = sd.check(pairs, rig=rig)
    for severity, code, where, message, remedy in report.table():
        print(f"{severity}: {code} ({where}): {message} -> {remedy}")
    if not report.ok:
        raise SystemExit("these pairs must not be trained on")

    summary = sd.fit(pairs, out, rig=rig, teacher=teacher, student=student, epochs=epochs, progress=True)
    print(f"report: {out / 'report.html'}, ONNX: {out / summary['onnx']}")

    mono = sd.from_pretrained(out / "weights")
    depth = mono.predict(first.left.image, focal_px=focal_px)
    depth.save(out / "first.jpg")
    return depth


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--focal-px", type=float, required=True)
    parser.add_argument("--baseline-m", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--student", default="lite0_mono")
    parser.add_argument("--teacher", default="lite_stereo")
    main(**vars(parser.parse_args()))
