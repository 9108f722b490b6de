"""One self-contained HTML page: numbers, curves, pictures.  It needs no network, no script and no other file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby
from pathlib import Path

from stereodistill.io.files import write_bytes
from stereodistill.report.curves import NUM_COLORS, Chart, chart_svg, summary
from stereodistill.report.pictures import GalleryRow, Panel, data_uri
from stereodistill.report.tables import Column, Row, Table, number_text

# The browser itself enforces the promise: whatever ends up in the page, nothing is fetched and nothing runs.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write_report(
    path: str | Path,
    *,
    title: str,
    tables: Sequence[Table] = (),
    curves: Sequence[Chart] = (),
    gallery: Sequence[GalleryRow] = (),
    intro: str = "",
    facts: Sequence[tuple[str, str]] = (),
    lists: Sequence[tuple[str, Sequence[str]]] = (),
    picture_key: bool = True,
    footer: str = "",
) -> Path:
    """Write the report atomically and return its path.

    Args:
        intro: plain text; a blank line starts a paragraph, `backticks` become code.
        facts: (label, value) pairs for the tiles at the top, such as ("pairs", "122").
        lists: (title, lines) pairs, a section each.
        tables, curves, gallery, lists: each may be empty; its section is then left out.
        picture_key: explain the colours of disparity and error maps above the gallery.

    Raises:
        UserError: the file cannot be written.
    """
    sections = [
        _header(title, intro, facts),
        *(_section(escape(title), [_list(lines)]) for title, lines in lists if lines),
        _section("Numbers", [table_html(table) for table in tables]),
        _section("Learning curves", [f'<div class="charts">{"".join(map(_chart, curves))}</div>'] if curves else []),
        _section(
            "Pictures", [_picture_key(gallery) if picture_key else "", *map(_gallery_row, gallery)] if gallery else []
        ),
        f"<footer>{_inline(footer)}</footer>" if footer else "",
    ]
    style = (files("stereodistill.report") / "style.css").read_text(encoding="utf-8")
    html = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(filter(None, sections))
        + "\n</main>\n</body>\n</html>\n"
    )
    write_bytes(path, html.encode("utf-8"))
    return Path(path)


def table_html(table: Table) -> str:
    """A `Table` as HTML: protocol below the numbers, best numbers coloured and, for those who see no colour, bold."""
    head = "".join(f'<th scope="col"{_split(table, i)}>{escape(c.title)}</th>' for i, c in enumerate(table.columns))
    body = "".join(_table_row(table, row) for row in table.rows)
    lines = [f"Protocol – {line}" for line in table.protocol_lines]
    lines += [*table.footnotes, *table.note.splitlines()]
    notes = "".join(f"<li>{_inline(line)}</li>" for line in lines)
    return (
        f'<div class="card"><div class="scroll"><table><caption>{escape(table.title)}</caption>'
        f'<thead>{_groups(table.columns)}<tr><th scope="col" style="text-align:left">{escape(table.heading)}</th>'
        f"{head}</tr></thead>"
        f'<tbody>{body}</tbody></table></div><ul class="notes">{notes}</ul></div>'
    )


def _table_row(table: Table, row: Row) -> str:
    cells = []
    for index, (cell, column) in enumerate(zip(row.cells, table.columns, strict=True)):
        best = table.is_best(row, index)
        text = number_text(cell.value, column.decimals) + escape(cell.mark)
        cells.append(f"<td{_split(table, index, 'best' if best else '')}>{text}</td>")
    note = f"<small>{_inline(row.note)}</small>" if row.note else ""
    kind = ' class="reference"' if row.reference else ""
    return f'<tr{kind}><th scope="row">{_inline(row.name)}{note}</th>{"".join(cells)}</tr>'


def _groups(columns: Sequence[Column]) -> str:
    runs = [(group, len(list(run))) for group, run in groupby(columns, key=lambda c: c.group)]
    if not any(group for group, _ in runs):
        return ""
    cells = [
        f'<th class="group{" split" if index else ""}" scope="colgroup" colspan="{length}">{escape(group)}</th>'
        for index, (group, length) in enumerate(runs)
    ]
    return f"<tr><td></td>{''.join(cells)}</tr>"


def _split(table: Table, index: int, extra: str = "") -> str:
    """The class attribute of a cell; a line separates one data set's columns from the next one's."""
    starts = index > 0 and table.columns[index].group != table.columns[index - 1].group
    names = " ".join(filter(None, ("split" if starts else "", extra)))
    return f' class="{names}"' if names else ""


def _header(title: str, intro: str, facts: Sequence[tuple[str, str]]) -> str:
    paragraphs = "".join(f"<p>{_inline(part)}</p>" for part in re.split(r"\n\s*\n", intro.strip()) if part)
    tiles = "".join(f"<div><dt>{escape(label)}</dt><dd>{escape(str(value))}</dd></div>" for label, value in facts)
    return f"<h1>{escape(title)}</h1>{paragraphs}" + (f'<dl class="facts">{tiles}</dl>' if tiles else "")


def _section(title: str, parts: Iterable[str]) -> str:
    content = "\n".join(parts)
    return f"<section>\n<h2>{title}</h2>\n{content}\n</section>" if content else ""


def _list(lines: Sequence[str]) -> str:
    return f'<div class="card"><ul>{"".join(f"<li>{_inline(line)}</li>" for line in lines)}</ul></div>'


def _chart(chart: Chart) -> str:
    entries = "".join(
        f'<li><span class="key c{index % NUM_COLORS + 1}"></span>{escape(summary(curve))}</li>'
        for index, curve in enumerate(chart.curves)
    )
    return f'<div class="card"><h3>{escape(chart.title)}</h3><ul class="legend">{entries}</ul>{chart_svg(chart)}</div>'


def _gallery_row(row: GalleryRow) -> str:
    figures = "".join(map(_figure, row.panels))
    return (
        f'<div class="card"><h3>{escape(row.name)}</h3>'
        f'<div class="row" style="--columns: {row.columns}">{figures}</div>'
        f'<ul class="notes"><li>{_inline(row.caption)}</li></ul></div>'
    )


def _figure(panel: Panel) -> str:
    height, width = panel.picture.shape[:2]
    return (
        f'<figure><img src="{data_uri(panel.picture)}" width="{width}" height="{height}" '
        f'alt="{escape(panel.alt, quote=True)}"><figcaption>{escape(panel.title)}</figcaption></figure>'
    )


def _picture_key(gallery: Sequence[GalleryRow]) -> str:
    keys = ['<p>Disparity: far<span class="scale disparity"></span>near, one range for each row; grey = unknown.']
    if any(panel.title.startswith("error") for row in gallery for panel in row.panels):
        keys.append(
            '<br>Error, relative to the tolerance of D1 (3 px or 5 %): 1/16<span class="scale error"></span>16 times; '
            "pale yellow is the tolerance itself, red is wrong."
        )
    return "".join(keys) + "</p>"


def _inline(text: str) -> str:
    """Escaped text in which `backticks` are code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
