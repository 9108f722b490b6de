"""The page of all commands, from the command line itself: options cannot be documented and not exist."""

from __future__ import annotations

from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.cli import get_docs_for_click

PAGE = "reference/cli.md"
INTRODUCTION = """# Commands

Every command ends with exit code 0 when it is done, 2 with one line on stderr when the input is at fault, and 130
after Ctrl-C, with a line that says what is saved. `STEREODISTILL_DEBUG=1` shows the traceback of an error.

"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page to those that lie on disk."""
    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    """Markdown of every verb: usage, arguments, options, what it does."""
    from stereodistill.cli.app import app

    group: Any = typer.main.get_command(app)
    with group.make_context("stereodistill", [], resilient_parsing=True) as context:
        text = get_docs_for_click(obj=group, ctx=context, name="stereodistill")
    # The first section repeats what --help of the whole program says; the verbs are what a reader looks for.
    return INTRODUCTION + text[text.index("## `stereodistill") :]
