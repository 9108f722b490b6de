"""The page of all recipe keys, from the classes that check a recipe, and of all recipes that ship."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from importlib.resources import files as package_files
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

PAGE = "reference/recipes.md"
INTRODUCTION = """# Recipes

A recipe is a YAML file that states how one stage of training differs from the defaults below.
`stereodistill train RECIPE key.below=value --out DIR` takes a shipped recipe by name or a file, and changes single
keys. An unknown key or a wrong value is refused in one line that lists the keys there are.

"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page to those that lie on disk."""
    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    """Markdown: the stages, the keys of every block, the shipped recipes."""
    from stereodistill.engine.stages import STAGES

    source = griffe.load("stereodistill")
    lines = [INTRODUCTION + "## Stages", "", "| `stage` | does | its keys |", "|---|---|---|"]
    lines += [f"| `{name}` | {_first_line(stage.recipe)} | {_link(stage.recipe)} |" for name, stage in STAGES.items()]
    for config in _below([stage.recipe for stage in STAGES.values()]):
        lines += ["", f"## {_title(config)}", "", _first_line(config), "", *_table(config, source)]
    lines += ["", "## Shipped recipes", ""]
    folder = Path(str(package_files("stereodistill") / "recipes"))
    for path in sorted(folder.rglob("*.yaml")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        lines += [f"### {name}", "", "```yaml", path.read_text(encoding="utf-8").rstrip(), "```", ""]
    return "\n".join(lines)


def _below(recipes: Sequence[type[BaseModel]]) -> list[type[BaseModel]]:
    """The recipes and every block below them, each once."""
    found: dict[type[BaseModel], None] = {}
    waiting = list(recipes)
    while waiting:
        config = waiting.pop(0)
        if config not in found:
            found[config] = None
            waiting += [below for field in config.model_fields.values() for below in _configs(field.annotation)]
    return list(found)


def _table(config: type[BaseModel], source: griffe.Object | griffe.Alias) -> Iterator[str]:
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in config.model_fields.items():
        default = "" if field.default is PydanticUndefined else _plain(field.default)
        yield f"| `{name}` | {_value(field.annotation)} | {default} | {_meaning(config, name, source)} |"


def _value(annotation: Any) -> str:
    below = _configs(annotation)
    if below and get_origin(annotation) in (None, Union, UnionType):
        return " or ".join(map(_link, below))
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    return f"`{_name(annotation)}`".replace("|", "\\|")


def _name(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:  # the bounds are in the text of the field
        return _name(get_args(annotation)[0])
    if isinstance(annotation, type) and not get_args(annotation):
        return "null" if annotation is type(None) else annotation.__name__
    of = ", ".join("..." if part is ... else _name(part) for part in get_args(annotation))
    if get_origin(annotation) in (Union, UnionType):
        return of.replace(", ", " or ")
    return f"{getattr(get_origin(annotation), '__name__', annotation)}[{of}]" if of else str(annotation)


def _plain(value: Any) -> str:
    if isinstance(value, BaseModel):
        changed = value.model_dump(mode="json", exclude_defaults=True)
        return f"`{changed}`" if changed else "as there"
    return f"`{'null' if value is None else value!r}`"


def _meaning(config: type[BaseModel], name: str, source: griffe.Object | griffe.Alias) -> str:
    """The string below the field, in the class itself or the one it comes from."""
    for owner in config.__mro__:
        if owner.__module__.startswith("stereodistill."):
            member = source[f"{owner.__module__.partition('.')[2]}.{owner.__qualname__}"].members.get(name)
            if member is not None and member.docstring is not None:
                return " ".join(member.docstring.value.split()).replace("|", "\\|")
    return ""


def _configs(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [config for part in get_args(annotation) for config in _configs(part)]


def _link(config: type[BaseModel]) -> str:
    return f"[{_title(config)}](#{_title(config).lower()})"


def _title(config: type[BaseModel]) -> str:
    return config.__name__.lstrip("_")


def _first_line(config: type[BaseModel]) -> str:
    return " ".join((inspect.getdoc(config) or "").partition("\n\n")[0].split())
