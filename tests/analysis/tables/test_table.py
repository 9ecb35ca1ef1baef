import csv
import io
import math
import re
from pathlib import Path

import pytest
import yaml

from analysis import load
from analysis.cells import DASH, build, podium, short
from analysis.measure import Measure
from analysis.tables.latex import escape, to_latex
from analysis.tables.layout import Extras, notes
from analysis.tables.text import to_csv, to_text

ROOT = Path(__file__).resolve().parents[3]
ACCURACY = "test_last.accuracy"


def table_of(made, metric=ACCURACY):
    return build(load(made.study, made.runs), metric)


# --- numbers --------------------------------------------------------------------------------------


def test_spread_is_population_std(made_study):
    made = made_study(matrix={"method": "linear"})
    made.run(lambda task: [0.80, 0.82, 0.84, 0.86, 0.88][task.fold])
    (row,) = table_of(made).rows
    assert row.cells[0].mean == pytest.approx(84.0)
    assert row.cells[0].std == pytest.approx(math.sqrt(8.0))


def test_seeds_are_averaged_within_their_fold_first(made_study):
    """Fold 0 has two runs and fold 1 has one: a fold counts once, however many seeds it has."""
    made = made_study(matrix={"method": "linear", "fold": [0, 1], "seed": [1, 2]})
    runs = {(0, 1): 0.6, (0, 2): 0.8, (1, 1): 0.9}
    made.run(lambda task: runs.get((task.fold, task.seed)))
    cell = table_of(made).rows[0].cells[0]
    assert cell.folds == pytest.approx((70.0, 90.0))
    assert cell.mean == pytest.approx(80.0)
    assert cell.std == pytest.approx(10.0)
    assert (cell.finished, cell.expected) == (3, 4)


def test_one_fold_has_no_spread_rather_than_a_spread_of_zero(made_study):
    made = made_study(matrix={"dataset": "speech-commands", "method": "linear", "seed": [1, 2]})
    table = table_of(made.run(lambda task: 0.4 + task.seed / 10))
    assert table.rows[0].cells[0].std is None
    assert "55.0" in to_text(table)
    assert "±" not in to_text(table)


def test_a_table_over_one_fold_names_no_spread(made_study):
    one = table_of(made_study(matrix={"fold": 0}).run(lambda task: 0.5))
    said = " ".join(notes(one, Extras()))
    assert "One fold" in said and "deviation" not in said
    five = table_of(made_study().run(lambda task: 0.5))
    assert "deviation" in " ".join(notes(five, Extras()))


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("test_last.accuracy", "Test accuracy of the last epoch, in per cent"),
        ("test_best.loss", "Test loss of the best epoch"),
        ("val_best.f1", "Validation f1 of the best epoch, in per cent"),
        ("gpu_hours", "GPU hours"),
    ],
)
def test_a_heading_is_in_words(column, said):
    assert Measure.of(column).in_words == said


def test_a_nan_stays_visible(made_study):
    made = made_study(matrix={"method": "linear"})
    made.run(lambda task: math.nan if task.fold == 1 else 0.9)
    cell = table_of(made).rows[0].cells[0]
    assert math.isnan(cell.mean)
    assert cell.complete
    assert "NaN ± NaN" in to_text(table_of(made))


def test_rows_and_columns_keep_the_studys_order(made_study):
    datasets, methods = ["urbansound8k", "esc50"], ["lora", "full", "bitfit"]
    made = made_study(matrix={"dataset": datasets, "method": methods}).run(lambda task: 0.9)
    table = table_of(made)
    assert [row.label for row in table.rows] == ["LoRA", "FFT", "BitFit"]
    assert [dataset.label for dataset in table.datasets] == ["US8K", "ESC"]


def test_backbones_are_never_mixed_in_a_cell(made_study):
    made = made_study(matrix={"backbone": ["ast", "ast-small"], "method": "linear"})
    made.run(lambda task: 0.9 if task.names.backbone == "ast" else 0.5)
    table = table_of(made)
    assert [row.label for row in table.rows] == ["Linear (ast)", "Linear (ast-small)"]
    assert [row.cells[0].mean for row in table.rows] == pytest.approx([90, 50])


