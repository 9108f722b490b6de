"""Result tables: every column knows the protocol its numbers were made with, and prints it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from stereodistill.errors import UserError

Better = Literal["lower", "higher"]

LABELS: dict[str, tuple[str, str, Better, int]] = {
    # key: (label, unit, which is better, decimals)
    "abs_rel": ("Abs Rel", "", "lower", 3),
    "sq_rel": ("Sq Rel", "m", "lower", 3),
    "rmse": ("RMSE", "m", "lower", 2),
    "rmse_log": ("RMSE log", "", "lower", 3),
    "a1": ("δ < 1.25", "", "higher", 3),
    "a2": ("δ < 1.25²", "", "higher", 3),
    "a3": ("δ < 1.25³", "", "higher", 3),
    "epe": ("EPE", "px", "lower", 2),
    "epe_pooled": ("EPE pooled", "px", "lower", 2),
    "d1": ("D1-all", "%", "lower", 2),
    "d1_pooled": ("D1-all pooled", "%", "lower", 2),
    "bad1": ("bad-1", "%", "lower", 2),
    "bad2": ("bad-2", "%", "lower", 2),
    "bad3": ("bad-3", "%", "lower", 2),
    "bad4": ("bad-4", "%", "lower", 2),
    "log10": ("log10", "", "lower", 3),
    "rmse_log10": ("RMSE log10", "", "lower", 3),
    "density": ("Density", "%", "higher", 1),
}
USUAL = ("abs_rel", "sq_rel", "rmse", "rmse_log", "a1", "a2", "a3", "epe", "d1", "bad1", "bad2", "bad3")
"""What tables show of a result: the numbers of depth, or of disparity, whichever were measured."""
MARKS = "†‡§¶#"
SHORT = "⚠"
"""Before the number of images when it is not that of the whole test set."""


@dataclass(frozen=True)
class Column:
    """One metric on one data set under one protocol."""

    key: str
    group: str = ""
    """The data set; columns of one group stand together under its name."""
    protocol: str = ""
    num_images: int | None = None
    num_expected: int | None = None
    """Images of the whole test set."""
    split: str = ""
    """The data set and split that the images are of, where it has a name."""
    label: str = ""
    unit: str = ""
    better: Better | None = None
    decimals: int = 3

    @classmethod
    def of(cls, key: str, group: str = "", protocol: str = "", num_images: int | None = None) -> Column:
        """A column for one of the package's metric keys, with its usual label, unit and direction."""
        label, unit, better, decimals = LABELS.get(key, (key, "", None, 3))
        named = {"label": label, "unit": unit, "better": better, "decimals": decimals}
        return cls(key=key, group=group, protocol=protocol, num_images=num_images, **named)

    def made_like(self, result: Mapping[str, Any]) -> Column:
        """The same column under the conditions of one result of `evaluate`."""
        return replace(
            self,
            protocol=result["protocol"],
            num_images=result["num_images"],
            num_expected=result.get("num_expected"),
            split=result.get("data") or "",
        )

    @property
    def is_whole(self) -> bool:
        """All images of the test set were scored, as far as anybody knows how many it has."""
        return self.num_expected is None or self.num_images == self.num_expected

    @property
    def conditions(self) -> str:
        """Protocol, split and number of images in words: what must agree for two numbers to be compared."""
        count = "" if self.num_images is None else f", {self.num_images} image{'' if self.num_images == 1 else 's'}"
        if not self.is_whole:
            count = f", {SHORT} {self.num_images} images of {self.num_expected}"
        return f"{self.protocol or 'no protocol stated'}{self.split and f' on {self.split}'}{count}"

    @property
    def title(self) -> str:
        """Label, unit and direction, such as `RMSE [m] ↓`."""
        arrow = {"lower": " ↓", "higher": " ↑", None: ""}[self.better]
        return f"{self.label or self.key}{f' [{self.unit}]' if self.unit else ''}{arrow}"


@dataclass(frozen=True)
class Cell:
    """A number, None where there is none; `mark` points to a footnote when it was made under other conditions."""

    value: float | None = None
    mark: str = ""


