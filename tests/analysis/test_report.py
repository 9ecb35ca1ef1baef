import math

import pytest

from analysis.report import make_report
from petl.errors import UserError

FILES = ["table.tex", "table_alone.tex", "table.csv", "figure.png", "figure.pdf"]


def test_a_report_is_a_table_on_the_screen_and_five_files(made_study, tmp_path):
    made = made_study().run(lambda task: 0.9)
    report = make_report(made.study, made.runs, tmp_path / "a" / "b")
    assert [path.name for path in report.files] == FILES
    assert all(path.stat().st_size for path in report.files)
    assert report.missing == 0
    assert "90.0 ± 0.0" in report.text
    assert "population standard deviation over folds" in report.text
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == sorted(FILES)


def test_what_is_missing_is_counted_and_said(made_study, made_result, tmp_path):
    made = made_study().run(lambda task: 0.9 if task.fold else None)
    first = made.study.tasks[0]
    made.write(first, made_result(first, 0.9) | {"schema": 2})
    report = make_report(made.study, made.runs, tmp_path)
    assert report.missing == 2
    assert "2 of 10 runs are missing: 1 broken, 1 waiting." in report.text
    assert "schema 2" in report.text


def test_the_studys_own_metric_is_reported_unless_another_is_asked_for(made_study, tmp_path):
    made = made_study(report="test_best").run(lambda task: 0.9)
    assert "91.0" in make_report(made.study, made.runs, tmp_path).text
    asked = make_report(made.study, made.runs, tmp_path, metric="test_last")
    assert "90.0" in asked.text


def test_no_finished_run_is_one_line_and_writes_nothing(made_study, tmp_path):
    made = made_study()
    with pytest.raises(
        UserError, match=r"no finished run of made under .*; petl submit .*made\.yaml"
    ) as e:
        make_report(made.study, made.runs, tmp_path / "out")
    assert "\n" not in str(e.value)
    assert not (tmp_path / "out").exists()


def test_an_unknown_metric_names_the_nearest(made_study, tmp_path):
    made = made_study().run(lambda task: 0.9)
    with pytest.raises(
        UserError, match=r"'test_lst\.accuracy'; did you mean 'test_last\.accuracy'\?"
    ):
        make_report(made.study, made.runs, tmp_path / "out", metric="test_lst.accuracy")
    assert not (tmp_path / "out").exists()


def test_a_nan_is_shown_and_warned_about(made_study, tmp_path):
    made = made_study().run(lambda task: math.nan if task.fold == 2 else 0.9)
    text = make_report(made.study, made.runs, tmp_path).text
    assert "NaN" in text
    assert "Warning: test_last.accuracy is not a number in run" in text
    assert "esc50 · linear · fold 2 · seed 10" in text


def test_files_of_an_earlier_report_are_replaced_and_nothing_else(made_study, tmp_path):
    made = made_study().run(lambda task: 0.9)
    out = tmp_path / "out"
    make_report(made.study, made.runs, out)
    (out / "notes.txt").write_text("mine")
    made.run(lambda task: 0.8)
    report = make_report(made.study, made.runs, out)
    assert f"Replaced in {out}: {', '.join(FILES)}" in report.text
    assert "80.0" in (out / "table.tex").read_text()
    assert (out / "notes.txt").read_text() == "mine"
    assert len(list(out.iterdir())) == 6


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_somebody_else_made_is_left_alone(made_study, tmp_path, name):
    made = made_study().run(lambda task: 0.9)
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("written by hand")
    with pytest.raises(UserError, match="not made by petl table"):
        make_report(made.study, made.runs, out)
    assert [path.name for path in out.iterdir()] == [name]
    assert (out / name).read_text() == "written by hand"


def test_an_out_that_is_a_file_is_one_line(made_study, tmp_path):
    made = made_study().run(lambda task: 0.9)
    (tmp_path / "out").write_text("")
    with pytest.raises(UserError, match="cannot write there"):
        make_report(made.study, made.runs, tmp_path / "out")
