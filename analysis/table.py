"""A study's table in the shape of the paper's Table 1: methods down, datasets across.

Two rules keep it honest. A cell over fewer runs than the study asks for says so, and takes no part
in the row's average or in the contest for the best. And what the reader sees decides: numbers that
print alike share their mark.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from io import StringIO

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

DASH = "\u2013"
PARAMS = "params.trainable_without_head"
SPREAD = "Mean ± population standard deviation over folds, seeds averaged within their fold first"
COUNTED = "Params: trainable, without the head"
CSV_COLUMNS = (
    *("study", "metric", "unit", "dataset", "backbone", "method", "dataset_label", "method_label"),
    *("mean", "std", "n", "expected", "params"),
)


@dataclass(frozen=True)
class Cell:
    """`folds` holds one number per fold that has a run, each the mean over its seeds."""

    folds: tuple[float, ...]
    found: int
    expected: int
    params: int | None

    @property
    def mean(self) -> float:
        return sum(self.folds) / len(self.folds) if self.folds else math.nan

    @property
    def std(self) -> float | None:
        """The population's, as published. One fold has no spread, which is not a spread of 0."""
        if len(self.folds) < 2:
            return None
        return math.sqrt(sum((fold - self.mean) ** 2 for fold in self.folds) / len(self.folds))

    @property
    def complete(self) -> bool:
        return self.found == self.expected > 0

    @property
    def counts(self) -> str:
        return "" if self.found == self.expected else f"({self.found}/{self.expected})"


@dataclass(frozen=True)
class Row:
    backbone: str
    method: str
    label: str
    cells: tuple[Cell, ...]

    @property
    def average(self) -> float | None:
        whole = all(cell.complete for cell in self.cells)
        return sum(cell.mean for cell in self.cells) / len(self.cells) if whole else None

    @property
    def params(self) -> str:
        """`251K`, or `270K-272K` where the datasets' settings differ."""
        counts = [cell.params for cell in self.cells if cell.params is not None]
        ends = dict.fromkeys(short(count) for count in (min(counts), max(counts))) if counts else ()
        return DASH.join(ends) or DASH


@dataclass(frozen=True)
class Table:
    study: str
    metric: str
    datasets: tuple[tuple[str, str], ...]  # (name, label)
    rows: tuple[Row, ...]

    @property
    def is_loss(self) -> bool:
        """A loss is not a share of anything, and the lower the better."""
        return self.metric.endswith("loss")

    @property
    def has_average(self) -> bool:
        return len(self.datasets) > 1

    def marks(self, column: int) -> list[str]:
        """`best`, `second` or nothing for each row; the column after the datasets' is Avg."""
        if column == len(self.datasets):
            values = [row.average for row in self.rows]
        else:
            cells = [row.cells[column] for row in self.rows]
            values = [cell.mean if cell.complete else None for cell in cells]
        return podium(values, lowest_first=self.is_loss)


def build(frame: pd.DataFrame, metric: str) -> Table:
    """One metric of `analysis.load`'s rows; methods and datasets keep the study's order."""
    datasets = frame[["dataset", "dataset_label"]].drop_duplicates("dataset")
    several = frame["backbone"].nunique() > 1
    rows = []
    for (backbone, method), runs in frame.groupby(["backbone", "method"], sort=False):
        label = runs["method_label"].iloc[0] + (f" ({backbone})" if several else "")
        cells = (_cell(runs[runs["dataset"] == name], metric) for name in datasets["dataset"])
        rows.append(Row(backbone, method, label, tuple(cells)))
    columns = tuple(datasets.itertuples(index=False, name=None))
    return Table(frame["study"].iloc[0], metric, columns, tuple(rows))


def _cell(runs: pd.DataFrame, metric: str) -> Cell:
    done = runs[runs["state"] == "done"]
    scale = 1 if metric.endswith("loss") else 100
    # a NaN must stay visible: pandas would leave it out of the mean
    folds = done.groupby("fold")[metric].agg(lambda seeds: seeds.mean(skipna=False))
    params = done[PARAMS].dropna()
    return Cell(
        tuple(scale * float(fold) for fold in folds),
        found=len(done),
        expected=len(runs),
        params=int(params.iloc[0]) if len(params) else None,
    )


def podium(values: list[float | None], lowest_first: bool = False) -> list[str]:
    """Best and second best as printed; a tie shares its place, and one runner has no race."""
    printed = [None if v is None or math.isnan(v) else float(number(v)) for v in values]
    running = [v for v in printed if v is not None]
    places = sorted(set(running), reverse=not lowest_first) if len(running) > 1 else []
    names = dict(zip(places, ("best", "second"), strict=False))
    return [names.get(v, "") if v is not None else "" for v in printed]


def short(count: int) -> str:
    """`250512` -> `251K`: three digits, as much as a table has room for."""
    rounded = float(f"{count:.3g}")
    for size, unit in ((1e6, "M"), (1e3, "K")):
        if rounded >= size:
            return f"{rounded / size:.3g}{unit}"
    return f"{rounded:.0f}"


def number(value: float) -> str:
    return "NaN" if math.isnan(value) else f"{value:.1f}"


# --- for a terminal -------------------------------------------------------------------------------

STYLES = {"best": "bold", "second": "underline", "": ""}


def to_text(table: Table, styled: bool = False) -> str:
    """Aligned columns; `styled` adds bold and underline for a terminal that can show them."""
    grid = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column("Method")
    grid.add_column("Params", justify="right")
    columns = []
    for i, (_, label) in enumerate(table.datasets):
        grid.add_column(Text(label))
        columns.append(_texts([row.cells[i] for row in table.rows], table.marks(i)))
    if table.has_average:
        grid.add_column("Avg", justify="right")
        averages = [DASH if row.average is None else number(row.average) for row in table.rows]
        marks = table.marks(len(table.datasets))
        columns.append([Text(a, STYLES[m]) for a, m in zip(averages, marks, strict=True)])
    for row, *cells in zip(table.rows, *columns, strict=True):
        grid.add_row(Text(row.label), row.params, *cells)

    buffer = StringIO()
    colours = "standard" if styled else None
    Console(file=buffer, width=10_000, force_terminal=styled, color_system=colours).print(grid)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()).strip("\n")


def _texts(cells: list[Cell], marks: list[str]) -> list[Text]:
    means = [number(cell.mean) if cell.found else DASH for cell in cells]
    width = max(map(len, means))
    texts = []
    for cell, mean, mark in zip(cells, means, marks, strict=True):
        spread = "" if cell.std is None else f" ± {number(cell.std)}"
        figures = Text(f"{mean}{spread}", STYLES[mark])
        counts = f" {cell.counts}" if cell.counts else ""
        texts.append(Text(" " * (width - len(mean))).append_text(figures).append(counts))
    return texts


# --- for a program --------------------------------------------------------------------------------


def to_csv(table: Table) -> str:
    """A line per cell, with every digit."""
    lines = [
        (
            *(table.study, table.metric, "" if table.is_loss else "percent"),
            *(name, row.backbone, row.method, label, row.label),
            *(cell.mean, cell.std, cell.found, cell.expected, cell.params),
        )
        for row in table.rows
        for (name, label), cell in zip(table.datasets, row.cells, strict=True)
    ]
    frame = pd.DataFrame(lines, columns=list(CSV_COLUMNS)).astype({"params": "Int64"})
    return frame.to_csv(index=False, lineterminator="\n")
