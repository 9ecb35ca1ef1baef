"""The table as LaTeX: a tabular for \\input, and a small document that shows it alone.

Colour and weight are commands: a paper can redefine them in its preamble and keep the table.
"""

from __future__ import annotations

from analysis.cells import DASH, Table
from analysis.tables.layout import COLORS, MADE_UP, MIXED, Entry, Extras, Layout, Line, lay_out

HEAD = r"""% Made by petl-ast from the study @study@.
@notes@
% Needs \usepackage{booktabs,xcolor}. For other marks define the colours petlbest and petlsecond, or
% the commands \petlbest, \petlsecond and \petloutside, before this is read.
\providecolor{petlbest}{HTML}{@best@}%
\providecolor{petlsecond}{HTML}{@second@}%
\providecommand{\petlbest}[1]{\textcolor{petlbest}{\textbf{#1}}}%
\providecommand{\petlsecond}[1]{\textcolor{petlsecond}{\underline{#1}}}%
\providecommand{\petloutside}[1]{\textbf{#1}}%
"""

ALONE = r"""% Made by petl-ast: table.tex on a page of its own size.
\documentclass[border=6pt,varwidth=40cm]{standalone}
\usepackage{booktabs,xcolor}
\begin{document}%
\setbox0\hbox{\input{table.tex}}\copy0

\medskip\parbox{\wd0}{\footnotesize\raggedright @notes@}%
\end{document}
"""

SPECIAL = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},
    **{"[": "{[}", "*": "{*}"},  # at the start of a line, \\ of the line before would take them
    **{
        "\u00b1": r"$\pm$",
        DASH: "--",
        "\u2212": "$-$",
        MADE_UP: r"\ddag{}",
        MIXED: r"\dag{}",
        "\u00b7": r"$\cdot$",
    },
}


def to_latex(table: Table, extras: Extras | None = None, colors: str = "paper") -> str:
    """Mean and spread have a column each, so that the decimal points of both are in line."""
    layout = lay_out(table, extras or Extras())
    width = 1 + sum(_span(layout, i) for i in range(len(layout.columns)))
    lines = [rf"\begin{{tabular}}{{l{_alignment(layout)}}}", r"\toprule"]
    if layout.banner:
        lines += [
            rf"\multicolumn{{{width}}}{{c}}{{\textbf{{{escape(layout.banner)}}}}} \\",
            r"\midrule",
        ]
    if layout.has_groups:
        lines += _group_heads(layout)
    heads = [_over(_span(layout, i), escape(c.title)) for i, c in enumerate(layout.columns)]
    lines += [_row("Method", *heads), r"\midrule"]
    for line in layout.lines:
        lines += [r"\midrule"] * line.rule + [_line(layout, line)]
    return _head(table, layout, colors) + "\n".join([*lines, r"\bottomrule", r"\end{tabular}%", ""])


def alone(table: Table, extras: Extras | None = None) -> str:
    notes = lay_out(table, extras or Extras()).notes
    return ALONE.replace("@notes@", " ".join(f"{escape(note)}." for note in notes))


def escape(text: str) -> str:
    return "".join(SPECIAL.get(character, character) for character in " ".join(text.split()))


def _head(table: Table, layout: Layout, colors: str) -> str:
    best, second = COLORS[colors]
    notes = [note for note in (layout.banner, *layout.notes) if note]
    facts = {
        "study": " ".join(table.study.split()),
        "notes": "\n".join(f"% {_ascii(note)}." for note in notes),
        "best": best,
        "second": second,
    }
    head = HEAD
    for name, fact in facts.items():
        head = head.replace(f"@{name}@", fact)
    return head


def _ascii(text: str) -> str:
    """A comment must not break a paper in another encoding."""
    plain = {"\u00b1": "+-", DASH: "-", MADE_UP: "++", MIXED: "+", "\u00b7": "/", "\u2212": "-"}
    text = "".join(plain.get(character, character) for character in " ".join(text.split()))
    return text.encode("ascii", "replace").decode()


def _span(layout: Layout, i: int) -> int:
    return 2 if layout.columns[i].wide else 1


def _alignment(layout: Layout) -> str:
    return "".join(r"r@{\,}l" if column.wide else "r" for column in layout.columns)


def _group_heads(layout: Layout) -> list[str]:
    heads, rules, at, column = [""], "", 2, 0
    for title, count in layout.groups:
        span = sum(_span(layout, i) for i in range(column, column + count))
        heads.append(_over(span, escape(title), always=True))
        if title:
            rules += rf"\cmidrule(lr){{{at}-{at + span - 1}}}"
        at, column = at + span, column + count
    return [_row(*heads), rules]


def _over(span: int, text: str, always: bool = False) -> str:
    return rf"\multicolumn{{{span}}}{{c}}{{{text}}}" if span > 1 or always else text


def _row(*cells: str) -> str:
    return " & ".join(cells) + r" \\"


def _line(layout: Layout, line: Line) -> str:
    theirs = line.kind == "reference"
    label = rf"\quad{{\scriptsize {escape(line.label)}}}" if theirs else escape(line.label)
    cells = []
    for column, entry in zip(layout.columns, line.entries, strict=True):
        cells.append(
            rf"{{\scriptsize {escape(entry.mean)}}}" if theirs and entry.mean else _mean(entry)
        )
        if column.wide:
            cells.append(_beside(entry, r"\scriptsize" if theirs else r"\footnotesize"))
    return _row(label, *cells)


def _mean(entry: Entry) -> str:
    text = escape(entry.mean)
    return rf"\petl{entry.mark}{{{text}}}" if entry.mark else text


def _beside(entry: Entry, size: str) -> str:
    if not entry.beside:
        return ""
    text = escape(entry.beside).replace(r"$\pm$ ", r"$\pm$\,")
    text = rf"\petloutside{{{text}}}" if entry.outside else text
    return f"{{{size} {text}}}"
