"""The rows below a regression's table: what predicts without a network, on the same splits."""

from __future__ import annotations

import csv
import io
import math
import re

import pytest

from analysis.figures.parameters import draw
from analysis.figures.runs import folds
from analysis.measure import Measure
from analysis.tables.tabulate import Options, tabulate

MOODS = {
    "label": "Moods",
    "dataset": {
        **{"corpus": "moods", "layout": "table", "targets": ["valence", "arousal"], "folds": 3},
        **{"frames": 100, "split": "given", "spec_augment": None},
        "table": {"file": "clips.csv", "path": "file", "fold": "fold"},
    },
    "train": {"epochs": 5, "batch_size": 8},
}
SPLIT_TWICE = {"group": r"(\d+)\.", "table": {"file": "clips.csv", "path": "file"}}
LABELS = ["constant (training mean)", "ridge on mel statistics"]


@pytest.fixture
def moods(made_study, made_result):
    """The ridge is better than one of the methods; its CCC is 0.1 more in each fold."""
    made = made_study(
        datasets={"moods": MOODS},
        matrix={"dataset": ["moods", "esc50"], "fold": [0, 1, 2], "seed": [10, 11]},
    )
    for task in made.study.tasks:
        result = made_result(task, 0.5)
        if task.dataset.targets:
            scores = {"rmse": 0.2 if task.names.method == "full" else 0.3, "ccc": 0.6}
            result["metrics"] = dict.fromkeys(("test_last", "test_best", "val_best"), scores)
            ridge = {"rmse": 0.25, "ccc": 0.3 + 0.1 * task.fold}
            result["floors"] = {"constant": {"rmse": 0.29, "ccc": 0.0}, "ridge": ridge}
        made.write(task, result)
    return made


def test_the_floors_are_the_last_rows_and_not_ranked(moods) -> None:
    found = tabulate(moods.study, moods.runs, Options(metric="test_last.rmse"))
    column = found.table.column("Moods")
    assert [row.label for row in found.table.floors] == LABELS
    assert found.table.marks(column) == ["best", "second"]  # the ridge is between them
    text = found.in_format("text")
    assert text.index("0.300") < text.index(LABELS[0]) < text.index(LABELS[1])
    assert "Below the line, not ranked" in text and "lower is better" in text
    for form in ("latex", "markdown", "html"):
        assert all(label in found.in_format(form) for label in LABELS)
    lines = list(csv.DictReader(io.StringIO(found.in_format("csv"))))
    ridges = [line for line in lines if line["method"] == "ridge" and line["dataset"] == "moods"]
    assert [(line["mean"], line["n"], line["params"]) for line in ridges] == [("0.25", "6", "")]


def test_each_split_counts_once_and_has_a_spread(moods) -> None:
    table = tabulate(moods.study, moods.runs, Options(metric="test_best.ccc")).table
    ridge = table.floors[1].cells[table.column("Moods")]
    assert ridge.folds == pytest.approx((0.3, 0.4, 0.5))
    assert (ridge.finished, ridge.expected) == (6, 6)
    assert ridge.std == pytest.approx(math.sqrt(0.02 / 3))


def test_a_run_without_floors_is_counted_as_missing(moods) -> None:
    """Of an older version, or not finished."""
    for task in moods.study.tasks:
        if task.dataset.targets and (task.fold, task.seed) == (2, 11):
            run = moods.runs / "made" / task.run_id / "result.json"
            run.unlink()
    table = tabulate(moods.study, moods.runs, Options(metric="test_best.ccc")).table
    cell = table.floors[0].cells[table.column("Moods")]
    assert (cell.finished, cell.expected, cell.counts) == (5, 6, "(5/6)")


def test_a_classification_and_a_cost_have_no_floors(moods) -> None:
    for metric in ("test_last.accuracy", "gpu_hours", "val_best.rmse"):
        found = tabulate(moods.study, moods.runs, Options(metric=metric))
        assert not found.table.floors
        assert "Below the line" not in found.in_format("text")


def test_figures_show_the_floors_by_name(moods) -> None:
    found = tabulate(moods.study, moods.runs, Options(metric="test_last.ccc"))
    axis = draw(found.table).axes[0]
    assert {*LABELS} <= {text.get_text() for text in axis.texts}
    strips = folds(found.frame, Measure.of("test_last.ccc")).axes[0]
    assert [label.get_text() for label in strips.get_yticklabels()][-2:] == LABELS


def test_generators_have_real_clips_below_the_line(made_study, made_result) -> None:
    made = made_study(matrix={"dataset": "esc50", "method": ["gan", "flow"], "fold": [0, 1]})
    for task in made.study.tasks:
        result = made_result(task, 0.5)
        scores = {"kernel_distance": 3.0, "coverage": 0.5}
        result["metrics"] = dict.fromkeys(("test_last", "test_best", "val_best"), scores)
        result["floors"] = {"real": {"kernel_distance": -0.25, "coverage": 0.97}}
        made.write(task, result)
    label = "real clips (training against test)"
    for name, value in (("kernel_distance", "\u22120.250"), ("coverage", "97.0")):
        found = tabulate(made.study, made.runs, Options(metric=f"test_last.{name}"))
        assert [row.label for row in found.table.floors] == [label]
        text = found.in_format("text")
        (row,) = (line for line in text.splitlines() if label in line and "Below" not in line)
        assert value in row or value.replace("\u2212", "-") in row
        assert f"not ranked: {label}, in the place of synthetic ones" in text
    notes = [text.get_text() for text in draw(found.table).texts]
    assert any("real clips in the place of synthetic ones" in note for note in notes)


def test_a_floor_has_its_own_difference_between_two_splits(made_study, made_result) -> None:
    """And a zero of either sign is 0.000."""
    made = made_study(
        datasets={"moods": {**MOODS, "dataset": {**MOODS["dataset"], **SPLIT_TWICE}}},
        matrix={"dataset": "moods", "dataset.split": ["grouped", "random"], "fold": [0, 1, 2]},
    )
    for task in made.study.tasks:
        result, mixed = made_result(task, 0.5), task.dataset.split == "random"
        scores = {"ccc": 0.6 + 0.2 * mixed}
        result["metrics"] = dict.fromkeys(("test_last", "test_best", "val_best"), scores)
        ridge = {"ccc": 0.3 + 0.1 * mixed + 0.01 * task.fold}
        result["floors"] = {"constant": {"ccc": -1e-9}, "ridge": ridge}
        made.write(task, result)
    found = tabulate(made.study, made.runs, Options(metric="test_last.ccc"))
    (pair,) = found.extras.differences
    means = [pair.rows[i].mean for i in range(4)]
    assert means == pytest.approx([0.2, 0.2, 0, 0.1])
    assert pair.whole.mean == pytest.approx(0.2) and pair.methods == 2
    for form in ("text", "latex", "markdown", "html"):
        lines = re.split("\n|</tr>", found.in_format(form))
        told = [line for line in lines if "Below" not in line]
        constant, ridge = (next(line for line in told if label in line) for label in LABELS)
        assert "+0.100" in ridge and "+0.200" not in ridge
        assert "0.000" in constant and not re.search(r"[-\u2212]\$?0[.]", constant)
    assert "Moods · split grouped" in found.in_format("markdown")
    cells = csv.DictReader(io.StringIO(found.in_format("csv")))
    flatters = {cell["method"]: float(cell["flatters"]) for cell in cells if cell["flatters"]}
    assert flatters["ridge"] == pytest.approx(0.1) and flatters["constant"] == 0
