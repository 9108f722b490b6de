"""The house rules that a program can check."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMELESS_ROOMS = {"utils.py", "misc.py", "helpers.py", "common.py"}
# Folders of one person's machine have no place in a project.
PRIVATE_PATH = re.compile(r"(?<![\w.~-])/(?:work|root|farm|home|Users)/\w|\.\./\.library")


def _files() -> list[Path]:
    """What is, or is about to be, under version control."""
    if not (ROOT / ".git").exists():
        found = (p for folder in ("src", "tests", "docs", "benchmarks") for p in (ROOT / folder).rglob("*"))
        return [p for p in [*found, *ROOT.glob("*.*")] if p.is_file() and "__pycache__" not in p.parts]
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def _python_files() -> list[Path]:
    files = [path for path in _files() if path.suffix == ".py"]
    assert len(files) > 50, "these tests look at nothing"
    return files


def test_every_file_has_a_name_that_says_something():
    assert [p for p in _python_files() if p.name in NAMELESS_ROOMS] == []


def test_no_path_of_somebodys_machine():
    found = []
    for path in _files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if path != Path(__file__).resolve():
            found += [f"{path.relative_to(ROOT)}: {hit}" for hit in PRIVATE_PATH.findall(text)]
    assert found == []


def test_imports_go_downward_only():
    program = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which("lint-imports")
    if program is None:
        pytest.fail("import-linter is not installed: make test installs it (pip install -e '.[dev]')")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_lock_names_torch_exactly_and_no_place_to_fetch_from():
    text = "".join((ROOT / name).read_text() for name in ("requirements.lock", "requirements-dev.lock"))
    pins = [line for line in text.splitlines() if line and line[0] not in "#-"]
    assert "torch==2.13.0" in pins
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", pin) for pin in pins)
    assert "://" not in text
    assert "--hash" not in text


def test_recipes_state_differences_only():
    recipes = sorted((ROOT / "src/stereodistill/recipes").rglob("*.yaml"))
    assert recipes
    for path in recipes:
        lines = [line for line in path.read_text().splitlines() if line.strip()]
        assert len(lines) <= 25, path.name
        assert any(line.startswith("cite:") for line in lines), f"{path.name} does not say where it comes from"
