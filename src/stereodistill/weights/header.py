"""The header of a set of weights: what the tensors are, what they were trained for, how good they are."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from stereodistill.config import Config
from stereodistill.errors import UserError
from stereodistill.models import model_class
from stereodistill.types import Rig

FORMAT = 1
MAX_SIDE_PX = 1 << 14


class WeightsHeader(Config):
    """What a set of weights is.  Sizes are (height, width); `rig` holds the fields of a `Rig` or None (no metres)."""

    format: int = FORMAT
    architecture: str
    kind: Literal["stereo", "mono"]
    options: dict[str, Any] = {}
    input_size: tuple[int, int] | None = None
    """Size the photo is resized to before a mono network; None = see `input_pixels`."""
    input_pixels: int | None = Field(default=None, ge=64 * 64, le=MAX_SIDE_PX**2)
    """Without `input_size`: the photo is resized to about so many pixels, in its own shape; None = its own size."""
    rig: dict[str, float] | None = None
    recipe: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    licence: str = "Apache-2.0"
    teacher_hash: str | None = None
    version: str = ""
    """Version of the package that wrote the file."""
    notes: str = ""
    rectified: bool = False
    """Learned from pictures that `rectify` made of a raw camera's: a raw photo of it must be undistorted first."""

    @field_validator("input_size")
    @classmethod
    def _positive_size(cls, size: tuple[int, int] | None) -> tuple[int, int] | None:
        if size is not None and not all(0 < side <= MAX_SIDE_PX for side in size):
            raise ValueError(f"height and width must lie in 1 .. {MAX_SIDE_PX}, found {size}")
        return size

    @field_validator("rig")
    @classmethod
    def _metric_rig(cls, rig: dict[str, float] | None) -> dict[str, float] | None:
        needed = {"focal_px", "baseline_m", "width"}
        if rig is not None and not needed <= rig.keys() <= needed | {"doffs_px"}:
            raise ValueError(f"expected {', '.join(sorted(needed))} (and doffs_px), found {', '.join(sorted(rig))}")
        if rig is not None and not all(math.isfinite(rig[key]) and rig[key] > 0 for key in needed):
            raise ValueError("focal_px, baseline_m and width must be positive; an unknown rig is null")
        return rig

    @model_validator(mode="after")
    def _source_keeps_its_licence(self) -> WeightsHeader:
        source = self.options.get("source")
        if isinstance(source, dict) and source.get("licence", self.licence) != self.licence:
            raise ValueError(
                f"trained from {source.get('id')} under {source['licence']}, so its licence is not {self.licence}"
            )
        return self

    def training_rig(self) -> Rig | None:
        """The rig whose metres the network learned; None when unknown."""
        if self.rig is None:
            return None
        fields = {key: float(value) for key, value in self.rig.items() if key != "width"}
        return Rig(**fields, width=int(self.rig["width"]))


def parse_header(values: Any, origin: Path) -> WeightsHeader:
    """Check the JSON values of a header; raises UserError naming the first fault and where it stands."""
    if not isinstance(values, dict):
        raise UserError(f"{origin}: expected a JSON object with the header's fields, found {type(values).__name__}")
    version = values.get("format", FORMAT)
    if not isinstance(version, int) or version > FORMAT:
        raise UserError(
            f"{origin}: format {version!r} is newer than this package reads ({FORMAT}): upgrade stereodistill"
        )
    fields = set(WeightsHeader.model_fields) - {"options"}
    options = {key: value for key, value in values.items() if key not in fields}
    header = WeightsHeader.parse({k: v for k, v in values.items() if k in fields} | {"options": options}, str(origin))
    try:
        kind = model_class(header.architecture).kind
    except UserError as error:
        raise UserError(f"{origin}: {error}") from error
    if kind != header.kind:
        raise UserError(f"{origin}: kind is {header.kind!r}, but {header.architecture} is a {kind} network")
    return header


def header_text(header: WeightsHeader) -> str:
    """The header as JSON, the network's options beside its fields."""
    values = json.loads(header.model_dump_json())  # a NaN among the metrics becomes null
    options = values.pop("options")
    assert not options.keys() & values.keys(), "an option of the network has the name of a header field"
    return json.dumps({**values, **options}, indent=2, allow_nan=False)
