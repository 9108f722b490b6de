"""A page for every model card that ships with weights; the card itself lies beside them and goes to the hub."""

from __future__ import annotations

import re
from importlib.resources import files as package_files
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

SECTION = "Model cards"
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name every card in the navigation, so that new weights need no line there."""
    assert config.nav is not None
    section = next(entry[SECTION] for entry in config.nav if SECTION in entry)
    section += [{card.parent.name: f"models/{card.parent.name}.md"} for card in _cards()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the cards, without the hub's own header, and the pictures in them."""
    for card in _cards():
        text = FRONT_MATTER.sub("", card.read_text(encoding="utf-8"))
        files.append(File.generated(config, f"models/{card.parent.name}.md", content=text))
        for picture in sorted(card.parent.glob("*.jpg")):
            files.append(File.generated(config, f"models/{picture.name}", abs_src_path=str(picture)))
    return files


def _cards() -> list[Path]:
    return sorted(Path(str(package_files("stereodistill") / "pretrained")).glob("*/README.md"))
