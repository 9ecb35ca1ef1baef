"""Every cell leads to its runs, and a mixture of code, images or stacks does not go unnoticed."""

import json

import pytest
from typer.testing import CliRunner

from analysis.tables.tabulate import tabulate
from petl.cli import app

OLD = {"git_commit": "a" * 40, "lock_hash": "1" * 64, "torch": "1.13.1", "host": "node1"}


def runs_with(made, made_result, environment):
    for task in made.study.tasks:
        written = made_result(task, 0.5 + task.fold / 100)
        made.write(task, written | {"environment": environment(task)})
    return made


def warned(made):
    lines = tabulate(made.study, made.runs).warnings
    return [line for line in lines if line.startswith("Warning")]


def traced(made, *cell):
    words = ["table", str(made.study.path), "--runs", str(made.runs), "--trace", *cell]
    return CliRunner().invoke(app, words)


def test_a_cell_is_traced_to_its_runs_and_where_they_were_made(made_study, made_result):
    made = runs_with(made_study(), made_result, lambda task: OLD | {"host": f"node{task.fold}"})
    shown = traced(made, "lin", "ESC").stdout
    mine = [task for task in made.study.tasks if task.names.method == "linear"]
    assert "52 ± 1.414" in shown and "population standard deviation" in shown
    assert all(task.run_id in shown for task in mine) and len(mine) == 5
    assert f"git_commit: {'a' * 40}" in shown and "torch: 1.13.1" in shown
    assert all(f"node{fold}" in shown for fold in range(5))
    others = {task.run_id for task in made.study.tasks} - {task.run_id for task in mine}
    assert not any(run in shown for run in others)


def test_a_missing_run_is_listed_with_its_state(made_study):
    made = made_study().run(lambda task: None if task.fold == 3 else 0.5)
    shown = traced(made, "full", "esc50").stdout
    assert "(4/5)" in shown
    (line,) = (line for line in shown.splitlines() if "waiting" in line)
    assert line.split()[1:3] == ["3", "10"]


def test_a_cell_that_nobody_asked_for_says_so(made_study):
    skip = {"except": [{"dataset": "esc50", "method": "linear"}]}
    made = made_study(matrix={"dataset": ["esc50", "speech-commands"]}, **skip)
    made.run(lambda task: 0.5)
    assert "the study has no such run" in traced(made, "linear", "esc50").stdout


@pytest.mark.parametrize("cell", [("lr", "ESC"), ("linear", "ECS")])
def test_a_cell_that_is_not_there_names_the_nearest(made_study, cell):
    done = traced(made_study().run(lambda task: 0.5), *cell)
    assert done.exit_code == 2
    assert done.stderr.startswith("petl: no ") and done.stderr.count("\n") == 1
    assert "did you mean" in done.stderr or "it can be" in done.stderr


@pytest.mark.parametrize(
    ("what", "new"),
    [("git_commit", "b" * 40), ("lock_hash", "2" * 64), ("torch", "2.13.0"), ("image", "sha256:1")],
)
def test_runs_of_different_code_images_or_stacks_in_a_cell_are_a_warning(
    made_study, made_result, what, new
):
    def environment(task):
        odd = (task.names.method, task.fold) == ("linear", 2)
        return OLD | ({what: new} if odd else {})

    (line,) = warned(runs_with(made_study(), made_result, environment))
    assert f"different {what}" in line and line.endswith("share a cell: Linear · ESC")
    assert new[:10] in line


def test_rows_of_different_stacks_do_not_mix(made_study, made_result):
    def environment(task):
        return OLD | {"torch": "2.13.0" if task.names.method == "full" else "1.13.1"}

    assert warned(runs_with(made_study(), made_result, environment)) == []


def test_another_host_or_gpu_is_no_other_experiment(made_study, made_result):
    made = runs_with(made_study(), made_result, lambda task: OLD | {"host": f"n{task.fold}"})
    assert warned(made) == []


def test_uncommitted_code_is_a_warning(made_study, made_result):
    dirty = OLD | {"git_commit": "a" * 40 + "-dirty"}
    (line,) = warned(runs_with(made_study(), made_result, lambda task: dirty))
    assert line == "Warning: 10 runs were made with uncommitted changes (-dirty)"


def test_the_side_file_has_every_run_of_every_cell(made_study, made_result, tmp_path):
    def environment(task):
        return OLD | {"torch": "2.13.0" if task.fold == 4 else "1.13.1"}

    made = runs_with(made_study(), made_result, environment)
    tabulate(made.study, made.runs).write(tmp_path / "out")
    trace = json.loads((tmp_path / "out" / "table.trace.json").read_text())
    assert [(cell["row"], cell["column"]) for cell in trace["cells"]] == [
        ("FFT", "ESC"),
        ("Linear", "ESC"),
    ]
    runs = [run for cell in trace["cells"] for run in cell["runs"]]
    assert [run["run_id"] for run in runs] == [task.run_id for task in made.study.tasks]
    for cell in trace["cells"]:
        values = [run["value"] for run in cell["runs"]]
        assert cell["mean"] == pytest.approx(sum(values) / 5)
        assert cell["mixed"] == {"torch": ["1.13.1", "2.13.0"]}
    assert len(trace["environments"]) == 2
    where = [trace["environments"][run["environment"]]["torch"] for run in runs]
    assert where == (["1.13.1"] * 4 + ["2.13.0"]) * 2


def test_the_side_file_is_json_even_where_a_metric_is_not_a_number(made_study, tmp_path):
    made = made_study().run(lambda task: float("nan") if task.fold == 1 else None)
    tabulate(made.study, made.runs).write(tmp_path / "out")

    def refuse(constant):
        raise AssertionError(constant)

    text = (tmp_path / "out" / "table.trace.json").read_text()
    trace = json.loads(text, parse_constant=refuse)
    states = [run["state"] for run in trace["cells"][0]["runs"]]
    assert states == ["waiting", "done", "waiting", "waiting", "waiting"]
    assert trace["cells"][0]["runs"][1]["value"] is None


def frozen(source, commit="a", mixed=False):
    code = {"archive": "9" * 64, "source": source * 64, "commit": commit * 40, "mixed": mixed}
    return OLD | {"git_commit": commit * 40, "code": code}


@pytest.mark.parametrize(
    ("odd", "several"),
    [
        (frozen("b"), ["1111111 of commit aaaaaaa", "bbbbbbb of commit aaaaaaa"]),
        (frozen("1", mixed=True), ["1111111 of commit aaaaaaa", "others in earlier tries"]),
        (frozen("1", commit="c"), []),  # other documents
        (OLD, []),  # of an earlier version, and of the same commit
        (OLD | {"git_commit": "d" * 40}, ["a" * 10, "d" * 10]),
    ],
)
def test_a_cell_of_several_codes_is_marked_in_every_format(made_study, made_result, odd, several):
    def environment(task):
        return odd if (task.names.method, task.fold) == ("linear", 2) else frozen("1")

    made = runs_with(made_study(), made_result, environment)
    table = tabulate(made.study, made.runs)
    text, csv = table.in_format("text"), table.in_format("csv").splitlines()
    assert [cell.mixed for row in table.table.rows for cell in row.cells].count(True) == bool(
        several
    )
    assert ("\u2020: its runs were made with several codes" in text) == bool(several)
    assert (r"\dag{}" in table.in_format("latex")) == bool(several)
    assert csv[0].endswith(",mixed_code")
    assert [line for line in csv if line.endswith("True")] == [
        line for line in csv if several and ",linear," in line
    ]
    lines = warned(made)
    assert len(lines) == bool(several)
    assert all(name in lines[0] for name in several)
