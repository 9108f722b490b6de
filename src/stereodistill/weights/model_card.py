"""The licence that a model card states, and whether it forbids commercial use."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import yaml

UNKNOWN = "unknown"
"""Of a source without a card, or whose card states none."""
_FORBIDS = re.compile(r"(?i)(^|[-_ ])(nc|non-?commercial|research|amlr|academic)([-_ ]|$)")
"""In a licence's name: cc-by-nc-4.0, apple-amlr (Apple's Machine Learning Research licence) and the like."""


class LicenceWarning(UserWarning):
    """What is trained from a model may not be used as freely as this package."""


def licence_of(card: Path) -> str:
    """The licence in the head of a model card (`README.md`), by its own name where the card calls it `other`."""
    try:
        text = card.read_text(encoding="utf-8", errors="replace")
        head = re.match(r"\ufeff?---\s*\n(.*?)\n---", text, flags=re.DOTALL)
        values: Any = yaml.safe_load(head.group(1)) if head else {}
    except (OSError, yaml.YAMLError):
        values = {}
    values = values if isinstance(values, dict) else {}
    found = values.get("license") or UNKNOWN
    found = ", ".join(map(str, found)) if isinstance(found, list) else str(found)
    return str(values.get("license_name") or found) if found.lower() in ("other", UNKNOWN) else found


def forbids_commercial_use(licence: str) -> bool:
    """True for the licences that are known to; an unknown licence is not known to."""
    return bool(_FORBIDS.search(licence))


def warn_if_not_commercial(name: str, licence: str) -> None:
    """Say what comes with training from `name`: once, before any of it."""
    if forbids_commercial_use(licence):
        text = f"its licence {licence} forbids commercial use; what is trained from it carries that licence"
    elif licence == UNKNOWN:
        text = "no licence is stated in its README.md; ask its authors before using what is trained from it"
    else:
        return
    warnings.warn(f"{name}: {text}", LicenceWarning, stacklevel=3)