# --- what is missing ------------------------------------------------------------------------------


def test_a_cell_with_a_missing_fold_says_so(made_study):
    made = made_study().run(
        lambda task: 0.9 if task.names.method == "full" or task.fold < 3 else None
    )
    text, latex = to_text(table_of(made)), to_latex(table_of(made))
    assert re.search(r"Linear .* 90\.0 ± 0\.0 \(3/5\)", text)
    assert "(5/5)" not in text
    assert r"\pm$\,0.0 (3/5)" in latex


def test_a_cell_without_runs_has_no_number(made_study):
    made = made_study().run(lambda task: 0.9 if task.names.method == "full" else None)
    assert re.search(rf"Linear +{DASH} +{DASH} \(0/5\)", to_text(table_of(made)))


def test_an_average_needs_the_whole_row(made_study):
    made = made_study(matrix={"dataset": ["esc50", "speech-commands"]})
    gap = ("linear", "esc50", 4)
    made.run(
        lambda task: (
            None
            if (task.names.method, task.names.dataset, task.fold) == gap
            else (0.8 if task.names.dataset == "esc50" else 0.6)
        )
    )
    full, linear = table_of(made).rows
    assert full.average == pytest.approx(70.0)
    assert linear.average is None


def test_one_dataset_needs_no_average(made_study):
    assert "Avg" not in to_text(table_of(made_study().run(lambda task: 0.5)))


def test_a_combination_the_study_leaves_out_is_a_dash(made_study):
    made = made_study(
        matrix={"dataset": ["esc50", "speech-commands"]},
        **{"except": [{"dataset": "esc50", "method": "linear"}]},
    ).run(lambda task: 0.5)
    full, linear = table_of(made).rows
    assert (linear.cells[0].expected, linear.cells[0].counts) == (0, "")
    assert (full.average, linear.average) == (pytest.approx(50.0), None)


# --- marks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([70.0, 90.0, 80.0], ["", "best", "second"]),
        ([90.01, 90.04, 80.0], ["best", "best", "second"]),
        ([90.0, 80.0, 80.0], ["best", "second", "second"]),
        ([90.0, 90.0], ["best", "best"]),
        ([None, 90.0, math.nan, 80.0], ["", "best", "", "second"]),
        ([90.0, None], ["", ""]),
        ([], []),
    ],
)
def test_numbers_that_print_alike_share_their_mark(values, expected):
    assert podium(values, Measure.of(ACCURACY)) == expected


def test_of_losses_the_lowest_is_best(made_study):
    made = made_study().run(lambda task: 0.9 if task.names.method == "full" else 0.2)
    table = table_of(made, "test_last.loss")
    assert table.marks(0) == ["best", "second"]
    assert table.rows[1].cells[0].mean == pytest.approx(0.8)


def test_an_incomplete_cell_is_not_in_the_contest(made_study):
    method_accuracy = {"full": 0.9, "linear": 0.7, "lora": 0.8}
    made = made_study(matrix={"method": ["full", "linear", "lora"]})
    made.run(
        lambda task: (
            None
            if (task.names.method, task.fold) == ("full", 0)
            else method_accuracy[task.names.method]
        )
    )
    assert table_of(made).marks(0) == ["", "second", "best"]


def test_a_terminal_shows_the_best_in_bold_and_a_pipe_shows_no_codes(made_study):
    made = made_study().run(lambda task: 0.9 if task.names.method == "full" else 0.2)
    assert "\x1b[1m90.0\x1b[0m ± 0.0" in to_text(table_of(made), styled=True)
    assert "\x1b[4m20.0\x1b[0m ± 0.0" in to_text(table_of(made), styled=True)
    assert "\x1b" not in to_text(table_of(made))


# --- parameters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "printed"),
    [
        *((0, "0"), (192, "192"), (999, "999"), (1_536, "1.54K"), (12_000, "12K")),
        *((250_512, "251K"), (999_499, "999K"), (999_999, "1M"), (85_708_032, "85.7M")),
    ],
)
def test_parameters_are_printed_short(count, printed):
    assert short(count) == printed


