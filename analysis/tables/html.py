"""The table as HTML: a page of its own, or a part of a larger one."""

from __future__ import annotations

from typing import Any

from analysis.cells import Table
from analysis.markup import Html, document, el, join
from analysis.tables.layout import COLORS, Column, Entry, Extras, Layout, Line, lay_out

BODY = "body { font: 15px/1.4 system-ui, sans-serif; margin: 1.5em; color: #222; background: #fff }"

STYLE = """
.petl-scroll { overflow-x: auto }
.petl { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap }
.petl caption { text-align: left; font-weight: bold; padding-bottom: .4em }
.petl th, .petl td { padding: .25em .7em; text-align: right }
.petl th:first-child { text-align: left; font-weight: normal }
.petl thead th, .petl thead th:first-child { font-weight: bold }
.petl thead th:nth-child(n+2) { text-align: center }
.petl thead tr:first-child th { border-top: 2px solid }
.petl thead tr:last-child th, .petl tr.rule > * { border-bottom: 1px solid }
.petl tr.rule > * { border-top: 1px solid; border-bottom: 0 }
.petl tbody tr:last-child > * { border-bottom: 2px solid }
.petl th.group { text-align: center; border-bottom: 1px solid }
.petl small { color: #555; display: inline-block; text-align: left; padding-left: .3em }
.petl tr.reference > * { color: #555; font-size: .8em; padding-top: 0 }
.petl tr.reference th { padding-left: 2em }
.petl tr.floor > * { color: #555 }
.petl .best { color: #@best@; font-weight: bold }
.petl .second { color: #@second@; text-decoration: underline }
.petl .outside { font-weight: bold; color: #222 }
.petl-banner { border: 2px solid #a00; color: #a00; padding: .4em .8em; font-weight: bold }
.petl-notes { font-size: .85em; color: #444; max-width: 60em }
"""


def to_html(table: Table, extras: Extras | None = None, colors: str = "paper") -> str:
    """A page of its own; `fragment` and `style` are for a larger one."""
    return document(table.title, f"\n{BODY}{style(colors)}", fragment(table, extras))


def style(colors: str = "paper") -> str:
    best, second = COLORS[colors]
    return STYLE.replace("@best@", best).replace("@second@", second)


def fragment(table: Table, extras: Extras | None = None) -> Html:
    """Banner, table and notes; a line for each row in the file too."""
    layout = lay_out(table, extras or Extras())
    lines = [join(["\n", _line(table, layout, line)]) for line in layout.lines]
    head, body = el("thead", *_heads(layout)), el("tbody", *lines)
    whole = el("table", el("caption", table.title), head, body, class_="petl")
    notes = (el("li", f"{note}.") for note in layout.notes)
    return join(
        [
            el("p", layout.banner, class_="petl-banner") if layout.banner else None,
            el("div", whole, class_="petl-scroll"),
            el("ul", *notes, class_="petl-notes"),
        ]
    )


def _heads(layout: Layout) -> list[Html]:
    rows = []
    if layout.has_groups:
        groups = (
            el("th", head, colspan=span, class_="group" if head else None)
            for head, span in layout.groups
        )
        rows.append(el("tr", el("th"), *groups))
    titles = ("Method", *(column.title for column in layout.columns))
    return [*rows, el("tr", *(el("th", title, scope="col") for title in titles))]


def _line(table: Table, layout: Layout, line: Line) -> Html:
    cells = []
    for i, (column, entry) in enumerate(zip(layout.columns, line.entries, strict=True)):
        # means are aligned because the text beside them has the same width in every line
        width = max(len(other.entries[i].beside) for other in layout.lines)
        cells.append(el("td", *_entry(entry, width), **_attributes(table, column, line)))
    kinds = f"{line.kind} rule" if line.rule else line.kind
    return el("tr", el("th", line.label, scope="row"), *cells, class_=kinds)


def _attributes(table: Table, column: Column, line: Line) -> dict[str, Any]:
    """For scripts: what to ask `--trace` for, and what to sort by."""
    if line.kind == "reference" or column.kind != "cell" or not isinstance(column.of, int):
        return {}
    row = table.all_rows[line.row]
    cell = row.cells[column.of]
    value = {"data_value": f"{cell.mean:.10g}" if cell.finished else ""}
    if line.kind == "floor":  # it has no runs of its own
        return value
    return value | {"data_row": row.method, "data_column": table.datasets[column.of].name}


def _entry(entry: Entry, width: int) -> list[Any]:
    mean = el("span", entry.mean, class_=entry.mark) if entry.mark else entry.mean
    outside = "outside" if entry.outside else None
    small = el("small", entry.beside, class_=outside, style=f"width:{width}ch")
    return [mean, small] if width else [mean]
