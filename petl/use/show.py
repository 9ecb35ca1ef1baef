"""What a person sees of evaluations and predictions: tables of 80 columns, readable in grey."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from petl.use.predict import Prediction, ranked

if TYPE_CHECKING:
    from petl.use.evaluate import Evaluation
    from petl.use.load import LoadedRun

PERCENT = ("accuracy", "balanced_accuracy", "precision", "recall", "f1")
LABELS = {"balanced_accuracy": "balanced accuracy"} | {
    name: f"weighted {name}" for name in ("precision", "recall", "f1")
}
WIDE = 15
"""More classes than this make no confusion matrix that fits a terminal."""


def header(found: Evaluation, run: LoadedRun) -> str:
    epoch = "" if run.epoch is None else f" (epoch {run.epoch})"
    return (
        f"{run.task} · run {run.task.run_id}\n"
        f"{run.weights} weights{epoch} on {found.split}: {found.clips} clips"
    )


def metrics(found: Evaluation) -> Table:
    """Beside each number what training recorded, unless it is the same."""
    table = _table("", "measured")
    if found.recorded is not None:
        table.add_column("recorded", justify="right")
    for name, value in found.metrics.items():
        row = [LABELS.get(name, name), _number(name, value)]
        if found.recorded is not None:
            row.append(_recorded(name, value, found.recorded.get(name)))
        table.add_row(*row)
    return table


def _recorded(name: str, value: float, recorded: float | None) -> str:
    if recorded is None:
        return ""
    return "the same" if recorded == value else _number(name, recorded)


def _number(name: str, value: float) -> str:
    return f"{100 * value:.2f} %" if name in PERCENT else f"{value:.4f}"


def per_class(found: Evaluation, run: LoadedRun) -> Table:
    table = _table("class", "precision", "recall", "f1", "clips", "most often taken for")
    for label, scores in enumerate(found.per_class()):
        ratios = [f"{100 * scores[name]:.1f} %" for name in ("precision", "recall", "f1")]
        clips = str(int(scores["support"]))
        table.add_row(run.names[label], *ratios, clips, _mistaken_for(found, run, label))
    return table


def _mistaken_for(found: Evaluation, run: LoadedRun, label: int) -> str:
    row = list((found.confusion or [])[label])
    row[label] = 0
    most = max(range(len(row)), key=row.__getitem__)
    return f"{run.names[most]} ({row[most]})" if row[most] else ""


def confusion(found: Evaluation, run: LoadedRun) -> Table | str:
    """A row for each class; its columns are the labels, since names would not fit."""
    rows = found.confusion or []
    if len(rows) > WIDE:
        return f"a confusion matrix of {len(rows)} classes is too wide here: --json has it"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="rows: true, columns: taken for")
    table.title_justify = "left"
    table.add_column("")
    for label in range(len(rows)):
        table.add_column(str(label), justify="right", no_wrap=True)
    for label, row in enumerate(rows):
        table.add_row(f"{label} {run.names[label]}", *(str(n) if n else "·" for n in row))
    return table


def predictions(found: Sequence[Prediction], run: LoadedRun, top: int) -> Table:
    heads = ("class", "probability") if run.classes else ("target", "value")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column(heads[0])
    table.add_column(heads[1], justify="right", no_wrap=True)
    for prediction in found:
        for i, (name, value) in enumerate(_answers(prediction, run, top)):
            table.add_row(str(prediction.file) if i == 0 else "", name, value)
    return table


def _answers(prediction: Prediction, run: LoadedRun, top: int) -> list[tuple[str, str]]:
    if prediction.error:
        return []
    if run.classes:
        return [(name, f"{100 * p:.1f} %") for name, p in ranked(prediction, run, top)]
    pairs = zip(run.names, prediction.values, strict=True)
    return [(name, f"{value:.4g}") for name, value in pairs]


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first)
    for head in others:
        words = "most" in head
        table.add_column(head, justify="left" if words else "right", no_wrap=not words)
    return table
