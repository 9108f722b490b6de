"""Our own calibration file: OpenCV's FileStorage with the names of its samples, which every OpenCV program reads."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from stereodistill.cameras.calibrate import Calibrated
from stereodistill.errors import UserError
from stereodistill.io.files import write_bytes

FORMATS = {
    ".yaml": cv2.FILE_STORAGE_FORMAT_YAML, ".yml": cv2.FILE_STORAGE_FORMAT_YAML,
    ".xml": cv2.FILE_STORAGE_FORMAT_XML, ".json": cv2.FILE_STORAGE_FORMAT_JSON,
}  # fmt: skip


def check_name(path: Path) -> None:
    """`UserError` for a name whose suffix is not one of `FORMATS`."""
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"--out {path}: a calibration ends in one of {', '.join(FORMATS)}")


def write_calibration(path: str | Path, result: Calibrated) -> None:
    """Write K1, D1, K2, D2, R, T (metres), and R1, R2, P1, P2, Q of the rectification without empty pixels.

    `read_calibration` reads it as a raw rig; `read_rig`, as what rectified pairs have.  Errors as `atomic_path`.
    """
    path = Path(path)
    check_name(path)
    calibration, views, rig = result.calibration, result.rectification.views, result.rectification.rig
    cx, cy, focal_px = result.rectification.cx_px, result.rectification.cy_px, float(rig.focal_px)
    q = np.array([[1, 0, 0, -cx], [0, 1, 0, -cy], [0, 0, 0, focal_px], [0, 0, 1 / float(rig.baseline_m), 0]])
    storage = cv2.FileStorage("", cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY | FORMATS[path.suffix.lower()])
    height, width = calibration.size
    for name, value in (
        ("image_width", width), ("image_height", height), ("model", calibration.left.model), ("unit", "m"),
        ("K1", calibration.left.matrix), ("D1", calibration.left.distortion.reshape(1, -1)),
        ("K2", calibration.right.matrix), ("D2", calibration.right.distortion.reshape(1, -1)),
        ("R", calibration.rotation), ("T", calibration.translation_m.reshape(3, 1)),
        ("R1", views.rotation_left), ("R2", views.rotation_right), ("P1", views.projection_left),
        ("P2", views.projection_right), ("Q", q), ("board", result.board.name),
        ("square_mm", 1000 * result.board.square_m), ("num_pairs", result.num_pairs),
        ("reprojection_error_px", result.rms_px), ("row_error_px", float(np.median(result.rows_px))),
    ):  # fmt: skip
        storage.write(name, value)
    write_bytes(path, storage.releaseAndGetString().encode())
