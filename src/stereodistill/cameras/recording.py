"""The rig doctor's word on a recording of raw cameras, which is not a folder of pairs at all."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np

from stereodistill.cameras.matches import MIN_MATCHES, match_views
from stereodistill.cameras.sources import SourceOptions, is_recording, open_source
from stereodistill.data.check.findings import CheckReport, finding
from stereodistill.data.check.geometry import raw_remedy

_NUM_LOOKED_AT = 5


def check_recording(path: Path) -> CheckReport | None:
    """Says that `path` is raw and how far its rows are off; None when it is no recording.

    Raises:
        UserError: a recording that cannot be read.
    """
    if not is_recording(path):
        return None
    footage = open_source((path,), SourceOptions())
    first = [raw.load() for raw in islice(footage.pairs(lambda *_: True), _NUM_LOOKED_AT) if raw is not None]
    found = [matches for matches in (match_views(*pictures) for pictures in first) if len(matches) >= MIN_MATCHES]
    message = f"raw: not rectified: a recording ({footage.title}), not pairs"
    if found:
        rows_px = float(np.median(np.abs(np.concatenate([matches.rows_px for matches in found]))))
        message += f"; the rows of its views are off by {rows_px:.1f} px (median of {len(found)} pairs)"
    return CheckReport(
        findings=[finding("raw_recording", "error", message, raw_remedy(str(path)), ())],
        num_pairs=footage.num_pairs or len(first),
        num_readable=len(first),
        num_measured=len(found),
    )
