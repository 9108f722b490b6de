"""Strict, frozen configuration: defaults live in the class, a recipe states differences, a typo is an error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from stereodistill.errors import UserError

C = TypeVar("C", bound="Config")


class Config(BaseModel):
    """Base of every configuration class: unknown keys are refused, values cannot be changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @classmethod
    def parse(cls: type[C], values: dict[str, Any], source: str = "configuration") -> C:
        """Build from plain values; the first problem becomes one clear line."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"]) or "(top level)"
            hint = ""
            if first["type"] == "extra_forbidden":
                hint = f"; known keys here: {', '.join(sorted(_known_keys(cls, first['loc'][:-1])))}"
            raise UserError(f"{source}: {key}: {first['msg']}{hint}") from None


def _known_keys(cls: type[BaseModel], path: Sequence[Any]) -> list[str]:
    found: Any = cls
    for part in path:
        found = _below(found, part)
    return list((found if _is_config(found) else cls).model_fields)


def _below(annotation: Any, part: Any) -> Any:
    """What stands below key `part` of a configuration, a dictionary, a tuple, or a choice of configurations."""
    if _is_config(annotation):
        return annotation.model_fields[part].annotation if part in annotation.model_fields else None
    of = get_args(annotation)
    if get_origin(annotation) in (dict, tuple):
        return of[-1] if get_origin(annotation) is dict else of[0]
    # pydantic names the member of a union by its class, or by the value of the field that tells them apart.
    named = [m for m in of if _is_config(m) and (m.__name__ == part or part in map(_default, m.model_fields.values()))]
    return named[0] if named else None


def _default(field: FieldInfo) -> Any:
    return field.default if isinstance(field.default, str) else None


def _is_config(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def read_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read a shipped recipe by name (`lite_stereo`, `own/street`) or a YAML file, then apply `a.b=value` overrides."""
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = Path(str(files("stereodistill") / "recipes" / f"{name_or_path}.yaml"))
    if not path.is_file():
        raise UserError(f"no recipe {name_or_path!r}: give a YAML file or one of {', '.join(recipe_names())}")
    values = read_yaml(path)
    for override in overrides:
        _apply_override(values, override)
    return values


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file with `key: value` lines at the top level."""
    try:
        values: Any = _plain(yaml.load(path.read_text(encoding="utf-8"), _Loader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable YAML: {str(error).splitlines()[0]}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected `key: value` lines at the top level")
    return cast("dict[str, Any]", values)


def recipe_names() -> list[str]:
    """Names of the recipes that ship with the package."""
    root = Path(str(files("stereodistill") / "recipes"))
    return sorted(str(p.relative_to(root).with_suffix("")) for p in root.rglob("*.yaml"))


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise UserError(f"override {override!r}: expected key=value, for example optimizer.lr=1e-4")
    *parents, last = key.split(".")
    for parent in parents:
        below: Any = values.setdefault(parent, {})
        if not isinstance(below, dict):
            raise UserError(f"override {override!r}: {parent!r} is a single value, it has no keys below it")
        values = cast("dict[str, Any]", below)
    values[last] = parse_scalar(text)


def parse_scalar(text: str) -> Any:
    """The value of an override: a number, a truth value, null, a list or a map as YAML writes them, else the text."""
    try:
        return _plain(yaml.load(text, _Loader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if text.lstrip()[:1] in ("[", "{"):
            raise UserError(f"value {text[:60]!r}: not readable YAML: {str(error).splitlines()[0]}") from None
        return text  # as `@home` or `50%: what`: a name of something


class _Loader(yaml.SafeLoader):
    """Scalars of YAML 1.2 (its core schema): `1e-4` is a number; dates, `12:30` and `yes` are text, as they look."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # pyright: ignore[reportIncompatibleVariableOverride]


for _tag, _pattern, _starts in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(  # pyright: ignore[reportUnknownMemberType]
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _starts
    )


def _scalar(node: yaml.Node) -> str:
    assert isinstance(node, yaml.ScalarNode)
    return node.value


_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(_scalar(node)))
_Loader.add_constructor("tag:yaml.org,2002:float", lambda _, node: _float(_scalar(node)))

MOST_VALUES = 100_000


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


def _plain(values: Any) -> Any:
    """The same values; ValueError for what is no plain data (a date, bytes, a set, an odd key) or too much."""
    waiting: list[Any] = [values]
    seen = 0
    while waiting:
        value, seen = waiting.pop(), seen + 1
        if seen > MOST_VALUES:  # also a value that holds itself
            raise ValueError(f"more than {MOST_VALUES} values")
        if isinstance(value, dict):
            known = cast("dict[Any, Any]", value)
            odd = [key for key in known if not isinstance(key, str)]
            if odd:
                raise ValueError(f"the key {str(odd[0])[:40]!r} is no text")
            waiting.extend(known.values())
        elif isinstance(value, list):
            waiting.extend(cast("list[Any]", value))
        elif value is not None and not isinstance(value, str | int | float):
            raise ValueError(f"expected text, numbers, lists and maps, found a {type(value).__name__}")
    return values
