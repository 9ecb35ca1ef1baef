"""The style of all figures: for print, for greyscale, and for readers who are colour-blind.

Colour is never the only difference: lines have different markers and dashes, areas have different
hatches, and lines are dark enough to read on paper. Fonts are embedded as TrueType (Type 42).
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from petl.files import refuse_foreign, write_output

ONE_COLUMN, TWO_COLUMNS, PANEL_HEIGHT = 3.4, 7.16, 2.55  # inches
WIDTHS = {"single": ONE_COLUMN, "double": TWO_COLUMNS}
MARKERS = [("o", 4.6), ("s", 4.2), ("D", 3.9), ("^", 5), ("v", 5), ("P", 5.4), ("X", 5.2)]
MARKERS += [("p", 5.4), ("<", 5), (">", 5), ("*", 7), ("h", 5.2), ("d", 5.4), ("8", 4.8)]
DASHES: list[Any] = ["-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5))]
DASHES += [(0, (9, 2)), (0, (3, 1.2, 1, 1.2, 1, 1.2))]
HATCHES = ["", "/////", ".....", "\\\\\\\\\\", "xxxxx", "-----", "+++++", "ooo"]
INK, FAINT, WARNING = "#333333", "#dedede", "#aa0000"
STYLE = {
    "font.size": 7.5,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "hatch.linewidth": 0.5,
    "text.parse_math": False,  # a dollar sign in a name is not the start of a formula
    "pdf.fonttype": 42,  # type 3, the default, is refused by some publishers
}
KINDS = ("png", "pdf")
METADATA = {"png": {"Software": "petl-ast"}, "pdf": {"Creator": "petl-ast", "CreationDate": None}}
BANNER = {"size": 8, "weight": "bold", "color": WARNING}
SMALL, LEADING = 6.2, 8.0  # points, of a footnote


def sheet(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=300, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def color_of(i: int, brightest: float = 0.6) -> tuple[float, ...]:
    """From a palette for colour-blind readers, darkened until it is visible in greyscale too."""
    palette = sns.color_palette("colorblind")
    red, green, blue = palette[i % len(palette)]
    brightness = 0.3 * red + 0.59 * green + 0.11 * blue
    return tuple(channel * min(1, brightest / brightness) for channel in (red, green, blue))


def line_look(i: int) -> dict[str, Any]:
    """A colour dark enough for a thin line, with its marker."""
    marker, size = MARKERS[i % len(MARKERS)]
    color = color_of(i, brightest=0.45)
    look = {"color": color, "linewidth": 1.1, "marker": marker, "markersize": 0.7 * size}
    return look | {"markeredgewidth": 0.7}


def dress(axis: Axes) -> None:
    """A faint grid in the background, round numbers on the y axis, no box."""
    axis.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axis.grid(color=FAINT, lw=0.5)
    axis.set_axisbelow(True)
    axis.tick_params(length=2.5, width=0.6)
    sns.despine(ax=axis)


def entitle(axis: Axes, title: str) -> None:
    axis.set_title(title, loc="left", size=8, weight="bold", color=INK)


def annotate(figure: Figure, banner: str, notes: Sequence[str]) -> Figure:
    """Add a banner above and notes below; the figure grows, so the axes keep their size."""
    width, height = figure.get_size_inches()
    foot = textwrap.wrap("  ".join(f"{n}." for n in notes), int(width * 72 / (0.5 * SMALL)))
    above = 13 / 72 if banner else 0.0
    below = (LEADING * len(foot) + 2) / 72 if foot else 0.0
    whole = height + above + below
    figure.set_size_inches(width, whole)
    figure.get_layout_engine().set(rect=(0, below / whole, 1, height / whole))
    for legend in figure.legends:  # the layout puts legends at the figure's edge, over the banner
        legend.borderaxespad += 72 * above / legend.get_texts()[0].get_size()
    if banner:
        title = figure.suptitle(banner, y=1 - 2 / 72 / whole, va="top", **BANNER)
        title.set_in_layout(False)
    look = {"size": SMALL, "color": "#555555", "va": "bottom"}
    figure.text(2 / 72 / width, 2 / 72 / whole, "\n".join(foot), **look)
    return figure


# --- files ----------------------------------------------------------------------------------------


@mpl.rc_context(STYLE)
def to_bytes(figure: Figure, kind: str) -> bytes:
    """The same figure always gives the same bytes: there is no date in it."""
    buffer = BytesIO()
    figure.savefig(buffer, format=kind, dpi=300, metadata=METADATA[kind])
    return buffer.getvalue()


def save(figure: Figure, paths: Mapping[str, Path]) -> None:
    """Write a file of each kind. If petl did not make one that exists, write none."""
    for path in paths.values():
        refuse_foreign(path, b"petl-ast")
    for kind, path in paths.items():
        write_output(path, to_bytes(figure, kind))
