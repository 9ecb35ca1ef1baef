"""Published numbers from experiments/paper.yaml, found by a cell's backbone and labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from analysis.cells import GROUP, Row, Table
from petl.config.study import EXPERIMENTS
from petl.config.yamlfile import read_yaml
from petl.errors import UserError

PAPER = EXPERIMENTS / "paper.yaml"
BACKBONES = {"table1": "ast", "table2": "ast", "table3": "wav2vec2"}

Labels = tuple[str, str, str]
"""Of a cell: backbone, method label and dataset label."""


@dataclass(frozen=True)
class Reference:
    """`averages`: by backbone and method label, the average and the datasets that it is over."""

    name: str
    source: str
    values: dict[Labels, float] = field(repr=False)
    digits: dict[str, int]
    params: dict[Labels, str] = field(repr=False)
    averages: dict[tuple[str, str], tuple[float, frozenset[str]]] = field(repr=False)
    notes: tuple[tuple[Labels, str], ...] = ()

    def value(self, row: Row, dataset: str) -> float | None:
        return self.values.get((row.backbone, row.method_label, dataset))

    def average(self, row: Row, datasets: frozenset[str]) -> float | None:
        value, over = self.averages.get((row.backbone, row.method_label), (None, frozenset()))
        return value if over == datasets else None

    def parameters(self, row: Row, dataset: str) -> str:
        return self.params.get((row.backbone, row.method_label, dataset), "")

    def text(self, value: float, label: str) -> str:
        return f"{value:.{self.digits.get(label, 2)}f}"

    def about(self, table: Table) -> list[str]:
        """The notes that concern this table."""
        rows = {(row.backbone, row.method_label) for row in table.rows}
        columns = {dataset.label for dataset in table.datasets}
        if any(self.average(row, frozenset(columns)) is not None for row in table.rows):
            columns.add("Avg")
        return [text for at, text in self.notes if at[:2] in rows and at[2] in columns]


@cache
def references() -> tuple[Reference, ...]:
    """The paper, then the reproductions."""
    data = read_yaml(PAPER).data
    return (_published(data), *map(_reproduced, data["reproductions"]))


def beside(table: Table) -> tuple[Reference, ...]:
    """The references that have a number for some cell of the table."""
    if table.measure.name != "accuracy":
        raise UserError(
            f"--paper compares accuracies, and this table shows {table.measure.column}; "
            "choose --metric test_last or test_best"
        )
    matching = tuple(
        reference
        for reference in references()
        if any(
            reference.value(row, dataset.label) is not None
            for row in table.rows
            for dataset in table.datasets
        )
    )
    if not matching:
        raise UserError(
            f"experiments/paper.yaml has no number for {table.study}; it has them by backbone and "
            f"the labels of methods and datasets, such as ast, '{_some_label()}' and 'ESC'"
        )
    return matching


def _published(data: dict[str, Any]) -> Reference:
    values: dict[Labels, float] = {}
    digits: dict[str, int] = {}
    params: dict[Labels, str] = {}
    averages = {}
    for name, backbone in BACKBONES.items():
        table = dict(data[name])
        columns = table.pop("columns")
        for method, row in table.items():
            cells = dict(_cells(columns, row))
            measured = {k: v for k, v in cells.items() if isinstance(v, float | int) and k != "Avg"}
            for dataset, value in measured.items():
                values[backbone, method, dataset] = float(value)
                digits[dataset] = 1 if name == "table2" else 2
                count = cells.get("params_IEM" if dataset == "IEM" else "params", "")
                params[backbone, method, dataset] = str(count)
            if "Avg" in cells:
                averages[backbone, method] = (float(cells["Avg"]), frozenset(measured))
    notes = []
    for note in data["corrections"]:
        backbone, method, column = BACKBONES[note["table"]], note["method"], note["column"]
        averages[backbone, method] = (note["correct"], averages[backbone, method][1])
        text = f"{method}, {column}: the paper prints {note['printed']:.2f}; {note['why']}"
        notes.append(((backbone, method, column), text))
    return Reference(
        "published", str(data["source"]), values, digits, params, averages, tuple(notes)
    )


def _reproduced(data: dict[str, Any]) -> Reference:
    method, backbone = data["method"], "ast"
    values, notes = {}, []
    for dataset, value in data.items():
        if isinstance(value, float) and not dataset.endswith("_std"):
            values[backbone, method, dataset] = value
            if spread := data.get(f"{dataset}_std"):
                text = f"{method}, {dataset}: the reproduction's spread is {spread:.2f}"
                notes.append(((backbone, method, dataset), text))
    return Reference("reproduction", str(data["by"]), values, {}, {}, {}, tuple(notes))


def _cells(columns: Any, row: Any) -> Iterator[tuple[str, Any]]:
    """Table 2 has a list for each dataset, with a number for each number of examples."""
    if isinstance(columns, list):
        yield from zip(columns, row, strict=True)
        return
    for head, numbers in columns.items():
        for number, value in zip(numbers, row[head], strict=True):
            yield f"{head}{GROUP}{number}", value


def _some_label() -> str:
    return next(method for _, method, _ in references()[0].values)
