"""Reading a study, and refusing one that does not hold together before hours are spent on it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from stereodistill.config import read_yaml
from stereodistill.engine.recipe import JointRecipe, Recipe
from stereodistill.engine.start import STEREO_WEIGHTS
from stereodistill.errors import UserError
from stereodistill.evaluation import find_protocol
from stereodistill.evaluation.metrics import DEPTH_METRICS, STEREO_METRICS
from stereodistill.study.plan import Output, Stage, Study
from stereodistill.weights import catalogue


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
    for name, stage in study.stages.items():
        _check_stage(study, stage, f"{path}: stage {name!r}")
        _refuse_circle(study, name, (), f"{path}: stage {name!r}")
    for name, stage in study.stages.items():
        _check_kinds(study, stage, f"{path}: stage {name!r}")
    metrics = _metrics(study, path)
    for claim in study.claims:
        for name in (claim.better, claim.worse):
            study.row(name)
        if claim.metric not in metrics:
            raise UserError(f"{path}: protocol {study.protocol} has no {claim.metric!r}: {', '.join(metrics)}")
    for row in study.rows:
        where = f"{path}: row {row.name!r}"
        _check_reference(study, row.weights, where)
        output = study.output(row.weights)
        if output and _kind(study, output, where) == "labels":
            raise UserError(f"{where}: stage {output.stage!r} makes labels, no weights to judge")


def _metrics(study: Study, path: Path) -> tuple[str, ...]:
    try:
        protocol = find_protocol(study.protocol)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return DEPTH_METRICS if protocol.kind == "depth" else STEREO_METRICS


def _check_stage(study: Study, stage: Stage, where: str) -> None:
    if (stage.recipe is None) == (stage.teacher is None):
        raise UserError(f"{where}: give exactly one of recipe (it trains) and teacher (it labels)")
    if stage.data not in study.data:
        raise UserError(f"{where}: no data {stage.data!r}; named are {', '.join(study.data)}")
    if stage.teacher is not None:
        _check_reference(study, stage.teacher, where)
    for other in (stage.start, stage.labels):
        if other is not None and study.output(other) is None:
            raise UserError(f"{where}: no stage {other!r}; stages are {', '.join(study.stages)}")
    labels = study.output(stage.labels)
    if labels and labels.folder:
        raise UserError(f"{where}: {stage.labels!r} is no labelling stage")


def _check_reference(study: Study, reference: str, where: str) -> None:
    """A stage, an output of one, or what can be weights or a teacher: a misspelt stage is told now, not hours later."""
    if study.output(reference):
        return
    stage, _, folder = reference.partition("/")
    if stage in study.stages:
        raise UserError(f"{where}: stage {stage!r} leaves no {folder!r}; a joint one leaves {STEREO_WEIGHTS}")
    # Folders and names of the hub have a slash; whether they are there is seen when they are read.
    if not folder and reference not in ("sgbm", *catalogue()) and not Path(reference).exists():
        raise UserError(
            f"{where}: {reference!r} is no stage, no shipped weights, no teacher and no file; "
            f"stages are {', '.join(study.stages)}"
        )


def _check_kinds(study: Study, stage: Stage, where: str) -> None:
    """A stereo network labels; a network starts from its own kind, a joint pair of networks from either."""
    taught_by = study.output(stage.teacher)
    if taught_by and _kind(study, taught_by, where) != "stereo":
        raise UserError(f"{where}: teacher {stage.teacher!r} is no stereo network")
    if not stage.recipe:
        return
    recipe = _settings(stage, where)
    start = study.output(stage.start)
    if start and not isinstance(recipe, JointRecipe) and _kind(study, start, where) != recipe.trains:
        raise UserError(f"{where}: trains a {recipe.trains} network, its start {stage.start!r} is none")


def _kind(study: Study, output: Output, where: str) -> str:
    """`mono`, `stereo`, or `labels`."""
    if not output.folder:
        return "labels"
    recipe = _settings(study.stages[output.stage], where)
    if not isinstance(recipe, JointRecipe):
        if output.folder == STEREO_WEIGHTS:
            raise UserError(f"{where}: stage {output.stage!r} is not joint: it leaves no {STEREO_WEIGHTS}")
        return recipe.trains
    return "stereo" if output.folder == STEREO_WEIGHTS else "mono"


def _settings(stage: Stage, where: str) -> Recipe:
    try:
        return stage.settings()
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def _refuse_circle(study: Study, name: str, above: tuple[str, ...], where: str) -> None:
    if name in above:
        raise UserError(f"{where}: goes in a circle: {' <- '.join((*above, name))}")
    stage = study.stages[name]
    for other in map(study.output, (stage.start, stage.labels, stage.teacher)):
        if other:
            _refuse_circle(study, other.stage, (*above, name), where)