@dataclass(frozen=True)
class Row:
    """One method.  A `reference` (the teacher as ceiling, a constant) is shown but never marked as best."""

    name: str
    cells: tuple[Cell, ...]
    reference: bool = False
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of numbers under columns that state their protocol; `best` cells are found, not given."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""
    footnotes: tuple[str, ...] = field(default=())
    heading: str = "method"
    """What the rows are."""

    def __post_init__(self) -> None:
        for row in self.rows:
            assert len(row.cells) == len(self.columns), f"row {row.name!r} has {len(row.cells)} cells"

    @classmethod
    def from_results(
        cls,
        title: str,
        results: Mapping[str, Mapping[str, Mapping[str, Any]]],
        metrics: Sequence[str] = USUAL,
        *,
        references: Sequence[str] = (),
        note: str = "",
        mark_mixed: bool = False,
    ) -> Table:
        """A table from what `evaluate` returns.

        Args:
            results: `results[row name][data set name]` is one result; a missing data set gives empty cells.
            metrics: keys to show, for each data set; those that no result of the data set has are left out.
            references: names of rows that are shown for orientation and do not compete.
            mark_mixed: put a mark and a footnote at numbers whose protocol or number of images differs from
                their column's (the first row's that scored the whole test set) instead of refusing them.

        Raises:
            UserError: a column would mix protocols or image sets and `mark_mixed` is off.
        """
        columns = _columns(results, metrics)
        footnotes: dict[str, str] = {}
        rows = []
        for name, of_row in results.items():
            cells = [_cell(of_row.get(c.group), c, name, footnotes, mark_mixed) for c in columns]
            rows.append(Row(name, tuple(cells), reference=name in references))
        lines = tuple(f"{mark} {conditions}" for conditions, mark in footnotes.items())
        return cls(title, tuple(columns), tuple(rows), note, lines)

    def with_note(self, note: str) -> Table:
        """The same table with another note below it."""
        return replace(self, note=note)

    def is_best(self, row: Row, index: int) -> bool:
        """Whether the cell is (one of) the best of its column among unmarked cells of competing rows.

        Numbers that print the same are the same; where all are, none is best.
        """
        column, cell = self.columns[index], row.cells[index]
        rivals = [other.cells[index] for other in self.rows if not other.reference]
        numbers = [c.value for c in rivals if c.value is not None and math.isfinite(c.value) and not c.mark]
        texts = {number_text(number, column.decimals) for number in numbers}
        if row.reference or cell.mark or column.better is None or len(texts) < 2:
            return False
        best = min(numbers) if column.better == "lower" else max(numbers)
        return number_text(cell.value, column.decimals) == number_text(best, column.decimals)

    @property
    def protocol_lines(self) -> tuple[str, ...]:
        """One line for each data set: its name and the conditions of its columns."""
        lines = dict.fromkeys((column.group, column.conditions) for column in self.columns)
        return tuple(f"{group}: {conditions}" if group else conditions for group, conditions in lines)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dump`: columns with their protocol, rows with values in the columns' order."""
        columns = [
            {
                "metric": c.key,
                "data": c.group,
                "protocol": c.protocol,
                "num_images": c.num_images,
                "num_expected": c.num_expected,
                "split": c.split,
                "unit": c.unit,
            }
            for c in self.columns
        ]
        rows = [
            {
                "name": row.name,
                "values": [_plain(cell.value) for cell in row.cells],
                "best": [self.is_best(row, index) for index in range(len(row.cells))],
                "marks": [cell.mark for cell in row.cells],
                "reference": row.reference,
                "note": row.note,
            }
            for row in self.rows
        ]
        return {
            "title": self.title,
            "columns": columns,
            "rows": rows,
            "note": self.note,
            "footnotes": list(self.footnotes),
        }

    def to_markdown(self) -> str:
        """GitHub Markdown: the best number of a column is bold, reference rows are in italics."""
        several = len({column.group for column in self.columns}) > 1
        titles = [f"{c.group}: {c.title}" if several and c.group else c.title for c in self.columns]
        lines = [f"**{self.title}**", "", _markdown_line(["method", *titles])]
        lines.append("|:--|" + "--:|" * len(self.columns))
        for row in self.rows:
            cells = [self._markdown_cell(row, index) for index in range(len(row.cells))]
            name = f"*{_escaped(row.name)}*" if row.reference else _escaped(row.name)
            lines.append(_markdown_line([name, *cells], escape=False))
        below = [f"Protocol: {line}" for line in self.protocol_lines]
        below += [f"{row.name}: {row.note}" for row in self.rows if row.note]
        below += [*self.footnotes, *([self.note] if self.note else [])]
        return "\n".join([*lines, "", *("  \n".join(below).split("\n"))]) + "\n"

    def _markdown_cell(self, row: Row, index: int) -> str:
        text = number_text(row.cells[index].value, self.columns[index].decimals)
        text = f"**{text}**" if self.is_best(row, index) else text
        return text + row.cells[index].mark


def number_text(value: float | None, decimals: int) -> str:
    """A number as tables print it; a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{decimals}f}"


def _columns(results: Mapping[str, Mapping[str, Mapping[str, Any]]], metrics: Sequence[str]) -> list[Column]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for of_row in results.values():
        for group, result in of_row.items():
            groups.setdefault(group, []).append(result)
    return [
        _typical(Column.of(key, group), found)
        for group, found in groups.items()
        for key in metrics
        if any(key in result["metrics"] for result in found)
    ]


def _typical(column: Column, results: Sequence[Mapping[str, Any]]) -> Column:
    """The column under the conditions of the first result of a whole test set, else of the first one."""
    made = [column.made_like(result) for result in results]
    return next((one for one in made if one.is_whole), made[0])


def _cell(
    result: Mapping[str, Any] | None, column: Column, name: str, footnotes: dict[str, str], mark_mixed: bool
) -> Cell:
    if result is None:
        return Cell()
    own = column.made_like(result).conditions
    mark = ""
    if own != column.conditions:
        if not mark_mixed:
            raise UserError(
                f"table: {name!r} on {column.group!r} was scored with {own}, the column with {column.conditions}: "
                "score both the same way, or ask for a marked table (mark_mixed)"
            )
        mark = footnotes.setdefault(own, MARKS[min(len(footnotes), len(MARKS) - 1)])
    return Cell(_plain(result["metrics"].get(column.key)), mark)


def _plain(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _markdown_line(cells: Sequence[str], escape: bool = True) -> str:
    return "| " + " | ".join(_escaped(cell) if escape else cell for cell in cells) + " |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
