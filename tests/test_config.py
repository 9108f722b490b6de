"""Configuration is strict: what is not understood is refused in one line, and nothing changes afterwards."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from stereodistill.config import Config, parse_scalar, read_recipe, read_yaml, recipe_names
from stereodistill.errors import UserError


class Inner(Config):
    rate: float = 0.5


class Outer(Config):
    inner: Inner = Inner()
    steps: int


def test_defaults_are_kept_and_differences_taken():
    assert Outer.parse({"steps": 3}) == Outer(steps=3, inner=Inner(rate=0.5))
    assert Outer.parse({"steps": 3, "inner": {"rate": 1}}).inner.rate == 1.0


def test_a_value_cannot_be_changed():
    with pytest.raises(ValidationError):
        Inner().rate = 2.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"steps": 1, "stps": 2}, ["stps", "inner", "steps"]),
        ({"steps": 1, "inner": {"rat": 2}}, ["inner.rat", "known keys here: rate"]),
        ({"steps": "many"}, ["steps", "integer"]),
        ({}, ["steps", "required"]),
    ],
)
def test_the_error_names_the_key_and_where_it_was_read(values, words):
    with pytest.raises(UserError) as caught:
        Outer.parse(values, "my.yaml")
    text = str(caught.value)
    assert text.startswith("my.yaml: ")
    assert "\n" not in text
    assert all(word in text for word in words)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-4", 1e-4), ("3", 3), ("true", True), ("null", None), ("street", "street"), ("[1, 2]", [1, 2]), ("-.5", -0.5)],
)
def test_values_are_read_as_yaml_with_plain_exponents(text, value):
    assert parse_scalar(text) == value
    assert type(parse_scalar(text)) is type(value)


def _write(folder: Path, text: str) -> str:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_overrides_reach_inside_and_make_what_is_absent(tmp_path):
    path = _write(tmp_path, "a: {b: 1, c: 2}\n")
    assert read_recipe(path, ["a.b=5", "d.e.f=1e-3"]) == {"a": {"b": 5, "c": 2}, "d": {"e": {"f": 1e-3}}}


def test_a_later_override_wins(tmp_path):
    assert read_recipe(_write(tmp_path, "a: 1\n"), ["a=2", "a=3"]) == {"a": 3}


@pytest.mark.parametrize(
    ("text", "overrides", "word"),
    [
        ("a: 1\n", ["a"], "key=value"),
        ("a: 1\n", ["=3"], "key=value"),
        ("a: 1\n", ["a.b=3"], "no keys below"),
        ("a: [1\n", [], "YAML"),
        ("- 1\n", [], "top level"),
        ("", [], "top level"),
    ],
)
def test_what_cannot_be_a_recipe_is_one_line(tmp_path, text, overrides, word):
    with pytest.raises(UserError, match=word) as caught:
        read_recipe(_write(tmp_path, text), overrides)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "recipe.yaml").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(UserError, match="YAML"):
        read_recipe(str(tmp_path / "recipe.yaml"))


def test_an_unknown_name_lists_the_shipped_ones():
    with pytest.raises(UserError) as caught:
        read_recipe("no_such_recipe")
    assert all(name in str(caught.value) for name in recipe_names())


def test_yaml_runs_no_code(tmp_path):
    marker = tmp_path / "it_ran"
    with pytest.raises(UserError, match="YAML"):
        read_recipe(_write(tmp_path, f"a: !!python/object/apply:pathlib.Path.touch [{str(marker)!r}]\n"))
    assert not marker.exists()


@pytest.mark.parametrize(
    ("text", "value"),
    [("@home", "@home"), ("%x", "%x"), ("`x", "`x"), ("2024-05-01", "2024-05-01"), ("12:30:45", "12:30:45"),
     ("yes", "yes"), ("true", True), ("1e-4", 1e-4), ("-3", -3), ("1.", 1.0), ("[1, 2]", [1, 2]), ("", None),
     ("!!python/object/apply:os.system [true]", "!!python/object/apply:os.system [true]"), ("&a [*a]", "&a [*a]"),
     ("? ", "? "), ("1" * 5000, "1" * 5000), ("a: 1", {"a": 1}), ("'5'", "5"), (".inf", float("inf"))],
)  # fmt: skip
def test_values_of_overrides_are_what_they_look_like(text, value):
    found = parse_scalar(text)
    assert found == value and type(found) is type(value)


def test_a_list_that_is_not_closed_is_told():
    with pytest.raises(UserError, match="readable YAML"):
        parse_scalar("[1, 2")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", [
    "a: 2024-05-01\nb: !!set {x}", "a: !!binary aGk=", "1: a", "a: &b [*b]", "a: " + "1" * 5000,
    "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n"
                                              for i in range(9)),
])  # fmt: skip
def test_recipes_that_are_no_plain_data_are_one_line(tmp_path, text):
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(UserError, match=r"r\.yaml: not readable YAML"):
        read_yaml(tmp_path / "r.yaml")