def test_parameters_that_differ_between_datasets_are_a_range(made_study, made_result):
    made = made_study(matrix={"dataset": ["esc50", "speech-commands"], "method": "bitfit"})
    for task in made.study.tasks:
        result = made_result(task, 0.5)
        result["params"]["trainable_without_head"] = 270_048 if task.fold else 272_256
        if task.names.dataset == "esc50":
            result["params"]["trainable_without_head"] = 270_048
        made.write(task, result)
    assert table_of(made).rows[0].params([0, 1]) == f"270K{DASH}272K"


# --- files ----------------------------------------------------------------------------------------

GOLDEN = r"""% Made by petl-ast from the study made.
% Mean +- population standard deviation over folds, seeds averaged within their fold first.
% Params: trainable, without the head.
% Test accuracy of the last epoch, in per cent.
% Needs \usepackage{booktabs,xcolor}. For other marks define the colours petlbest and petlsecond, or
% the commands \petlbest, \petlsecond and \petloutside, before this is read.
\providecolor{petlbest}{HTML}{1B7837}%
\providecolor{petlsecond}{HTML}{B2182B}%
\providecommand{\petlbest}[1]{\textcolor{petlbest}{\textbf{#1}}}%
\providecommand{\petlsecond}[1]{\textcolor{petlsecond}{\underline{#1}}}%
\providecommand{\petloutside}[1]{\textbf{#1}}%
\begin{tabular}{lrr@{\,}lr@{\,}lr}
\toprule
Method & Params & \multicolumn{2}{c}{ESC} & \multicolumn{2}{c}{GSC} & Avg \\
\midrule
FFT & 85.7M & \petlbest{82.0} & {\footnotesize $\pm$\,1.4} & \petlbest{90.0} &  & 86.0 \\
Linear & 1.54K & 71.5 & {\footnotesize $\pm$\,1.1 (4/5)} & \petlsecond{50.0} &  & -- \\
LoRA & 223K & \petlsecond{62.0} & {\footnotesize $\pm$\,1.4} & -- & {\footnotesize (0/1)} & -- \\
\bottomrule
\end{tabular}%
"""


@pytest.fixture
def small(made_study):
    matrix = {"dataset": ["esc50", "speech-commands"], "method": ["full", "linear", "lora"]}
    base = {"full": (0.8, 0.9), "linear": (0.7, 0.5), "lora": (0.6, None)}

    def accuracy(task):
        on_esc, on_speech = base[task.names.method]
        if task.names.dataset == "speech-commands":
            return on_speech
        return None if (task.names.method, task.fold) == ("linear", 4) else on_esc + task.fold / 100

    return made_study(matrix=matrix).run(accuracy)


def test_latex_is_as_agreed(small):
    assert to_latex(table_of(small)) == GOLDEN


def test_csv_has_every_digit_and_every_cell(small):
    rows = list(csv.DictReader(io.StringIO(to_csv(table_of(small)))))
    assert len(rows) == 6
    assert [row["n"] + "/" + row["expected"] for row in rows] == [
        "5/5",
        "1/1",
        "4/5",
        "1/1",
        "5/5",
        "0/1",
    ]
    assert float(rows[0]["std"]) == pytest.approx(math.sqrt(2), abs=1e-12)
    assert (rows[0]["params"], rows[1]["std"], rows[5]["mean"], rows[5]["params"]) == (
        "85708032",
        "",
        "",
        "",
    )


def test_latex_specials_are_escaped():
    assert escape(r"50% & $x_1$ #{a}~b^c\d") == (
        r"50\% \& \$x\_1\$ \#\{a\}\textasciitilde{}b\textasciicircum{}c\textbackslash{}d"
    )
    assert escape("[a]* <b>|\nc") == r"{[}a]{*} \textless{}b\textgreater{}\textbar{} c"


# --- the published numbers ------------------------------------------------------------------------


def test_published_averages_are_the_means_of_their_rows_except_one():
    table1 = yaml.safe_load((ROOT / "experiments" / "paper.yaml").read_text())["table1"]
    columns = table1.pop("columns")
    assert columns == ["params", "ESC", "US8K", "GSC", "FSC", "Avg"]
    wrong = [name for name, (_, *row, avg) in table1.items() if abs(sum(row) / 4 - avg) > 0.006]
    assert wrong == ["FFT"]
