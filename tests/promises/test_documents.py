"""What readers meet: links that lead somewhere, lines that fit, pages that are made from the code."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

import stereodistill
from stereodistill.config import Config
from stereodistill.engine.stages import STAGES
from stereodistill.weights.locate import shipped

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.md"))
)
GENERATED = ("reference/cli.md", "reference/api.md", "reference/recipes.md")
MAX_CHARACTERS = 120


@pytest.mark.parametrize("page", PAGES)
def test_lines_fit(page):
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    assert [f"{page}:{number}" for number, line in enumerate(lines, 1) if len(line) > MAX_CHARACTERS] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        inside = target.resolve().relative_to(ROOT / "docs").as_posix() if page.startswith("docs/") and path else ""
        if link.startswith("http") or inside in GENERATED or _is_card(inside):
            continue
        assert target.exists(), f"{page}: {link}"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, link


def test_the_pages_made_from_code_miss_nothing():
    commands, names, recipes = (
        runpy.run_path(str(ROOT / "docs" / "_generate" / f"{name}.py"))["page"]()
        for name in ("commands", "python_api", "recipe_keys")
    )
    assert "## `stereodistill fit`" in commands
    assert "`--val-fraction" in commands
    assert "### `stereodistill weights show`" in commands
    headings = set(re.findall(r"heading: sd\.(\w+)", names))
    assert headings == set(stereodistill.__all__) - {"__version__"}
    keys = set(re.findall(r"^\| `(\w+)` \|", recipes, re.MULTILINE))
    for stage in STAGES.values():
        for name, field in stage.recipe.model_fields.items():
            assert name in keys
            if isinstance(field.annotation, type) and issubclass(field.annotation, Config):
                assert keys >= set(field.annotation.model_fields), field.annotation
    assert "Train the decoder alone for so long" in recipes, "the strings below the fields are missing"


def test_shipped_networks_have_a_card():
    for name, folder in shipped().items():
        card = Path(folder) / "README.md"
        assert card.is_file(), f"{name} ships without a model card"
        text = card.read_text(encoding="utf-8")
        assert text.startswith("---\nlicense: apache-2.0\n"), "the hub reads the licence there"
        pictures = re.findall(r"!\[.+\]\((.+)\)", text)
        assert all((card.parent / picture).is_file() and picture.endswith(".jpg") for picture in pictures)


def _is_card(page: str) -> bool:
    found = re.fullmatch(r"models/(\w+)\.md", page)
    return found is not None and (Path(shipped().get(found[1], ROOT)) / "README.md").is_file()
