"""What a person types after a command, and which runs that means."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import failed, finished, stopped
from typer.testing import CliRunner, Result

from petl.cli import app
from petl.config.study import Study, load_study
from petl.errors import UserError
from slurm.status.plan import Plan
from slurm.status.selection import chosen, studies

STUDY = """\
description: a study
profile: as-run
report: test_last
matrix:
  {dataset: esc50, backbone: ast, method: [lora, conformer-pfeiffer], fold: all, seed: [1, 20]}
"""


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ([], 20),
        (["method=lora"], 10),
        (["method=conformer-*", "fold=0-2"], 6),
        (["fold=0,3-4", "seed=20"], 6),
        (["method=conformer-*,lora"], 20),
        (["method.family=lora", "train.epochs=1-1000"], 10),
        (["dataset.corpus=esc*"], 20),
        (["state=done"], 1),
        (["state=failed", "cause=error"], 1),
    ],
)
def test_words_select_by_any_field(
    study: Study, tmp_path: Path, words: list[str], number: int
) -> None:
    finished(study.tasks[0], tmp_path)
    failed(study.tasks[1], tmp_path, "no luck")
    assert len(chosen([Plan(study, tmp_path)], words)) == number


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("method=lorra", "no run has method 'lorra'; did you mean 'lora'"),
        ("metod=lora", "a task has no field 'metod'; did you mean 'method'"),
        ("train.epoch=3", "a task has no field 'train.epoch'; did you mean 'epochs'"),
        ("lora", "write FIELD=VALUE, such as method=lora"),
        ("fold=7", "no run has fold '7'"),
    ],
)
def test_a_word_that_selects_nothing_is_a_mistake(
    study: Study, tmp_path: Path, word: str, told: str
) -> None:
    with pytest.raises(UserError, match=told):
        chosen([Plan(study, tmp_path)], [word])


def test_the_beginning_of_a_runs_id_is_enough(study: Study, tmp_path: Path) -> None:
    task = study.tasks[7]
    named, words = studies([str(study.path), task.run_id[:7]], tmp_path)
    (item,) = chosen([Plan(named[0], tmp_path)], words)
    assert item.task == task


def test_without_a_study_there_must_be_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no study that was submitted to a cluster; name a study"):
        studies(["method=lora"], tmp_path)
    with pytest.raises(UserError, match="has no runs; name a study, or choose the folder"):
        studies([], tmp_path / "nowhere", local=True)


def petl(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_local_runs_are_listed_without_a_study_and_found_by_their_id(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the study's file in the current folder, or from the runs when the file is gone."""
    runs = tmp_path / "runs"
    done, bad = finished(study.tasks[0], runs, accuracy=0.875), failed(study.tasks[1], runs, "oh")
    monkeypatch.chdir(tmp_path)
    told = petl("ls", "--runs", runs)
    assert (told.exit_code, len(told.stdout.splitlines())) == (0, 20)
    assert f"{done.path.name}  done     {study.tasks[0]}  accuracy 87.5 %" in told.stdout
    study.path.unlink()
    for words in ((), ("study",)):
        told = petl("ls", *words, "--runs", runs)
        assert told.exit_code == 0, told.output
        assert {line.split()[0] for line in told.stdout.splitlines()} == {
            done.path.name,
            bad.path.name,
        }
    assert "1 of 2 done, 1 failed" in petl("status", "--runs", runs).stdout
    done.log_file.write_text("the log of this run\n")
    told = petl("logs", done.path.name[:6], "--runs", runs)
    assert (told.exit_code, "the log of this run" in told.stdout) == (0, True)
    wrong = "0000" if done.path.name[0] != "0" else "ffff"
    assert f"no run in {runs} begins with '{wrong}'" in petl("logs", wrong, "--runs", runs).stderr


def test_a_renamed_study_is_offered_its_runs(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They move to the new name; a run that is there already and an unfinished one stay."""
    runs = tmp_path / "runs"
    first, second = (finished(task, runs) for task in study.tasks[:2])
    stopped(study.tasks[2], runs, 1)
    monkeypatch.chdir(tmp_path)
    study.path.rename("new.yaml")
    said = petl("plan", "new.yaml", "--runs", runs)
    offer = "2 finished runs of this study exist under the name study; `petl adopt new.yaml study`"
    assert offer in said.stderr
    kept = finished(load_study("new.yaml").tasks[0], runs)
    content = kept.result_file.read_bytes()
    told = petl("adopt", "new.yaml", "study", "--runs", runs, "--yes")
    assert (told.exit_code, told.stdout.splitlines()[-1]) == (0, "moved 1")
    assert kept.result_file.read_bytes() == content
    assert first.path.exists() and not second.path.exists()
    assert "2 of 20 done" in petl("status", "new.yaml", "--runs", runs).stdout
    assert "no finished run" in petl("adopt", "new.yaml", "other", "--runs", runs).stderr


def test_a_name_with_dots_is_a_name_and_one_unreadable_study_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("birds-v1.2", "other"):
        file = tmp_path / f"{name}.yaml"
        file.write_text(STUDY)
        finished(load_study(file).tasks[0], tmp_path / "runs")
    assert len(petl("ls", "birds-v1.2", "--runs", "runs").stdout.splitlines()) == 20
    (tmp_path / "birds-v1.2.yaml").unlink()
    assert len(petl("ls", "birds-v1.2", "--runs", "runs").stdout.splitlines()) == 1
    (tmp_path / "other.yaml").write_text("what: is this")
    told = petl("ls", "--runs", "runs")
    assert (told.exit_code, len(told.stdout.splitlines())) == (0, 1)
    assert "warning: other.yaml:1: unknown key 'what'" in told.stderr
