"""How a table is laid out: spreads, columns, kinds of methods, measures."""

import math
import re
import shutil

import pytest

from analysis import load
from analysis.cells import DASH, build
from analysis.spread import SPREADS
from analysis.tables.layout import Extras, lay_out
from analysis.tables.tabulate import Options, tabulate
from analysis.tables.text import to_text
from petl.errors import UserError

ACCURACY = "test_last.accuracy"
REGRESSION = {
    "label": "Moods",
    "dataset": {
        **{"corpus": "moods", "layout": "table", "targets": ["valence", "arousal"], "folds": 3},
        **{"frames": 100, "split": "given", "spec_augment": None},
        "table": {"file": "clips.csv", "path": "file", "fold": "fold"},
    },
    "train": {"epochs": 5, "batch_size": 8},
}


def table_of(made, metric=ACCURACY, spread="population-std"):
    return build(load(made.study, made.runs), metric, spread)


# --- spreads --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("population-std", math.sqrt(8)),
        ("sample-std", math.sqrt(10)),
        ("ci95", 2.7764451 * math.sqrt(10) / math.sqrt(5)),  # Student's t at 0.975 for 4 degrees
    ],
)
def test_each_spread_is_what_it_says(made_study, name, expected):
    made = made_study(matrix={"method": "linear"})
    made.run(lambda task: 0.8 + task.fold / 50)
    (row,) = table_of(made, spread=name).rows
    assert row.cells[0].spread == pytest.approx(expected)
    text = tabulate(made.study, made.runs, Options(spread=name)).in_format("text")
    assert f"± {expected:.1f}" in text and SPREADS[name].in_words in text


@pytest.mark.parametrize("spread", SPREADS)
def test_one_fold_has_no_spread_of_any_kind(spread):
    assert SPREADS[spread].of([0.5]) is None
    assert math.isnan(SPREADS[spread].of([0.5, math.nan]))


# --- columns --------------------------------------------------------------------------------------


def test_labels_with_a_dot_are_columns_under_a_common_head_without_an_average(made_study):
    shots = {k: {"few_shot": {"per_class": k}} for k in (1, 4)}
    datasets = {
        f"esc-{k}": {"like": "esc50", "label": f"ESC · {k}", "dataset": shot}
        for k, shot in shots.items()
    }
    made = made_study(datasets=datasets, matrix={"dataset": [*datasets, "speech-commands"]})
    made.run(lambda task: 0.5)
    layout = lay_out(table_of(made), Extras())
    assert layout.groups == [("", 1), ("ESC", 2), ("", 1)]
    assert [column.title for column in layout.columns] == ["Params", "1", "4", "GSC"]


@pytest.mark.parametrize(("wide", "columns"), [(912_960, 2), (255_000, 1)])
def test_parameters_far_apart_have_a_column_each(made_study, made_result, wide, columns):
    """As in Table 3, whose adapters are wider on IEMOCAP."""
    matrix = {"dataset": ["speech-commands", "esc50"], "method": ["linear", "lora"]}
    made = made_study(matrix=matrix)
    for task in made.study.tasks:
        result = made_result(task, 0.5)
        if (task.names.dataset, task.names.method) == ("esc50", "lora"):
            result["params"]["trainable_without_head"] = wide
        elif task.names.method == "lora":
            result["params"]["trainable_without_head"] = 250_512
        made.write(task, result)
    table = table_of(made)
    heads = [column.title for column in lay_out(table, Extras()).columns]
    assert heads.count("Params") == columns
    assert (f"251K{DASH}255K" in to_text(table)) == (columns == 1)
    assert ("913K" in to_text(table)) == (columns == 2)


def test_kinds_of_methods_stand_apart_unless_each_is_a_single_row(made_study):
    few = ["full", "lora", "bottleneck-pfeiffer"]
    many = ["full", "linear", "lora", "bitfit", "bottleneck-pfeiffer", "bottleneck-houlsby"]
    rules = {}
    for methods in (few, many):
        made = made_study(matrix={"method": methods, "fold": 0}).run(lambda task: 0.5)
        lines = lay_out(table_of(made), Extras()).lines
        rules[len(methods)] = [line.label for line in lines if line.rule]
    assert rules == {3: [], 6: ["LoRA", "Bottleneck Pfeiffer"]}


