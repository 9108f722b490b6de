"""The README's commands and lines of Python, run as they stand (with fewer minutes) where a reader would run them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from stereodistill.cli import run
from stereodistill.io.images import read_image, write_image
from stereodistill.weights.locate import shipped

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHORTER = {"--minutes 30": "--epochs 1"}
ELSEWHERE = ("make ", "pip install .")
"""Lines that other tests and continuous integration itself run."""
GENERAL = "lite0_mono"
WITHOUT_WEIGHTS = "stereodistill predict photo.jpg --out out"
"""Runs where the general network ships."""


def blocks(language: str) -> list[str]:
    """The fenced code blocks of the README in one language."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert found
    return found


def commands() -> list[str]:
    """Its command lines, without comments."""
    whole = (block.replace("\\\n", " ") for block in blocks("bash"))
    lines = [line.partition("#")[0].strip() for block in whole for line in block.splitlines()]
    return [line for line in lines if line]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, rendered: Path) -> Path:
    """A folder with `pairs/` and `street.jpg`, after the README's commands ran in it."""
    folder = tmp_path_factory.mktemp("readme")
    for view in ("left", "right"):
        for path in (rendered / view).iterdir():
            write_image(folder / "pairs" / view / path.name, read_image(path))
    for photo in ("street.jpg", "photo.jpg"):
        write_image(folder / photo, read_image(next((rendered / "left").iterdir())))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in commands():
            if line.startswith(ELSEWHERE) or (line == WITHOUT_WEIGHTS and GENERAL not in shipped()):
                continue
            program, *arguments = shlex.split(_shorter(line))
            assert program == "stereodistill"
            assert run(arguments) == 0, line
    return folder


def test_the_commands_leave_what_the_readme_promises(workplace):
    run_folder = workplace / "runs" / "mine"
    promised = re.findall(r"`runs/mine/([\w./]+)`", README)
    assert len(promised) >= 3
    for name in promised:
        assert (run_folder / name).exists(), name
    assert json.loads((run_folder / "metrics.json").read_text())
    assert list((workplace / "predictions").rglob("street.*"))
    assert WITHOUT_WEIGHTS in commands()
    if GENERAL in shipped():
        assert (workplace / "out" / "depth16" / "photo.png").is_file()


def test_the_lines_of_python_run(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    scope: dict = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), scope)
    assert scope["depth"].depth_m.shape == (96, 160)
    assert np.isfinite(scope["depth"].depth_m).any()
    assert (workplace / "depth.png").is_file()


def test_every_make_target_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {line.split()[1] for line in commands() if line.startswith("make ")}
    assert targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def _shorter(line: str) -> str:
    for long, short in SHORTER.items():
        line = line.replace(long, short)
    return line
