"""Runs with synthetic clips against those without: paired, with intervals, and a verdict."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from made_study import MadeStudy
from scipy.stats import ttest_rel

from analysis import load
from analysis.cells import build
from analysis.shares import families
from analysis.tables.tabulate import Options, Tabulated, tabulate
from petl.config import Task

ZERO = (0.50, 0.62, 0.55, 0.49, 0.60)
GAINS = {
    "none": (0.0,) * 5,
    "third": (0.05, 0.06, 0.04, 0.05, 0.05),
    "half": (0.05, -0.06, 0.04, -0.05, 0.01),
    "shuffled": (-0.05, 0.06, -0.04, 0.05, 0.02),
    "alone": (-0.3, -0.31, -0.29, -0.33, -0.28),
}
FLOW = "0123456789abcdef"
AUGMENT = {
    "none": None,
    "third": {"generator": FLOW, "share": 0.3},
    "half": {"generator": FLOW, "share": 0.5},
    "shuffled": {"generator": FLOW, "share": 0.3, "conditions": "shuffled"},
    "alone": {"generator": FLOW, "real": False},
}
METHODS = {
    name: {"like": "linear", "label": name} | ({"augment": augment} if augment else {})
    for name, augment in AUGMENT.items()
}


def accuracy(task: Task) -> float:
    """Seeds differ by much, and by the same in all methods of a fold."""
    return ZERO[task.fold] + GAINS[task.names.method][task.fold] + (task.seed - 10) * 0.01


@pytest.fixture
def made(made_study: Callable[..., MadeStudy]) -> MadeStudy:
    return made_study(matrix={"method": [*METHODS], "seed": [10, 11]}, methods=METHODS)


def told(made: MadeStudy, accuracy: Callable[[Task], float | None] = accuracy) -> Tabulated:
    return tabulate(made.study, made.run(accuracy).runs)


def test_a_gain_is_a_mean_over_folds_of_pairs_of_the_same_fold_and_seed(made: MadeStudy) -> None:
    """As Student's interval, with 1/k + 1/4 in place of 1/k: the runs do not say how many train."""
    made.run(accuracy)
    frame = load(made.study, made.runs)
    (family,) = families(build(frame, "test_last.accuracy"), frame)
    gains = {arm.row: arm.gain for arm in family.arms}
    for row, (_, change) in enumerate(list(GAINS.items())[1:], 1):
        students = ttest_rel(change, [0.0] * 5).confidence_interval()
        half, mean = (
            50 * (students.high - students.low) * ((1 / 5 + 1 / 4) * 5) ** 0.5,
            20 * sum(change),
        )
        assert gains[row].mean == pytest.approx(mean)
        assert gains[row].ends == pytest.approx((mean - half, mean + half))
    assert [(arm.share, arm.shuffled) for arm in family.arms] == [
        *((0.3, False), (0.3, True), (0.5, False), (1.0, False)),
    ]
    assert family.control["30 %"].mean == pytest.approx(5 - 0.8)


def test_the_table_says_what_helps_and_that_the_rest_does_not(made: MadeStudy) -> None:
    found = told(made)
    text = " ".join(found.in_format("text").split())
    assert "minus share 0" in text and "+5.0 [" in text
    assert (
        "ESC, against none: better: 30 %; worse: alone; no difference shown, as the interval "
        "includes 0: 30 % shuffled, 50 %."
    ) in text
    assert "ESC, given minus shuffled conditions: 30 % +4.2 [" in text
    assert all("+5.0" in found.in_format(name) for name in ("latex", "markdown", "html"))
    cells = json.loads(found.in_format("json"))
    assert [cell["gain"] for cell in cells[:2]] == [None, pytest.approx(5)]
    assert cells[1]["gain_low"] > 0


def test_a_loss_is_better_where_it_is_lower(made: MadeStudy) -> None:
    found = tabulate(made.study, made.run(accuracy).runs, Options("test_last.loss"))
    text = " ".join(found.in_format("text").split())
    assert "better: 30 %; worse: alone;" in text and "third 12.3K 0.393" in text


def test_runs_that_are_missing_give_no_verdict(made: MadeStudy) -> None:
    def some(task: Task) -> float | None:
        return (
            None
            if (task.names.method, task.fold, task.seed) == ("third", 3, 11)
            else accuracy(task)
        )

    text = " ".join(told(made, some).in_format("text").split())
    assert "better: none" in text and "runs are missing: 30 %" in text


def test_one_fold_has_no_interval(made_study: Callable[..., MadeStudy]) -> None:
    made = made_study(matrix={"method": [*METHODS], "fold": 0}, methods=METHODS)
    text = " ".join(told(made).in_format("text").split())
    assert (
        "better: none; worse: none; one fold, so no interval: 30 %, 30 % shuffled, 50 %, alone"
        in text
    )


def test_rows_that_differ_in_more_are_not_compared(made_study: Callable[..., MadeStudy]) -> None:
    methods = METHODS | {"third": METHODS["third"] | {"train": {"epochs": 3}}}
    made = made_study(matrix={"method": ["none", "third"]}, methods=methods)
    assert told(made).extras.differences == ()


def test_a_study_without_synthetic_clips_has_no_such_column(
    made_study: Callable[..., MadeStudy],
) -> None:
    assert told(made_study(), lambda task: 0.5).extras.differences == ()


def test_a_generator_with_a_run_for_each_fold_is_one_whatever_the_order(made: MadeStudy) -> None:
    made.run(accuracy)
    frame = load(made.study, made.runs)
    of_fold = frame["augment.generator"] + frame["fold"].astype(str)
    frame = frame.assign(**{"augment.generator": of_fold}).sort_values("run_id")
    (family,) = families(build(frame, "test_last.accuracy"), frame)
    assert len(family.arms) == 4 and set(family.control) == {"30 %"}
