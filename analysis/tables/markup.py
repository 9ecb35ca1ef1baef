"""The table for GitHub and for a page: Markdown and HTML."""

from __future__ import annotations

from html import escape

from analysis.cells import Row, Table
from analysis.tables.colors import COLORS
from analysis.tables.layout import Column, Entry, Extras, Layout, Line, lay_out

MADE_BY = "<!-- Made by petl-ast -->"

PAGE = """<!doctype html>
<html lang="en">
{made_by}
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 1.5em; color: #222; background: #fff }}
{style}
</style>
<body>
{table}
</body>
</html>
"""

STYLE = """.petl-scroll {{ overflow-x: auto }}
.petl {{ border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap }}
.petl caption {{ text-align: left; font-weight: bold; padding-bottom: .4em }}
.petl th, .petl td {{ padding: .25em .7em; text-align: right }}
.petl th:first-child {{ text-align: left; font-weight: normal }}
.petl thead th, .petl thead th:first-child {{ font-weight: bold }}
.petl thead th:nth-child(n+2) {{ text-align: center }}
.petl thead tr:first-child th {{ border-top: 2px solid }}
.petl thead tr:last-child th, .petl tr.rule > * {{ border-bottom: 1px solid }}
.petl tr.rule > * {{ border-top: 1px solid; border-bottom: 0 }}
.petl tbody tr:last-child > * {{ border-bottom: 2px solid }}
.petl th.group {{ text-align: center; border-bottom: 1px solid }}
.petl small {{ color: #555; display: inline-block; text-align: left; padding-left: .3em }}
.petl tr.reference > * {{ color: #555; font-size: .8em; padding-top: 0 }}
.petl tr.reference th {{ padding-left: 2em }}
.petl .best {{ color: #{best}; font-weight: bold }}
.petl .second {{ color: #{second}; text-decoration: underline }}
.petl .outside {{ font-weight: bold; color: #222 }}
.petl-banner {{ border: 2px solid #a00; color: #a00; padding: .4em .8em; font-weight: bold }}
.petl-notes {{ font-size: .85em; color: #444; max-width: 60em }}"""


def to_markdown(table: Table, extras: Extras | None = None) -> str:
    """The best in bold, the second best in italics."""
    layout = lay_out(table, extras or Extras())
    heads = [f"{c.group} {c.title}".strip() for c in layout.columns]
    lines = [
        MADE_BY,
        "",
        *([f"> **{layout.banner}**", ""] if layout.banner else []),
        _pipes("Method", *map(_plain, heads)),
        _pipes("---", *["--:"] * len(heads)),
    ]
    for line in layout.lines:
        label = _plain(line.label) if line.kind == "method" else f"*{_plain(line.label)}*"
        lines.append(_pipes(label, *map(_markdown_entry, line.entries)))
    return "\n".join([*lines, "", *(f"- {_plain(note)}" for note in layout.notes), ""])


def to_html(table: Table, extras: Extras | None = None, colors: str = "paper") -> str:
    """A page of its own; `fragment` and `style` are for a larger one."""
    title = escape(f"{table.study}: {table.measure.in_words}")
    parts = {"table": fragment(table, extras), "style": style(colors), "title": title}
    return PAGE.format(made_by=MADE_BY, **parts)


def style(colors: str = "paper") -> str:
    best, second = COLORS[colors]
    return STYLE.format(best=best, second=second)


def fragment(table: Table, extras: Extras | None = None) -> str:
    """Banner, table and notes."""
    layout = lay_out(table, extras or Extras())
    caption = escape(f"{table.study}: {table.measure.in_words}")
    parts = [f'<p class="petl-banner">{escape(layout.banner)}</p>'] if layout.banner else []
    parts += ['<div class="petl-scroll"><table class="petl">', f"<caption>{caption}</caption>"]
    parts += ["<thead>", *_heads(layout), "</thead>", "<tbody>"]
    parts += [_html_line(table, layout, line) for line in layout.lines]
    parts += ["</tbody>", "</table></div>", '<ul class="petl-notes">']
    parts += [f"<li>{escape(note)}.</li>" for note in layout.notes]
    return "\n".join([*parts, "</ul>"])


def _heads(layout: Layout) -> list[str]:
    rows = []
    if layout.has_groups:
        spans = [
            f'<th colspan="{span}"{" class=group" if head else ""}>{escape(head)}</th>'
            for head, span in layout.groups
        ]
        rows.append(f"<tr><th></th>{''.join(spans)}</tr>")
    titles = (f'<th scope="col">{escape(column.title)}</th>' for column in layout.columns)
    return [*rows, f'<tr><th scope="col">Method</th>{"".join(titles)}</tr>']


def _html_line(table: Table, layout: Layout, line: Line) -> str:
    cells = []
    for i, (column, entry) in enumerate(zip(layout.columns, line.entries, strict=True)):
        width = max(len(other.entries[i].beside) for other in layout.lines)
        attributes = (
            _attributes(table, column, table.rows[line.row]) if line.kind == "method" else ""
        )
        cells.append(f"<td{attributes}>{_html_entry(entry, width)}</td>")
    kinds = " ".join(filter(None, (line.kind, "rule" if line.rule else "")))
    return f'<tr class="{kinds}"><th scope="row">{escape(line.label)}</th>{"".join(cells)}</tr>'


def _attributes(table: Table, column: Column, row: Row) -> str:
    """For scripts: what to ask `--trace` for, and what to sort by."""
    if column.kind != "cell" or not isinstance(column.of, int):
        return ""
    cell, named = row.cells[column.of], {"row": row.method}
    named |= {"column": table.datasets[column.of].name}
    named |= {"value": f"{cell.mean:.10g}" if cell.found else ""}
    return "".join(f' data-{name}="{escape(value)}"' for name, value in named.items())


def _html_entry(entry: Entry, width: int) -> str:
    """Means are aligned because what stands beside them is as wide in every line."""
    mean = escape(entry.mean)
    if entry.mark:
        mean = f'<span class="{entry.mark}">{mean}</span>'
    if not width:
        return mean
    outside = ' class="outside"' if entry.outside else ""
    return f'{mean}<small{outside} style="width:{width}ch">{escape(entry.beside)}</small>'


def _markdown_entry(entry: Entry) -> str:
    marks = {"best": "**", "second": "*", "": ""}[entry.mark]
    mean = f"{marks}{_plain(entry.mean)}{marks}"
    return f"{mean} {_plain(entry.beside)}".strip()


def _plain(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>|#" else c for c in " ".join(text.split()))


def _pipes(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
