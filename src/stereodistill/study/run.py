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
from stereodistill.data.writing import write_pair
from stereodistill.engine.recipe import load_recipe
from stereodistill.errors import UserError
from stereodistill.evaluation import evaluate
from stereodistill.fit.judge import typical_rig
from stereodistill.fit.show import say, train_shown
from stereodistill.io.files import write_bytes
from stereodistill.label import label
from stereodistill.study.plan import Stage, Study, StudyRow, World
from stereodistill.synth import SynthDataset

Results = dict[str, dict[int, dict[str, Any]]]
"""Row -> seed -> what `evaluate` returns."""


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
        self._prints: dict[tuple[str, int], str] = {}
        self._sources: dict[str, str] = {}

    def results(self, rows: Sequence[StudyRow]) -> Results:
        """Make and judge the rows, each with its seeds."""
        return {row.name: {seed: self.judge(row, seed) for seed in self.study.seeds_of(row)} for row in rows}

    def judge(self, row: StudyRow, seed: int) -> dict[str, Any]:
        """The row's numbers under the study's protocol; remembered in `results/`."""
        weights = str(self.make(row.weights, seed)) if row.weights in self.study.stages else row.weights
        data = self.source(self.study.judge)
        asked = _fingerprint([weights, data, self.study.protocol, self._print_of_world(self.study.judge)])
        path = self.out / "results" / f"{asked}.json"
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
        say(f"judging {row.name} (seed {seed})", self.progress)
        result = evaluate(data=data, protocol=self.study.protocol, weights=weights, device=self.device,
                          progress=self.progress)  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, json.dumps({**result, "row": row.name, "seed": seed}, indent=1).encode())
        return result

    def make(self, name: str, seed: int) -> Path:
        """The folder with the stage's weights or labels; finished stages are found again, stopped ones go on."""
        stage = self.study.stages[name]
        folder = self.out / "stages" / f"{name}-{seed}-{self.fingerprint(name, seed)}"
        made = folder / "weights" if stage.recipe else folder
        if (folder / "done.json").is_file():
            return made
        start_s = time.monotonic()
        if stage.recipe:
            self._train(name, stage, seed, folder)
        else:
            say(f"{name} (seed {seed}): labelling {stage.data}", self.progress)
            label(self.source(stage.data), self._maker(stage.teacher, seed), folder,
                  device=self.device, progress=self.progress)  # fmt: skip
        text = json.dumps({"stage": name, "seed": seed, "elapsed_s": round(time.monotonic() - start_s, 1)})
        write_bytes(folder / "done.json", text.encode())
        return made

    def fingerprint(self, name: str, seed: int) -> str:
        """Of everything that the stage depends on: its settings, its data, the stages before it."""
        if (name, seed) not in self._prints:
            stage = self.study.stages[name]
            before = [
                self.fingerprint(other, seed) if other in self.study.stages else other
                for other in (stage.start, stage.labels, stage.teacher)
            ]
            plan = [stage.model_dump(mode="json"), self._print_of_world(stage.data), before, seed]
            if stage.recipe:
                recipe = load_recipe(
                    stage.recipe, [*_overrides(stage), *self._stand_ins(stage), *self._changes_of(name)]
                )
                plan.append(recipe.hash)
            self._prints[name, seed] = _fingerprint(plan)
        return self._prints[name, seed]

    def source(self, name: str) -> str:
        """What `open_dataset` understands, for a name under the study's `data`; a world is rendered first."""
        if name not in self._sources:
            spec = self.study.data[name]
            if isinstance(spec, World):
                self._sources[name] = str(self._rendered(name, spec))
            else:
                root = self.roots.get(name, self.roots.get(spec.partition(":")[0]))
                self._sources[name] = f"{spec}={root}" if root else spec
                open_dataset(self._sources[name])  # what is absent is told before hours are spent
        return self._sources[name]

    def _train(self, name: str, stage: Stage, seed: int, folder: Path) -> None:
        assert stage.recipe
        links = [f"data.path={json.dumps(self.source(stage.data))}"]
        if stage.start:
            links.append(f"model.weights={json.dumps(str(self.make(stage.start, seed)))}")
        if stage.labels:
            links.append(f"data.labels={json.dumps(str(self.make(stage.labels, seed)))}")
        changes = [*_overrides(stage), *links, f"loop.seed={seed}", *self._changes_of(name)]
        recipe = load_recipe(stage.recipe, changes)
        header = {}
        if self.study.camera and getattr(recipe, "trains", "") == "mono":
            header = {"rig": typical_rig(open_dataset(self.source(self.study.camera)))}
        train_shown(f"{name} (seed {seed})", recipe, folder, shown=self.progress, resume=True, device=self.device,
                    header=header)  # fmt: skip

    def _changes_of(self, name: str) -> list[str]:
        """The overrides that are meant for the stage: `PATTERN:key=value`, or `key=value` for all."""
        split = [(change.partition("=")[0].rpartition(":")[0], change) for change in self.changes]
        return [c.removeprefix(f"{pattern}:") for pattern, c in split if fnmatchcase(name, pattern or "*")]

    def _stand_ins(self, stage: Stage) -> list[str]:
        """Links that change from machine to machine, held constant for the fingerprint."""
        links = ["data.path=DATA", "loop.seed=0"]
        links += ["model.weights=START"] if stage.start else []
        return links + (["data.labels=LABELS"] if stage.labels else [])

    def _maker(self, teacher: str | None, seed: int) -> str:
        assert teacher
        return str(self.make(teacher, seed)) if teacher in self.study.stages else teacher

    def _print_of_world(self, name: str) -> Any:
        spec = self.study.data[name]
        return spec.model_dump(mode="json") if isinstance(spec, World) else spec

    def _rendered(self, name: str, world: World) -> Path:
        """The world's pairs in the folder layout; what is there already is kept."""
        folder = self.out / "data" / f"{name}-{_fingerprint(world.model_dump(mode='json'))}"
        scenes = SynthDataset(world.kind, world.first + world.num, world.size, world.seed, config=world.options or None)
        # The left image is written last, so it stands for a finished pair.
        missing = [
            index
            for index in range(world.first, world.first + world.num)
            if not (folder / "left" / f"{scenes.names[index]}.png").exists()
        ]
        if missing:
            say(f"rendering {len(missing)} pairs of {world.kind} for {name}", self.progress)
        for index in missing:
            write_pair(folder, scenes.load(index))
        return folder


def _overrides(stage: Stage) -> list[str]:
    return [f"{key}={json.dumps(value)}" for key, value in stage.set.items()]


def _fingerprint(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:10]
