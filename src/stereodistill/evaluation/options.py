"""Options of a protocol, as text: `eigen:crop=eigen,scaling=median`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from stereodistill.errors import UserError
from stereodistill.evaluation.protocols import CROPS, FIELDS, FLAGS, PROTOCOLS, Protocol

FORMS = {
    "crop": "crop=garg|eigen|none",
    "cap": "cap=METRES",
    "far": "far=dropped|kept",
    "scaling": "scaling=median|none",
    "holes": "holes=fill|near",
    "maxdisp": "maxdisp=PIXELS|none",
    "region": "region=all|fg|bg",
    "flip": "flip[=edges]",
    "grey": "grey",
    "limit": "limit=N",
}
"""Option -> how it is written."""
_CHOICES = {
    "crop": (*CROPS, "none"),
    "far": ("dropped", "kept"),
    "scaling": ("median", "none"),
    "holes": ("fill", "near"),
    "region": ("all", "fg", "bg"),
    "flip": ("edges",),
}


def find_protocol(
    text: str,
    *,
    crop: str | None = None,
    max_depth_m: float | None = None,
    grey: bool = False,
    limit: int | None = None,
) -> Protocol:
    """The protocol called `text`, which may be a full name; keyword options come on top of those in the name.

    Raises:
        UserError: unknown protocol, unknown option, an option that this protocol does not have, a bad value.
    """
    name, _, options = text.partition(":")
    protocol = PROTOCOLS.get(name)
    if protocol is None:
        raise UserError(f"protocol {name!r} does not exist: choose one of {', '.join(PROTOCOLS)}")
    given = [*filter(None, options.split(","))]
    given += [f"crop={crop}"] if crop is not None else []
    given += [f"cap={max_depth_m}"] if max_depth_m is not None else []
    given += [f"limit={limit}"] if limit is not None else []
    given += ["grey"] if grey else []
    for option in given:
        protocol = _with_option(protocol, option)
    return protocol


def _with_option(protocol: Protocol, option: str) -> Protocol:
    key, equals, value = option.partition("=")
    if key not in FIELDS or (key not in FLAGS and not equals) or (equals and key in FLAGS and key not in _CHOICES):
        raise UserError(
            f"protocol option {option!r} is unknown: {', '.join(FORMS[known] for known in protocol.options)} exist"
        )
    if key not in protocol.options:
        other = "depth" if protocol.kind == "stereo" else "stereo"
        scored = "disparity" if protocol.kind == "stereo" else "depth"
        raise UserError(f"protocol {protocol.name!r} scores {scored} and has no {key}: leave it out or take {other!r}")
    return replace(protocol, **{FIELDS[key]: _parsed(key, value, protocol) if equals else True})


def _parsed(key: str, value: str, protocol: Protocol) -> Any:
    if key in _CHOICES:
        if value not in _CHOICES[key]:
            raise UserError(f"{key} {value!r} is unknown: choose one of {', '.join(_CHOICES[key])}")
        return None if value == "none" else value
    return _NUMBERS[key](value, protocol)


def _limit(text: str, protocol: Protocol) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10) or int(text) == 0:
        raise UserError(f"limit {text!r}: expected a number of pairs, at least 1")
    return int(text)


def _cap(text: str, protocol: Protocol) -> float:
    cap_m = _float(text)
    if not protocol.min_depth_m < cap_m < float("inf"):
        raise UserError(f"depth cap {text!r}: expected metres, more than {protocol.min_depth_m:g}")
    return cap_m


def _max_disparity(text: str, protocol: Protocol) -> float | None:
    if text == "none":
        return None
    pixels = _float(text)
    if not 0 < pixels < float("inf"):
        raise UserError(f"maxdisp {text!r}: expected pixels, more than 0, or none")
    return pixels


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


_NUMBERS: dict[str, Callable[[str, Protocol], Any]] = {"limit": _limit, "cap": _cap, "maxdisp": _max_disparity}
