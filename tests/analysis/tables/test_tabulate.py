"""`petl table`: what is printed, which files are written, and what is said of what is wrong."""

import json
import math

import pytest
from typer.testing import CliRunner

from analysis.tables.tabulate import FILES, TEXTS, Options, tabulate
from petl.cli import app
from petl.errors import UserError


def made_up_everywhere(made):
    """Finished runs by the trainer's hand are not labelled; these are."""
    for task in made.study.tasks:
        file = made.runs / made.study.name / task.run_id / "result.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"synthetic": True}))


def petl(*words):
    return CliRunner().invoke(app, ["table", *map(str, words)])


def command(made, *more):
    return petl(made.study.path, "--runs", made.runs, *more)


# --- what is written ------------------------------------------------------------------------------


def test_without_a_format_the_table_is_on_the_screen_and_in_files(made_study, tmp_path):
    made = made_study().run(lambda task: 0.9)
    out = tmp_path / "a" / "b"
    done = command(made, "--out", out)
    assert done.exit_code == 0, done.output
    assert "90.0 ± 0.0" in done.stdout
    assert "population standard deviation over folds" in done.stdout
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    assert all(path.stat().st_size for path in out.iterdir())


@pytest.mark.parametrize(
    ("format", "begins"),
    [
        ("latex", "% Made by petl-ast"),
        ("csv", "study,metric"),
        ("markdown", "<!-- Made by petl-ast -->"),
        ("html", "<!doctype html>"),
        ("text", " Method"),
    ],
)
def test_a_format_is_printed_alone_and_warnings_go_elsewhere(
    made_study, tmp_path, monkeypatch, format, begins
):
    monkeypatch.chdir(tmp_path)
    made = made_study().run(lambda task: 0.9 if task.fold else None)
    done = command(made, "--format", format)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(begins)
    assert "2 of 10 runs are missing" in (done.stdout if format == "text" else done.stderr)
    assert not (tmp_path / "tables").exists()


def test_files_of_an_earlier_table_are_replaced_and_nothing_else(made_study, tmp_path):
    made = made_study().run(lambda task: 0.9)
    out = tmp_path / "out"
    tabulate(made.study, made.runs).write(out)
    (out / "notes.txt").write_text("mine")
    made.run(lambda task: 0.8)
    _, replaced = tabulate(made.study, made.runs).write(out)
    assert replaced == list(FILES)
    assert all("80.0" in (out / name).read_text() for name in TEXTS if name != "table_alone.tex")
    assert (out / "notes.txt").read_text() == "mine"
    assert len(list(out.iterdir())) == len(FILES) + 1


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_somebody_else_made_is_left_alone(made_study, tmp_path, name):
    made = made_study().run(lambda task: 0.9)
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("written by hand")
    with pytest.raises(UserError, match="not made by petl"):
        tabulate(made.study, made.runs).write(out)
    assert [path.name for path in out.iterdir()] == [name]
    assert (out / name).read_text() == "written by hand"


def test_an_out_that_is_a_file_is_one_line(made_study, tmp_path):
    made = made_study().run(lambda task: 0.9)
    (tmp_path / "out").write_text("")
    done = command(made, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "cannot write" in done.stderr and done.stderr.count("\n") == 1


# --- what is missing or wrong ---------------------------------------------------------------------


def test_missing_runs_are_counted_by_state(made_study, made_result, capsys):
    made = made_study().run(lambda task: 0.9 if task.fold else None)
    first = made.study.tasks[0]
    made.write(first, made_result(first, 0.9) | {"schema": 2})
    found = tabulate(made.study, made.runs)
    assert "2 of 10 runs are missing: 1 broken, 1 waiting." in found.warnings
    assert f"{first.run_id}/result.json: schema 2; " in capsys.readouterr().err


def test_half_a_study_has_no_average_and_says_how_much_is_there(made_study):
    made = made_study(matrix={"dataset": ["esc50", "urbansound8k"]})
    made.run(lambda task: 0.9 if task.fold % 2 else None)
    text = tabulate(made.study, made.runs).in_format("text")
    assert text.count("(2/5)") == 2 and text.count("(5/10)") == 2
    assert all(row.average is None for row in tabulate(made.study, made.runs).table.rows)


def test_no_finished_run_is_one_line_and_writes_nothing(made_study, tmp_path):
    made = made_study()
    done = command(made, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "made has no finished run in" in done.stderr
    assert "petl submit" in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_nan_is_shown_and_warned_about(made_study):
    made = made_study().run(lambda task: math.nan if task.fold == 2 else 0.9)
    found = tabulate(made.study, made.runs)
    assert "NaN" in found.in_format("text")
    said = "\n".join(found.warnings)
    assert "Warning: test_last.accuracy is not a number in run" in said
    assert "esc50 · linear · fold 2 · seed 10" in said


def test_the_studys_own_metric_is_reported_unless_another_is_asked_for(made_study):
    made = made_study(report="test_best").run(lambda task: 0.9)
    assert "91.0" in tabulate(made.study, made.runs).in_format("text")
    asked = tabulate(made.study, made.runs, Options(metric="test_last"))
    assert "90.0" in asked.in_format("text")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("test_lst.accuracy", "test_last.accuracy"), ("test_last.acuracy", "test_last.accuracy"),
     ("gpu_hour", "gpu_hours")],
)  # fmt: skip
def test_an_unknown_metric_names_the_nearest(made_study, wrong, right):
    made = made_study().run(lambda task: 0.9)
    done = command(made, "--metric", wrong)
    assert done.exit_code == 2
    assert f"'{wrong}'" in done.stderr and f"did you mean '{right}'?" in done.stderr


# --- made-up runs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["text", "latex", "markdown", "html"])
def test_made_up_numbers_say_so_above_the_table_and_at_each_cell(made_study, format):
    made = made_study().run(lambda task: 0.9)
    assert "SYNTHETIC" not in tabulate(made.study, made.runs).in_format(format)
    made_up_everywhere(made)
    shown = tabulate(made.study, made.runs).in_format(format)
    mark = r"\ddag" if format == "latex" else "‡"
    lines = [line for line in shown.splitlines() if "90.0" in line]
    assert len(lines) == 2 and all(mark in line for line in lines)
    assert "SYNTHETIC" in shown


def test_a_program_is_told_too(made_study):
    made = made_study().run(lambda task: 0.9)
    made_up_everywhere(made)
    found = tabulate(made.study, made.runs)
    assert ",True," in found.in_format("csv")
    assert found.table.synthetic == 2
