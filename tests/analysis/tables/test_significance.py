"""Who is better than a reference row, and that luck with folds is not taken for it."""

import csv
import io
import math
import random

import pytest

from analysis import load
from analysis.cells import build
from analysis.tables.significance import compare, corrected_t_test, holm
from analysis.tables.tabulate import Options, tabulate
from petl.errors import UserError

ACCURACY = "test_last.accuracy"


def compared(made, reference="linear"):
    frame = load(made.study, made.runs)
    return compare(build(frame, ACCURACY), frame, reference)


def students_t_4(t):
    """The distribution with four degrees of freedom, in closed form."""
    share = t * t / (1 + t * t / 4)
    return 0.5 + 0.375 * t / math.sqrt(1 + t * t / 4) * (1 - share / 12)


def test_the_variance_is_widened_by_test_to_training_clips():
    """Differences 1..5: mean 3, variance 2.5, and (1/5 + 1/4) instead of 1/5 before it."""
    t = 3 / math.sqrt((1 / 5 + 1 / 4) * 2.5)
    assert corrected_t_test([1, 2, 3, 4, 5], 1 / 4) == pytest.approx(2 * (1 - students_t_4(t)))
    t = 3 / math.sqrt((1 / 5 + 1 / 3) * 2.5)
    assert corrected_t_test([5, 4, 3, 2, 1], 1 / 3) == pytest.approx(2 * (1 - students_t_4(t)))
    assert corrected_t_test([1, 2, 3, 4, 5]) == corrected_t_test([1, 2, 3, 4, 5], 1 / 4)


def test_it_does_not_matter_which_of_the_two_is_the_reference():
    assert corrected_t_test([1, -2, 4]) == corrected_t_test([-1, 2, -4])


def test_no_variance_is_no_evidence():
    assert corrected_t_test([0.0, 0.0, 0.0]) == 1.0
    assert math.isnan(corrected_t_test([1.0, 1.0, 1.0]))


def test_holm_as_in_his_paper():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    adjusted = holm([0.01, math.nan])
    assert adjusted[0] == 0.01 and math.isnan(adjusted[1])


def test_of_equal_methods_one_in_twenty_differs_and_a_plain_test_finds_more():
    """Folds whose errors correlate as Nadeau and Bengio assume: 0.2 for a fifth of the clips."""
    random.seed(1)
    corrected = plain = 0
    for _ in range(2000):
        shared = random.gauss(0, 0.5)
        differences = [shared + random.gauss(0, 1) for _ in range(5)]
        corrected += corrected_t_test(differences, 1 / 4) < 0.05
        plain += corrected_t_test(differences, 0) < 0.05
    assert corrected / 2000 == pytest.approx(0.05, abs=0.015)
    assert plain / 2000 > 0.1


def test_what_differs_has_a_star_and_the_output_says_by_which_test(made_study):
    made = made_study(matrix={"method": ["full", "linear", "lora"]})
    base = {"full": 0.9, "linear": 0.5, "lora": 0.5}
    noise = [0.010, -0.013, 0.002, -0.004, 0.006]
    made.run(lambda task: base[task.names.method] + noise[task.fold] * len(task.names.method))
    found = tabulate(made.study, made.runs, Options(reference="Linear"))
    lines = found.in_format("text").splitlines()
    starred = [line.split()[0] for line in lines if "± " in line and line.endswith("*")]
    assert starred == ["FFT"]
    note = next(line for line in lines if line.startswith("*:"))
    assert "differs from Linear" in note and "Nadeau and Bengio" in note and "Holm" in note
    assert "*" in found.in_format("latex").replace("{*}", "*").split("FFT")[1].splitlines()[0]


def test_p_values_are_in_the_csv(made_study):
    made = made_study(matrix={"method": ["full", "linear"]})
    made.run(lambda task: 0.6 + task.fold / 100 * (2 if task.names.method == "full" else 1))
    found = tabulate(made.study, made.runs, Options(reference="linear"))
    full, linear = csv.DictReader(io.StringIO(found.in_format("csv")))
    assert full["reference"] == "linear"
    assert float(full["difference"]) == pytest.approx(2.0)
    assert float(full["p"]) == pytest.approx(corrected_t_test([0, 1, 2, 3, 4]))
    assert linear["p"] == ""


def test_pairs_are_of_the_same_fold(made_study):
    """Far apart from fold to fold, and in every fold better by about the same."""
    made = made_study()
    made.run(
        lambda task: task.fold / 10 + (0.04 + task.fold / 1000) * (task.names.method == "full")
    )
    assert compared(made).tests[0, 0].significant


def test_clips_are_counted_where_the_runs_say_how_many(made_study, made_result):
    made = made_study()
    for task in made.study.tasks:
        accuracy = 0.5 + task.fold / 50 * (task.names.method == "full")
        made.write(
            task,
            made_result(task, accuracy)
            | {"clips": {"train": 1200, "validation": 400, "test": 400}},
        )
    comparison = compared(made)
    assert comparison.tests[0, 0].p == pytest.approx(corrected_t_test([0, 2, 4, 6, 8], 1 / 3))
    assert comparison.assumed == ()


def test_incomplete_cells_and_single_folds_are_not_tested(made_study):
    matrix = {"dataset": ["esc50", "speech-commands"], "method": ["full", "linear", "lora"]}
    made = made_study(matrix=matrix)
    made.run(lambda task: None if (task.names.method, task.fold) == ("lora", 4) else task.fold / 9)
    comparison = compared(made)
    assert list(comparison.tests) == [(0, 0)]
    assert comparison.untested == ("GSC",)
    assert "Not tested, fewer than two folds: GSC" in comparison.notes


def test_a_reference_that_is_no_row_names_the_nearest(made_study):
    made = made_study().run(lambda task: 0.5)
    with pytest.raises(UserError, match=r"no row 'liner'; did you mean 'linear'\?"):
        compared(made, "liner")
