"""What the rig doctor says: findings, worst first, for people (`table`) and for programs (`to_json`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]
_ORDER: tuple[Severity, ...] = ("error", "warning", "info")
_SHOWN_NAMES = 3


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong: `code` is stable, `message` says what was found, `remedy` what to do."""

    code: str
    severity: Severity
    message: str
    remedy: str
    pairs: tuple[str, ...] = ()
    """Names of the pairs concerned; empty when it concerns the data set as a whole."""

    @property
    def where(self) -> str:
        """The pairs in a few words."""
        shown = ", ".join(self.pairs[:_SHOWN_NAMES])
        more = len(self.pairs) - _SHOWN_NAMES
        return f"{shown} and {more} more" if more > 0 else shown or "all"


def finding(code: str, severity: Severity, message: str, remedy: str, pairs: Iterable[str] = ()) -> Finding:
    """A `Finding` in one line; `pairs` are the names of the pairs concerned."""
    return Finding(code=code, severity=severity, message=message, remedy=remedy, pairs=tuple(pairs))


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """The verdict on a data set.

    `num_pairs` pairs were looked for, `num_readable` could be read, on `num_measured` the geometry was
    measured; `figures` are the medians over the measured pairs (pixels at full image size, degrees).
    """

    findings: list[Finding]
    num_pairs: int
    num_readable: int
    num_measured: int
    figures: dict[str, float] = field(default_factory=dict)
    split: str | None = None
    """NAME:SPLIT of a data set by name."""
    num_expected: int | None = None
    """How many frames that split names."""
    num_missing: int | None = None
    """How many of them lack a file."""

    @property
    def ok(self) -> bool:
        """False when the data must not be trained on as it is."""
        return all(finding.severity != "error" for finding in self.findings)

    def codes(self, *severities: Severity) -> set[str]:
        """The codes found, of all severities or of the named ones."""
        return {f.code for f in self.findings if not severities or f.severity in severities}

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for `json.dump`."""
        return {
            "ok": self.ok,
            "num_pairs": self.num_pairs,
            "num_readable": self.num_readable,
            "num_measured": self.num_measured,
            "figures": dict(self.figures),
            "split": self.split,
            "num_expected": self.num_expected,
            "num_missing": self.num_missing,
            "findings": [asdict(f) | {"pairs": list(f.pairs)} for f in self.sorted()],
        }

    def table(self) -> list[tuple[str, str, str, str, str]]:
        """Rows (severity, code, pairs, what was found, what to do), worst first; empty when all is well."""
        return [(f.severity, f.code, f.where, f.message, f.remedy) for f in self.sorted()]

    def sorted(self) -> list[Finding]:
        """The findings, worst first."""
        return sorted(self.findings, key=lambda f: _ORDER.index(f.severity))
