"""A dataset split twice: the difference is printed, paired where folds are alike."""

import json

import pytest
from scipy.stats import ttest_ind, ttest_rel

from analysis import load
from analysis.cells import build
from analysis.tables.splits import pairs
from analysis.tables.tabulate import tabulate

ACCURACY = "test_last.accuracy"
APART, MIXED = (0.50, 0.62, 0.55, 0.49, 0.60), (0.70, 0.71, 0.69, 0.73, 0.66)


def accuracy(task):
    values = MIXED if task.dataset.split == "random" else APART
    return values[task.fold] + (0.1 if task.names.method == "full" else 0)


def both(made_study, *splits):
    made = made_study(matrix={"dataset.split": list(splits)}).run(accuracy)
    frame = load(made.study, made.runs)
    return made, pairs(build(frame, ACCURACY), frame)


def test_folds_of_the_same_sizes_are_paired(made_study):
    """As Student's interval, with 1/k + 1/4 in place of 1/k: the runs do not say how many train."""
    _, (pair,) = both(made_study, "grouped", "random")
    students = ttest_rel(MIXED, APART).confidence_interval()
    half = 50 * (students.high - students.low) * ((1 / 5 + 1 / 4) * 5) ** 0.5
    for found in (pair.whole, *pair.rows.values()):
        assert found.mean == pytest.approx(14.6)
        assert found.ends == pytest.approx((14.6 - half, 14.6 + half))
    assert pair.paired and set(pair.rows) == {0, 1}


def test_other_folds_are_compared_unpaired(made_study):
    _, (pair,) = both(made_study, "paper", "random")
    for end in pair.whole.ends:  # Welch's test of that difference has p = 0.05
        moved = [value - end / 100 for value in MIXED]
        assert ttest_ind(moved, APART, equal_var=False).pvalue == pytest.approx(0.05)
    assert not pair.paired


def test_the_table_has_a_column_and_a_line_about_it(made_study):
    made, _ = both(made_study, "grouped", "random")
    told = tabulate(made.study, made.runs)
    text = " ".join(told.in_format("text").split())
    assert "random \u2212 grouped" in text and "+14.6 [" in text
    assert "split grouped: random splits flatter by +14.6 [" in text
    assert "points, mean of 2 methods [95% interval; paired over folds]" in text
    cells = json.loads(told.in_format("json"))
    assert [cell["flatters"] for cell in cells[:2]] == [None, pytest.approx(14.6)]
    assert all("+14.6" in told.in_format(name) for name in ("latex", "markdown", "html"))


def test_only_the_split_may_differ(made_study):
    assert not both(made_study, "paper", "ast-recipe")[1]
    settings = {"dataset.split": ["grouped", "random"], "dataset.frames": [400, 500]}
    made = made_study(matrix=settings).run(accuracy)
    frame = load(made.study, made.runs)
    table = build(frame, ACCURACY)
    columns = [dataset.name for dataset in table.datasets]
    names = [(columns[pair.apart], columns[pair.mixed]) for pair in pairs(table, frame)]
    ways = [[f"esc50-frames={n}-split={way}" for way in ("grouped", "random")] for n in (400, 500)]
    assert sorted(names) == sorted(map(tuple, ways))


def test_a_missing_run_leaves_its_method_out(made_study):
    made = made_study(matrix={"dataset.split": ["grouped", "random"]})
    made.run(lambda task: None if (task.fold, task.names.method) == (3, "full") else accuracy(task))
    frame = load(made.study, made.runs)
    (pair,) = pairs(build(frame, ACCURACY), frame)
    assert len(pair.rows) == 1
