"""What a study says: its data, the stages that make weights or labels, the rows that are judged, the claims."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveInt

from stereodistill.config import Config, read_yaml
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


class Stage(Config):
    """One step of a chain: training (`recipe`) or labelling (`teacher`)."""

    recipe: str | None = None
    teacher: str | None = None
    """A stage of this study, or what `label --teacher` understands."""
    data: str
    """A name under `data`."""
    start: str | None = None
    """The stage whose weights the training starts from."""
    labels: str | None = None
    """The labelling stage that a student learns from."""
    set: dict[str, Any] = {}
    """Changes of the recipe, `loop.steps: 300`."""


class StudyRow(Config):
    """One line of the table."""

    name: str
    weights: str
    """A stage, or what `evaluate --weights` understands."""
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
        return self.seeds if row.name in compared and row.weights in self.stages else self.seeds[:1]


def load_study(name_or_path: str) -> Study:
    """A shipped study by name, or a YAML file; every reference in it is checked."""
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = _folder() / f"{name_or_path}.yaml"
    if not path.is_file():
        raise UserError(f"no study {name_or_path!r}: give a YAML file or one of {', '.join(study_names())}")
    study = Study.parse(read_yaml(path), str(path))
    _check(study, path)
    return study


def study_names() -> list[str]:
    """Names of the studies that ship with the package."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def _folder() -> Path:
    return Path(str(files("stereodistill") / "studies"))


def _check(study: Study, path: Path) -> None:
    for name in (study.judge, study.camera):
        if name is not None and name not in study.data:
            raise UserError(f"{path}: no data {name!r}; named are {', '.join(study.data)}")
    for claim in study.claims:
        for name in (claim.better, claim.worse):
            study.row(name)
    for name, stage in study.stages.items():
        where = f"{path}: stage {name!r}"
        if (stage.recipe is None) == (stage.teacher is None):
            raise UserError(f"{where}: give exactly one of recipe (it trains) and teacher (it labels)")
        if stage.data not in study.data:
            raise UserError(f"{where}: no data {stage.data!r}; named are {', '.join(study.data)}")
        for other in (stage.start, stage.labels):
            if other is not None and other not in study.stages:
                raise UserError(f"{where}: no stage {other!r}; stages are {', '.join(study.stages)}")
        if stage.labels is not None and study.stages[stage.labels].teacher is None:
            raise UserError(f"{where}: {stage.labels!r} is no labelling stage")
        _refuse_circle(study, name, (), where)


def _refuse_circle(study: Study, name: str, above: tuple[str, ...], where: str) -> None:
    if name in above:
        raise UserError(f"{where}: goes in a circle: {' <- '.join((*above, name))}")
    stage = study.stages[name]
    for other in (stage.start, stage.labels, stage.teacher):
        if other in study.stages:
            _refuse_circle(study, other, (*above, name), where)
