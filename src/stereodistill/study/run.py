"""Runs a study: every stage once, in a folder named for all that it depends on, so that finished ones are found."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from stereodistill.data import open_dataset
from stereodistill.engine.recipe import JointRecipe
from stereodistill.engine.stages import load_recipe
from stereodistill.errors import UserError
from stereodistill.evaluation import evaluate
from stereodistill.fitting.judge import typical_rig
from stereodistill.fitting.show import say, train_shown
from stereodistill.io.files import read_json, write_bytes
from stereodistill.labels.make import label
from stereodistill.study.pace import Job, Pace
from stereodistill.study.plan import Study, StudyRow, World
from stereodistill.study.worlds import render_world

Results = dict[str, dict[int, dict[str, Any]]]
"""Row -> seed -> what `evaluate` returns."""
DONE = "done.json"
"""In a stage's folder once it is finished."""


class Runner:
    """Makes what a row needs.

    Args:
        out: the study's folder: `data/`, `stages/`, `results/`.
        roots: data set (`kitti_raw`), or a name under the study's `data`, -> root folder on this machine.
        changes: overrides for every training stage (`loop.steps=2` for a trial), or for those whose name a pattern
            matches (`mono_*:optimizer.lr=1e-5`).
    """

    def __init__(
        self,
        study: Study,
        out: str | Path,
        *,
        roots: Mapping[str, str] | None = None,
        changes: Sequence[str] = (),
        device: str = "auto",
        progress: bool = True,
    ):
        self.study, self.out, self.roots = study, Path(out), dict(roots or {})
        self.changes, self.device, self.progress = tuple(changes), device, progress
        sets = {spec.partition(":")[0] for spec in study.data.values() if isinstance(spec, str)}
        unknown = set(self.roots) - sets - {name for name, spec in study.data.items() if isinstance(spec, str)}
        if unknown:
            known = ", ".join(sorted(sets)) or "none: it renders its own"
            raise UserError(f"--data names {', '.join(sorted(unknown))}; the study's data sets are {known}")
        for change in self.changes:
            pattern = _pattern(change)
            if pattern and not any(fnmatchcase(name, pattern) for name in study.stages):
                raise UserError(f"--set {change}: no stage is called {pattern}; stages are {', '.join(study.stages)}")
        self._prints: dict[tuple[str, int], str] = {}
        self._sources: dict[str, str] = {}
        self._pace = Pace([], {})

    def results(self, rows: Sequence[StudyRow]) -> Results:
        """Make and judge the rows, each with its seeds."""
        jobs = self.jobs(rows)
        self._open_data(jobs)
        took = {job: s for job in jobs if (s := _elapsed_s(self._folder(*job))) is not None}
        self._pace = Pace(jobs, took)
        return {row.name: {seed: self.judge(row, seed) for seed in self.study.seeds_of(row)} for row in rows}

    def _open_data(self, jobs: Sequence[Job]) -> None:
        """Find or render all that is needed: what is absent is told before hours are spent."""
        names = [self.study.judge, *([self.study.camera] if self.study.camera else [])]
        names += [self.study.stages[name].data for name, _ in jobs]
        for name in sorted(set(names), key=lambda name: isinstance(self.study.data[name], World)):
            self.source(name)

    def jobs(self, rows: Sequence[StudyRow]) -> list[Job]:
        """Every stage that the rows need, with its seed, each once, in the order in which they are made."""
        found: dict[Job, None] = {}

        def visit(name: str, seed: int) -> None:
            for other in self.study.before(name):
                visit(other, seed)
            found[name, self.study.seed_of(name, seed)] = None

        for row in rows:
            if output := self.study.output(row.weights):
                for seed in self.study.seeds_of(row):
                    visit(output.stage, seed)
        return list(found)

    def judge(self, row: StudyRow, seed: int) -> dict[str, Any]:
        """The row's numbers under the study's protocol; remembered in `results/`."""
        weights = self.found(row.weights, seed)
        data = self.source(self.study.judge)
        asked = _fingerprint([weights, data, self.study.protocol, self._print_of_world(self.study.judge)])
        path = self.out / "results" / f"{asked}.json"
        if path.is_file():
            return read_json(path, "delete it, it is made again")
        say(f"judging {row.name} (seed {seed})", self.progress)
        result = evaluate(
            data=data, protocol=self.study.protocol, weights=weights, device=self.device, progress=self.progress
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, json.dumps({**result, "row": row.name, "seed": seed}, indent=1).encode())
        return result

    def found(self, reference: str, seed: int) -> str:
        """Where a stage's weights or labels are, made if need be; what is no stage is returned as it is."""
        output = self.study.output(reference)
        return str(self.make(output.stage, seed) / output.folder) if output else reference

    def make(self, name: str, seed: int) -> Path:
        """The stage's folder; finished stages are found again, stopped ones go on."""
        stage, seed = self.study.stages[name], self.study.seed_of(name, seed)
        folder = self._folder(name, seed)
        if _elapsed_s(folder) is not None:
            return folder
        # What comes before is made first, so that the time is this stage's own.
        data = self.source(stage.data)
        start, labels, teacher = (o and self.found(o, seed) for o in (stage.start, stage.labels, stage.teacher))
        start_s, doing = time.monotonic(), self._pace.describe((name, seed))
        if stage.recipe:
            links = {"data.path": data, "model.weights": start, "data.labels": labels}
            self._train(name, seed, folder, links, doing)
        else:
            assert teacher
            say(f"{doing}: labelling {stage.data}", self.progress)
            label(data, teacher, folder, device=self.device, progress=self.progress)
        elapsed_s = round(time.monotonic() - start_s, 1)
        write_bytes(folder / DONE, json.dumps({"stage": name, "seed": seed, "elapsed_s": elapsed_s}).encode())
        self._pace.finished((name, seed), elapsed_s)
        return folder

    def _folder(self, name: str, seed: int) -> Path:
        return self.out / "stages" / f"{name}-{seed}-{self.fingerprint(name, seed)}"

    def fingerprint(self, name: str, seed: int) -> str:
        """Of everything that the stage depends on: its settings, its data, the stages before it."""
        seed = self.study.seed_of(name, seed)
        if (name, seed) not in self._prints:
            stage = self.study.stages[name]
            before = [self._print_of(other, seed) for other in (stage.start, stage.labels, stage.teacher)]
            plan = [stage.model_dump(mode="json"), self._print_of_world(stage.data), before, seed]
            if stage.recipe:
                plan.append(stage.settings(self._changes_of(name)).hash)
            self._prints[name, seed] = _fingerprint(plan)
        return self._prints[name, seed]

    def _print_of(self, reference: str | None, seed: int) -> str | None:
        output = self.study.output(reference)
        return f"{self.fingerprint(output.stage, seed)}/{output.folder}" if output else reference

    def source(self, name: str) -> str:
        """What `open_dataset` understands, for a name under the study's `data`; a world is rendered first."""
        if name not in self._sources:
            spec = self.study.data[name]
            if isinstance(spec, World):
                folder = self.out / "data" / f"{name}-{_fingerprint(spec.model_dump(mode='json'))}"
                self._sources[name] = str(render_world(spec, folder, self.progress))
            else:
                root = self.roots.get(name, self.roots.get(spec.partition(":")[0]))
                self._sources[name] = f"{spec}={root}" if root else spec
                open_dataset(self._sources[name])
        return self._sources[name]

    def _train(self, name: str, seed: int, folder: Path, links: Mapping[str, str | None], doing: str) -> None:
        stage = self.study.stages[name]
        assert stage.recipe
        set_links = [f"{key}={json.dumps(value)}" for key, value in links.items() if value]
        recipe = load_recipe(stage.recipe, [*stage.overrides, *set_links, f"loop.seed={seed}", *self._changes_of(name)])
        header = {}
        if self.study.camera and (recipe.trains == "mono" or isinstance(recipe, JointRecipe)):
            header = {"rig": typical_rig(open_dataset(self.source(self.study.camera)))}
        train_shown(doing, recipe, folder, shown=self.progress, resume=True, device=self.device, header=header)

    def _changes_of(self, name: str) -> list[str]:
        """The overrides that are meant for the stage: `PATTERN:key=value`, or `key=value` for all."""
        split = [(_pattern(change), change) for change in self.changes]
        return [c.removeprefix(f"{pattern}:") for pattern, c in split if fnmatchcase(name, pattern or "*")]

    def _print_of_world(self, name: str) -> Any:
        spec = self.study.data[name]
        return spec.model_dump(mode="json") if isinstance(spec, World) else spec


def _pattern(change: str) -> str:
    """Of `PATTERN:key=value`; empty when there is none."""
    return change.partition("=")[0].rpartition(":")[0]


def _fingerprint(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:10]


def _elapsed_s(folder: Path) -> float | None:
    """How long the stage in `folder` took; None when it is not finished."""
    done = folder / DONE
    if not done.is_file():
        return None
    elapsed_s = read_json(done, "delete it, the stage goes on from its last step").get("elapsed_s")
    if not isinstance(elapsed_s, int | float):
        raise UserError(f"{done}: expected elapsed_s; delete it, the stage goes on from its last step")
    return elapsed_s
