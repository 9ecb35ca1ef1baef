"""What a person types after a command, and which runs that means."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import failed, finished

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


@pytest.fixture
def study(tmp_path: Path) -> Study:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return load_study(path)


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


def test_without_a_study_there_must_be_one_that_was_submitted(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name a study"):
        studies(["method=lora"], tmp_path)