def test_rows_and_columns_are_found_by_name_label_or_beginning(made_study):
    made = made_study(matrix={"method": ["bottleneck-pfeiffer", "bottleneck-houlsby", "full"]})
    table = table_of(made.run(lambda task: 0.5))
    assert [table.row(name) for name in ("full", "FFT", "bottleneck-h", "bottleneck p")] == [
        *(2, 2, 1, 0)
    ]
    assert (table.column("ESC"), table.column("esc50")) == (0, 0)
    with pytest.raises(UserError, match=r"'bottle' matches several rows: 'Bottleneck Pfeiffer', "):
        table.row("bottle")


# --- measures -------------------------------------------------------------------------------------


@pytest.fixture
def regression(made_study, made_result):
    made = made_study(datasets={"moods": REGRESSION}, matrix={"dataset": "moods"})
    for task in made.study.tasks:
        good = task.names.method == "full"
        scores = {"mae": 0.2 if good else 0.4, "rmse": 0.5, "ccc": 0.61234 if good else 0.3}
        scores |= {"mae_valence": 0.25, "pearson": 0.7, "loss": 0.1}
        metrics = dict.fromkeys(("test_last", "test_best", "val_best"), scores)
        made.write(task, made_result(task, 0.5) | {"metrics": metrics})
    return made


def test_a_regression_is_reported_by_its_ccc_with_three_digits_and_no_per_cent(regression):
    found = tabulate(regression.study, regression.runs)
    assert found.table.measure.column == "test_last.ccc"
    assert "0.612 ± 0.000" in found.in_format("text")
    assert "per cent" not in found.in_format("text")
    assert found.table.marks(0) == ["best", "second"]


@pytest.mark.parametrize("metric", ["test_last.mae", "gpu_hours"])
def test_of_errors_and_costs_the_lowest_is_best(regression, made_result, metric):
    table = tabulate(regression.study, regression.runs, Options(metric=metric)).table
    assert table.measure.lowest_first
    if metric == "test_last.mae":
        assert table.marks(0) == ["best", "second"]
        assert table.rows[0].cells[0].mean == pytest.approx(0.2)


def test_each_target_of_a_regression_can_be_asked_for(regression):
    text = tabulate(regression.study, regression.runs, Options(metric="test_last.mae_valence"))
    assert "0.250" in text.in_format("text")


def test_an_accuracy_that_a_regression_does_not_have_is_a_mistake(regression):
    with pytest.raises(UserError, match=r"no finished run has the metric 'test_last\.accuracy'"):
        tabulate(regression.study, regression.runs, Options(metric="test_last.accuracy"))


def test_more_digits_decide_who_is_best(made_study):
    made = made_study().run(lambda task: 0.9001 if task.names.method == "full" else 0.9002)
    both = tabulate(made.study, made.runs)
    one = tabulate(made.study, made.runs, Options(digits=2))
    assert both.table.marks(0) == ["best", "best"]
    assert one.table.marks(0) == ["second", "best"]
    assert re.search(r"90\.01 ± 0\.00", one.in_format("text"))


# --- the same run twice ---------------------------------------------------------------------------


def test_a_run_in_two_folders_counts_once(made_study, tmp_path):
    made = made_study(matrix={"method": "linear"}).run(lambda task: 0.5 + task.fold / 100)
    shutil.copytree(made.runs, tmp_path / "copy")
    frame = load([made.runs, tmp_path / "copy"])
    (cell,) = build(frame, ACCURACY).rows[0].cells
    assert (cell.finished, cell.expected) == (5, 5)
    assert len(frame.attrs["duplicates"]) == 5


def test_two_runs_of_other_settings_under_the_same_names_are_refused(made_study):
    made = made_study(matrix={"method": "linear", "fold": 0}).run(lambda task: 0.5)
    made_study(matrix={"method": "linear", "fold": 0}, set={"train": {"lr": 0.1}}).run(
        lambda task: 0.9
    )
    with pytest.raises(UserError, match=r"esc50 · linear · fold 0 · seed 10: 2 runs, "):
        build(load([made.runs]), ACCURACY)
