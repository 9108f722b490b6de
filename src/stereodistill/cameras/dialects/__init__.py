"""Calibrations of raw cameras in the dialects of the field, one reader each: a new one is a file and a line here."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stereodistill.cameras.dialects import depthai, euroc, kalibr, kitti, opencv, ros, zed
from stereodistill.cameras.dialects.found import Found, checked
from stereodistill.cameras.dialects.source import Source, sources
from stereodistill.cameras.model import StereoCalibration
from stereodistill.errors import UserError
from stereodistill.io.calibration import read_rig
from stereodistill.io.files import shown

DIALECTS = (kitti, kalibr, euroc, ros, zed, depthai, opencv)
"""Modules with `EXPECTS`, a line for error messages, and `read(source)`, the `Found` rig or None: "not mine"."""


def read_calibration(
    path: str | Path,
    *,
    unit: str | None = None,
    size: tuple[int, int] | None = None,
    cameras: tuple[int, int] | None = None,
) -> StereoCalibration:
    """The calibration of a raw rig; the content decides about the dialect.

    Args:
        path: a file, a folder with one calibration in it, or `LEFT,RIGHT` for dialects with a file for each camera
            (either of the two is enough where their names tell the other).
        unit: of the baseline, m, cm or mm; None = as the file says, or by magnitude, with a note.
        size: (height, width) of the raw pictures; a calibration of another resolution is scaled, with a note.
        cameras: (left, right), where a file holds more than two: KITTI's numbers ((0, 1) grey, (2, 3) colour, the
            default), Kalibr's `camN`, OAK's sockets.

    Raises:
        UserError: nothing that is understood, numbers that no pair of cameras has, another aspect.
    """
    for group in sources(path, size=size, cameras=cameras):
        rigs = [(source, found) for source in group if (found := _read(source)) is not None]
        others = [source.path.name for source, found in rigs if not _same(found, rigs[0][1])]
        if others:
            names = ", ".join([rigs[0][0].path.name, *others])
            raise UserError(f"{shown(path)} holds calibrations of several rigs ({names}): give the file that is meant")
        if rigs:
            source, found = rigs[0]
            return checked(source.shown, found, unit=unit, size=size)
    _refuse_rectified(path)
    expected = "; ".join(dialect.EXPECTS for dialect in DIALECTS)
    raise UserError(f"{shown(path)}: no calibration of raw cameras that is understood; expected one of: {expected}")


def _read(source: Source) -> Found | None:
    for dialect in DIALECTS:
        found = dialect.read(source)
        if found is not None:
            return found
    return None


def _same(a: Found, b: Found) -> bool:
    """Each file of a pair leads to the same rig, and so does a calibration saved twice."""
    return np.allclose(a.rotation, b.rotation) and np.allclose(a.translation, b.translation)


def _refuse_rectified(path: str | Path) -> None:
    try:
        rig = read_rig(path, width=1)
    except UserError:
        return
    raise UserError(
        f"{shown(path)} describes pairs that are rectified (focal length {float(rig.focal_px):.6g} px): nothing is "
        "left to rectify; use them as they are"
    )
