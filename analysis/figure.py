"""Accuracy against trainable parameters: what a method costs beside what it gives.

Drawn for print: one column of a paper for one dataset, both columns for several. Every method has
its own marker and its name beside it, so that the picture needs neither colour nor a legend.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from io import BytesIO

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from analysis.cells import Cell, Row, Table, short
from analysis.layout import banner
from analysis.measure import Measure
from analysis.names import Named, write_names

ONE_COLUMN, TWO_COLUMNS, PANEL_HEIGHT = 3.4, 7.16, 2.55  # inches
MARKERS = [("o", 4.6), ("s", 4.2), ("D", 3.9), ("^", 5), ("v", 5), ("P", 5.4), ("X", 5.2)]
MARKERS += [("p", 5.4), ("<", 5), (">", 5), ("*", 7), ("h", 5.2), ("d", 5.4), ("8", 4.8)]
INK, FAINT = "#333333", "#dedede"
STYLE = {
    "font.size": 7.5,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "pdf.fonttype": 42,  # type 3, the default, is refused by some publishers
}
METADATA = {"png": {"Software": "petl-ast"}, "pdf": {"Creator": "petl-ast", "CreationDate": None}}


@mpl.rc_context(STYLE)
def draw(table: Table) -> Figure:
    """One panel per dataset, and a point in it for each method that has a finished run.

    Mean and standard deviation over folds; the dots beside are the folds. Hollow: runs are missing.
    """
    panels = len(table.datasets)
    across, down = min(panels, 2), -(-panels // 2)
    width = ONE_COLUMN if panels == 1 else TWO_COLUMNS
    figure = Figure(figsize=(width, PANEL_HEIGHT * down), dpi=300, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for column, dataset in enumerate(table.datasets):
        _panel(axes[column], table, column)
        if panels > 1:
            title = axes[column].set_title(
                dataset.label, loc="left", size=8, weight="bold", color=INK
            )
            title.set_parse_math(False)
        if column % across == 0:
            axes[column].set_ylabel(_in_words(table.measure))
        if column + across >= panels:
            axes[column].set_xlabel("Trainable parameters, without the head")
    for spare in axes[panels:]:
        spare.set_visible(False)

    if table.synthetic:
        figure.suptitle(banner(table).replace(",", ""), size=8, weight="bold", color="#aa0000")

    # where a name fits is known only once the axes have their place
    figure.draw_without_rendering()
    for column, axis in enumerate(axes[:panels]):
        write_names(axis, [_named(i, row, cell) for i, row, cell in _points(table, column)])
    return figure


@mpl.rc_context(STYLE)
def to_bytes(figure: Figure, kind: str) -> bytes:
    """The same picture gives the same bytes: no date in it."""
    buffer = BytesIO()
    figure.savefig(buffer, format=kind, dpi=300, metadata=METADATA[kind])
    return buffer.getvalue()


def _panel(axis: Axes, table: Table, column: int) -> None:
    beside = axis.transData + ScaledTranslation(-4 / 72, 0, axis.figure.dpi_scale_trans)
    for i, row, cell in _points(table, column):
        x, color = _x(cell), color_of(i)
        axis.errorbar(x, cell.mean, cell.std, color=color, elinewidth=1, capsize=2.2, zorder=3)
        marker, size = MARKERS[i % len(MARKERS)]
        inside = color if cell.complete else "white"
        axis.plot(x, cell.mean, marker, ms=size, mfc=inside, mec=color, mew=0.8, zorder=4)
        if len(cell.folds) > 1:
            dots = {"color": color, "alpha": 0.45, "ms": 2, "mew": 0, "transform": beside}
            axis.plot([x] * len(cell.folds), cell.folds, "o", **dots)
            ends = _named(i, row, cell)  # dots beside the data do not widen the axis by themselves
            axis.update_datalim([(x, ends.low), (x, ends.high)])
    axis.set_xscale("log")
    axis.margins(x=0.13, y=0.1)
    axis.xaxis.set_major_locator(LogLocator(10))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: short(round(x))))
    axis.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axis.grid(color=FAINT, lw=0.5)
    axis.set_axisbelow(True)
    axis.tick_params(length=2.5, width=0.6)
    sns.despine(ax=axis)


def _points(table: Table, column: int) -> Iterator[tuple[int, Row, Cell]]:
    """What can be drawn, with its number: a method keeps its marker in every panel."""
    for i, row in enumerate(table.rows):
        cell = row.cells[column]
        if math.isfinite(cell.mean) and cell.params is not None:
            yield i, row, cell


def _x(cell: Cell) -> int:
    """A logarithm has no 0: a method that trains the head alone stands at the far left."""
    return max(cell.params or 0, 1)


def color_of(i: int, brightest: float = 0.6) -> tuple[float, ...]:
    """Of a palette that colour-blind people can tell apart, darkened until it shows in grey too."""
    palette = sns.color_palette("colorblind")
    red, green, blue = palette[i % len(palette)]
    brightness = 0.3 * red + 0.59 * green + 0.11 * blue
    return tuple(channel * min(1, brightest / brightness) for channel in (red, green, blue))


def _named(i: int, row: Row, cell: Cell) -> Named:
    spread = cell.std or 0
    return Named(
        f"{row.label} {cell.counts}".strip(),
        _x(cell),
        cell.mean,
        low=min(*cell.folds, cell.mean - spread),
        high=max(*cell.folds, cell.mean + spread),
        color=color_of(i, brightest=0.36),
    )


def _in_words(measure: Measure) -> str:
    split, _, name = measure.column.partition(".")
    where = {"test": "Test", "val": "Validation", "train": "Training"}.get(split.partition("_")[0])
    words = " ".join(filter(None, (where, name.replace("_", " ")))).capitalize()
    return f"{words} (%)" if measure.percent else words
