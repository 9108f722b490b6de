"""Calibrations of raw cameras in the dialects of the field, one reader each: a new one is a file and a line here."""

from __future__ import annotations

from pathlib import Path

from stereodistill.cameras.dialects import euroc, opencv
from stereodistill.cameras.dialects.found import checked
from stereodistill.cameras.dialects.source import sources
from stereodistill.cameras.model import StereoCalibration
from stereodistill.errors import UserError
from stereodistill.io.files import shown

DIALECTS = (euroc, opencv)
"""Modules with `EXPECTS`, a line for error messages, and `read(source)`, the `Found` rig or None: "not mine"."""


def read_calibration(
    path: str | Path, *, unit: str | None = None, size: tuple[int, int] | None = None
) -> StereoCalibration:
    """The calibration of a raw rig; the content decides about the dialect.

    Args:
        path: a file, a folder with one calibration in it, or `LEFT,RIGHT` for dialects with a file for each camera
            (either of the two is enough where their names tell the other).
        unit: of the baseline, m, cm or mm; None = as the file says, or by magnitude, with a note.
        size: (height, width) of the raw pictures; a calibration of another resolution is scaled, with a note.

    Raises:
        UserError: nothing that is understood, numbers that no pair of cameras has, another aspect.
    """
    for group in sources(path):
        for source in group:
            for dialect in DIALECTS:
                found = dialect.read(source)
                if found is not None:
                    return checked(source.shown, found, unit=unit, size=size)
    expected = "; ".join(dialect.EXPECTS for dialect in DIALECTS)
    raise UserError(f"{shown(path)}: no calibration of raw cameras that is understood; expected one of: {expected}")
