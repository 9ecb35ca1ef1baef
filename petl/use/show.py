"""Tables of evaluations and predictions: 80 columns wide, readable without colour."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from petl.config.kinds import metric
from petl.errors import several

if TYPE_CHECKING:
    from petl.use.evaluate import Evaluation

LABELS = {name: f"weighted {name}" for name in ("precision", "recall", "f1")}
WIDEST = 15
"""The most classes whose confusion matrix fits a terminal."""


def header(evaluation: Evaluation) -> str:
    run = evaluation.run
    epoch = "" if run.epoch is None else f" (epoch {run.epoch})"
    groups = f" in {several(evaluation.groups, 'group')}" if evaluation.groups is not None else ""
    if (together := evaluation.together) is not None:
        how = "mean probability" if together.combine == "mean" else "majority vote"
        what = f"{evaluation.clips} {evaluation.part} clips{groups}, each by all runs that have it"
        return f"{several(len(together.runs), 'run')} of {run.task.names.study}, {how}\n{what}"
    what = f"{several(evaluation.clips, 'clip')}{groups}"
    return (
        f"{run.task} · run {run.task.run_id}\n"
        f"{run.weights} weights{epoch} on {evaluation.part}: {what}"
    )


def metrics(evaluation: Evaluation) -> Table:
    """Each metric, and beside it what training recorded."""
    recorded = evaluation.recorded
    table = _table("", "measured", *(["recorded"] if recorded is not None else []))
    for name, value in evaluation.metrics.items():
        cells = [LABELS.get(name, metric(name).title), _number(name, value)]
        if recorded is not None and name in recorded:
            cells.append(_compared(evaluation, name, value, recorded[name]))
        table.add_row(*cells)
    if together := evaluation.together:
        headline = evaluation.run.task.kind.headline
        if together.interval:
            low, high = (_number(headline, end) for end in together.interval)
            title = f"{metric(headline).title}, 95 % interval"
            table.add_row(title, f"{low} to {high}")
        name = f"mean {metric(headline).title} of the runs alone"
        table.add_row(name, _number(headline, together.alone))
    if evaluation.top:
        table.add_row(f"accuracy among the top {evaluation.top[0]}", f"{evaluation.top[1]:.2%}")
    if evaluation.mean_auc is not None and "auc" not in evaluation.metrics:
        table.add_row("mean ROC-AUC", f"{evaluation.mean_auc:.4f}")
    return table


def _compared(evaluation: Evaluation, name: str, value: float, recorded: float) -> str:
    if recorded == value:
        return "the same"
    cached = evaluation.run.task.train.frozen == "cached"  # rounding differs
    near = cached and math.isclose(recorded, value, rel_tol=1e-6, abs_tol=1e-6)
    return "the same to 1e-6" if near else _number(name, recorded)


def ensembles(cells: Mapping[str, Sequence[Evaluation]]) -> Table:
    """A row for each method: its runs alone, and together in each way."""
    table = _table("", "runs", "alone", "mean probability", "majority vote", "mean ROC-AUC")
    for name, ways in cells.items():
        first = ways[0]
        headline, together = first.run.task.kind.headline, first.together
        assert together is not None
        shown = [_with_interval(way, headline) for way in ways]
        area = "" if first.mean_auc is None else f"{first.mean_auc:.4f}"
        alone = _number(headline, together.alone)
        table.add_row(name, str(len(together.runs)), alone, *shown, *[""] * (2 - len(shown)), area)
    return table


def _with_interval(evaluation: Evaluation, headline: str) -> str:
    text = _number(headline, evaluation.metrics[headline])
    if evaluation.together is None or evaluation.together.interval is None:
        return text
    low, high = evaluation.together.interval
    return f"{text} [{100 * low:.1f}, {100 * high:.1f}]"


def _number(name: str, value: float) -> str:
    if name == "classes_without_clips":
        return f"{value:.0f}"
    return f"{100 * value:.2f} %" if metric(name).percent else f"{value:.4f}"


def per_class(evaluation: Evaluation) -> Table:
    areas = ["" if area is None else f"{area:.3f}" for area in evaluation.auc]
    if not evaluation.confusion:
        table = _table("class", "average precision", "ROC-AUC", "clips")
        of_classes = zip(evaluation.run.names, evaluation.precision, areas, strict=True)
        for name, (precision, number), area in of_classes:
            shown = "" if precision is None else f"{100 * precision:.1f} %"
            table.add_row(name, shown, area, str(number))
        return table
    table = _table("class", "precision", "recall", "f1", "ROC-AUC", "clips")
    table.add_column("confused with")
    for label, scores in enumerate(evaluation.per_class()):
        ratios = [f"{100 * scores[name]:.1f} %" for name in ("precision", "recall", "f1")]
        clips, confused = str(int(scores["support"])), _confused_with(evaluation, label)
        table.add_row(evaluation.run.names[label], *ratios, areas[label], clips, confused)
    return table


def _confused_with(evaluation: Evaluation, label: int) -> str:
    counts = list((evaluation.confusion or [])[label])
    counts[label] = 0
    most = max(range(len(counts)), key=counts.__getitem__)
    return f"{evaluation.run.names[most]} ({counts[most]})" if counts[most] else ""


def confusion(evaluation: Evaluation) -> Table | str:
    """A row for each class. The columns are labels, because names would not fit."""
    rows = evaluation.confusion or []
    if len(rows) > WIDEST:
        return f"the confusion matrix of {len(rows)} classes is too wide for a table; use --json"
    table = _table("", *(str(label) for label in range(len(rows))))
    table.title, table.title_justify = "rows: true class, columns: predicted class", "left"
    for label, row in enumerate(rows):
        name = evaluation.run.names[label]
        table.add_row(f"{label} {name}", *(str(n) if n else "·" for n in row))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first)
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
