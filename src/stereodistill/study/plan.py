"""What a study says: its data, the stages that make weights or labels, the rows that are judged, the claims."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, PositiveInt

from stereodistill.config import Config
from stereodistill.engine.recipe import Recipe
from stereodistill.engine.stages import load_recipe
from stereodistill.engine.start import STEREO_WEIGHTS
from stereodistill.errors import UserError

Size = tuple[PositiveInt, PositiveInt]


class World(Config):
    """Procedural pairs, rendered once into the study's folder."""

    kind: Literal["flying", "street", "room"]
    num: PositiveInt
    first: int = Field(default=0, ge=0)
    """Number of the first scene: two parts of one world share nothing when their numbers do not overlap."""
    size: Size = (192, 640)
    seed: int = 0
    options: dict[str, Any] = {}
    """Fields of the world's configuration."""
    known_share: float = Field(default=1.0, gt=0, le=1)
    """Share of the pixels whose disparity is told: sparse labels, as LiDAR's."""


class Stage(Config):
    """One step of a chain: training (`recipe`) or labelling (`teacher`)."""

    recipe: str | None = None
    teacher: str | None = None
    """A stage of this study, or what `label --teacher` understands."""
    data: str
    """A name under `data`."""
    start: str | None = None
    """The stage whose weights the training starts from; `STAGE/stereo_weights`: the stereo network of a joint one."""
    labels: str | None = None
    """The labelling stage that a student learns from."""
    set: dict[str, Any] = {}
    """Changes of the recipe, `loop.steps: 300`."""

    @property
    def overrides(self) -> list[str]:
        """`set` as a recipe's overrides."""
        return [f"{key}={json.dumps(value)}" for key, value in self.set.items()]

    def settings(self, changes: Sequence[str] = ()) -> Recipe:
        """The recipe of a training stage, with what differs from machine to machine held constant."""
        assert self.recipe
        links = ["data.path=DATA", "loop.seed=0"]
        links += ["model.weights=START"] if self.start else []
        links += ["data.labels=LABELS"] if self.labels else []
        return load_recipe(self.recipe, [*self.overrides, *links, *changes])


@dataclass(frozen=True, kw_only=True)
class Output:
    """What a stage leaves: weights, labels, or the second weights of a stage that trains two networks."""

    stage: str
    folder: str = ""
    """Within the stage's folder; empty for the folder itself (labels)."""


class StudyRow(Config):
    """One line of the table."""

    name: str
    weights: str
    """A stage, `STAGE/stereo_weights` of a joint one, or what `evaluate --weights` understands."""
    published: dict[str, float] = {}
    """The paper's numbers, metric -> value."""
    reference: bool = False
    """For orientation (another kind of input, a ceiling): never marked as best."""


class Claim(Config):
    """`worse / better` of a metric where low is good must exceed `ratio`."""

    text: str
    better: str
    worse: str
    metric: str = "abs_rel"
    ratio: float = Field(default=1.0, gt=0)


class Study(Config):
    """A table of rows, each the end of a chain of stages.

    Rows that a claim compares are made with each of `seeds`; all others once.
    """

    title: str
    cite: str = ""
    note: str = ""
    data: dict[str, World | str]
    """Name -> a world, or a data set as `NAME:SPLIT`, whose root is given by `--data` or `STEREODISTILL_DATA`."""
    judge: str
    """The data that the rows are judged on."""
    protocol: str
    camera: str | None = None
    """The data whose cameras a one-camera network is made for; default: none, metres come from elsewhere."""
    published_as: str = "published"
    """Where the published numbers are from."""
    stages: dict[str, Stage]
    rows: tuple[StudyRow, ...]
    claims: tuple[Claim, ...] = ()
    seeds: tuple[int, ...] = (0,)

    def row(self, name: str) -> StudyRow:
        """The row of that name."""
        found = next((row for row in self.rows if row.name == name), None)
        if found is None:
            raise UserError(f"no row {name!r}; the rows are {', '.join(row.name for row in self.rows)}")
        return found

    def seeds_of(self, row: StudyRow) -> tuple[int, ...]:
        """The seeds with which a row is made."""
        compared = {name for claim in self.claims for name in (claim.better, claim.worse)}
        return self.seeds if row.name in compared and self.output(row.weights) else self.seeds[:1]

    def output(self, reference: str | None) -> Output | None:
        """What `STAGE` or `STAGE/stereo_weights` refers to; None for what is no stage of this study."""
        name, _, folder = (reference or "").partition("/")
        stage = self.stages.get(name)
        if stage is None or folder not in ("", STEREO_WEIGHTS):
            return None
        return Output(stage=name, folder=folder or ("weights" if stage.recipe else ""))

    def before(self, name: str) -> list[str]:
        """The stages that a stage needs first."""
        stage = self.stages[name]
        outputs = map(self.output, (stage.start, stage.labels, stage.teacher))
        return [output.stage for output in outputs if output]

    def seed_of(self, name: str, seed: int) -> int:
        """The seed of a stage in a row of that seed: labels of a teacher from elsewhere do not depend on it."""
        return seed if self.stages[name].recipe or self.before(name) else 0


def row_names(text: str) -> list[str]:
    """The names in `A,B`; a comma within brackets belongs to the name (`StereoUnsupFt->Mono pt (C,K)`)."""
    return [name.strip() for name in re.split(r",(?![^(]*\))", text) if name.strip()]
