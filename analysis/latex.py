"""The table as LaTeX: a tabular for \\input, and a small document that shows it alone.

Colour and weight are commands, so that a paper in grey, or one for readers who do not tell red from
green, changes a line of its preamble and not the table.
"""

from __future__ import annotations

from analysis.table import COUNTED, DASH, SPREAD, Cell, Table, number

HEAD = r"""% Made by petl-ast from the study @study@. @metric@.
% @spread@.
% @counted@. Needs \usepackage{booktabs,xcolor}.
% For other marks define the colours petlbest and petlsecond, or the commands \petlbest and
% \petlsecond, before this is read.
\providecolor{petlbest}{HTML}{1B7837}%
\providecolor{petlsecond}{HTML}{B2182B}%
\providecommand{\petlbest}[1]{\textcolor{petlbest}{\textbf{#1}}}%
\providecommand{\petlsecond}[1]{\textcolor{petlsecond}{\underline{#1}}}%
"""

ALONE = r"""% Made by petl-ast: table.tex on a page of its own size.
\documentclass[border=6pt]{standalone}
\usepackage{booktabs,xcolor}
\begin{document}%
\input{table.tex}%
\end{document}
"""

SPECIAL = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},
    **{"[": "{[}", "*": "{*}"},  # at the start of a line, \\ of the line before would take them
    **{"±": r"$\pm$", DASH: "--"},
}


def to_latex(table: Table) -> str:
    """Mean and spread have a column each, so that the decimal points of both are in line."""
    columns, average = len(table.datasets), table.has_average
    heads = [rf"\multicolumn{{2}}{{c}}{{{escape(label)}}}" for _, label in table.datasets]
    marks = [table.marks(column) for column in range(columns + 1)]
    lines = [
        r"\begin{tabular}{lr" + r"r@{\,}l" * columns + "r" * average + "}",
        r"\toprule",
        _line("Method", "Params", *heads, *["Avg"] * average),
        r"\midrule",
    ]
    for i, row in enumerate(table.rows):
        cells = [_cell(cell, marks[column][i]) for column, cell in enumerate(row.cells)]
        if average:
            text = "--" if row.average is None else number(row.average)
            cells.append(_marked(text, marks[columns][i]))
        lines.append(_line(escape(row.label), escape(row.params), *cells))
    return _head(table) + "\n".join([*lines, r"\bottomrule", r"\end{tabular}%", ""])


def escape(text: str) -> str:
    return "".join(SPECIAL.get(character, character) for character in " ".join(text.split()))


def _head(table: Table) -> str:
    facts = {
        "study": " ".join(table.study.split()),
        "metric": table.metric + ("" if table.is_loss else " in percent"),
        "spread": SPREAD.replace("±", "+-"),
        "counted": COUNTED,
    }
    head = HEAD
    for name, fact in facts.items():
        head = head.replace(f"@{name}@", fact)
    return head


def _line(*cells: str) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: Cell, mark: str) -> str:
    mean = _marked(number(cell.mean), mark) if cell.found else "--"
    spread = "" if cell.std is None else rf"$\pm$\,{number(cell.std)}"
    beside = " ".join(part for part in (spread, cell.counts) if part)
    return f"{mean} & " + (rf"{{\footnotesize {beside}}}" if beside else "")


def _marked(text: str, mark: str) -> str:
    return rf"\petl{mark}{{{text}}}" if mark else text
