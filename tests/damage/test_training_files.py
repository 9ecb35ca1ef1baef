"""Training in a damaged run folder mends what can be computed again, or refuses in one line.

Either way the numbers are those of a run that nobody disturbed, to the bit.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from interrupted import Case, Damage, numbers

from petl.runs.directory import RunDir


def content(change: Callable[[bytes], bytes]) -> Damage:
    def damage(run: RunDir) -> None:
        run.metrics_file.write_bytes(change(run.metrics_file.read_bytes()))

    return damage


METRICS: dict[str, Damage] = {
    "lost": lambda run: run.metrics_file.unlink(),
    "empty": content(lambda old: b""),
    "half a line": content(lambda old: old[:-20]),
    "first line only": content(lambda old: old[: old.index(b"\n") + 1]),
    "second line only": content(lambda old: old[old.index(b"\n") + 1 :]),
    "a broken line": content(lambda old: b'{"epoch": 1, "train\n' + old[old.index(b"\n") + 1 :]),
    "each line twice": content(lambda old: old + old),
    "an epoch too many": content(lambda old: old + b'{"epoch": 7, "train_loss": 0.0}\n'),
    "NUL after a power cut": content(lambda old: bytes(len(old))),
    "not text": content(lambda old: b"\xff\xfe" + old),
    "a list": content(lambda old: b"[1, 2]\n"),
    "numbers of somebody else": content(lambda old: old.replace(b"0.", b"9.")),
}


@pytest.mark.parametrize("name", METRICS)
def test_metrics_become_whole_again(case: Case, undisturbed: RunDir, name: str) -> None:
    METRICS[name](case.run)
    log = case.train()
    assert "continues in epoch 3" in log
    assert "metrics.jsonl: " in log
    assert numbers(case.run) == numbers(undisturbed)


def test_an_undamaged_folder_is_not_called_damaged(case: Case, undisturbed: RunDir) -> None:
    log = case.train()
    assert "continues in epoch 3" in log and "metrics.jsonl" not in log
    assert numbers(case.run) == numbers(undisturbed)


def is_link(path: Path) -> None:
    path.with_name("private").write_text("mine")
    path.symlink_to("private")


KINDS = {"a link": is_link, "a pipe": os.mkfifo, "a folder": os.mkdir}


@pytest.mark.parametrize("file", ["task.json", "metrics.jsonl", "log.txt", "claim.json"])
@pytest.mark.parametrize("kind", KINDS)
def test_other_kinds_of_files_are_refused_or_set_aside(case: Case, file: str, kind: str) -> None:
    path = case.run.path / file
    path.unlink(missing_ok=True)
    KINDS[kind](path)
    if file == "metrics.jsonl":
        case.train()
        assert (
            os.path.lexists(path.with_name("metrics.jsonl.damaged"))
            and len(case.run.metrics()) == 3
        )
    elif (file, kind) == ("claim.json", "a link"):  # names nobody, and makes way without its target
        case.train()
    else:
        assert file in case.refusal()
        assert path.is_symlink() or not path.is_file()
    if kind == "a link":
        assert (case.run.path / "private").read_text() == "mine"


def test_a_study_in_place_of_its_folder_is_one_line(case: Case) -> None:
    shutil.rmtree(case.run.path)
    case.run.path.write_text("")
    assert "choose another one with --runs or PETL_RUNS" in case.refusal()
