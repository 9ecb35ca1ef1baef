"""Files of runs are damaged in all ways at once, and every command goes on with the other runs."""

from __future__ import annotations

import csv
import ctypes
import io
import json
import os
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import pytest
from damages import FINISHED, HARMLESS, UNFINISHED, Damaged

from petl.cli import app

LIMIT_S = 20
LOOKING = [
    "plan S",
    "plan S --list",
    "status S",
    "status S --cost",
    "ls S",
    "table S --format text",
    "table S --format latex",
    "table S --format csv",
    "table S --out OUT/table",
    "table S --trace linear made",
    "report S --out OUT/report.html",
    "figure parameters S --out OUT",
    "figure folds S --out OUT",
    "figure cost S --out OUT",
    "figure classes S --out OUT",
    "figure convergence S --out OUT",
    "curves S --out OUT/curves.png",
]
AT_SOME = ["logs S ID", "figure confusion S --method lora --out OUT", "clean S --yes"]


class Answer(NamedTuple):
    code: int
    out: str
    err: str

    def check(self, code: int = 0) -> None:
        assert self.code != -signal.SIGALRM, "it hangs"
        assert "Traceback" not in self.err and self.code == code, self.err[-2000:]


def without_privileges() -> None:
    """Root reads every file; from here on this process reads what its user may read."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    for i in range(len(sets)):
        sets[i] &= ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, sets) == 0


def in_a_child(work: Callable[[], object]) -> Answer:
    """In a process of its own that has a time limit; a fork, because imports take seconds."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            code = 0
            signal.alarm(LIMIT_S)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            sys.stdin = io.StringIO()
            sys.stdout = io.TextIOWrapper(io.FileIO(1, "w"), errors="replace")
            sys.stderr = io.TextIOWrapper(io.FileIO(2, "w"), errors="replace")
            try:
                without_privileges()
                work()
            except SystemExit as left:
                code = int(left.code or 0)
            except BaseException:
                traceback.print_exc()
                code = 1
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        for file in (out, err):
            file.seek(0)
        return Answer(code, *(file.read().decode(errors="replace") for file in (out, err)))


@pytest.fixture(scope="module")
def damaged() -> Iterator[Damaged]:
    from analysis.html import page  # noqa: F401

    with tempfile.TemporaryDirectory(prefix="damaged runs ") as folder:
        yield Damaged(Path(folder))


def petl(damaged: Damaged, command: str) -> Answer:
    named = {"S": str(damaged.study.path), "ID": damaged.whole[0]}
    out = str(damaged.folder / "out")
    words = [named.get(word, word.replace("OUT", out)) for word in command.split()]
    return in_a_child(lambda: app([*words, "--runs", str(damaged.runs)], prog_name="petl"))


def contents(folder: Path) -> dict[str, tuple[int, int, int]]:
    """What each path is, how large, and when it was written; nothing is opened."""
    found = {str(path): path.lstat() for path in folder.rglob("*") if not path.is_dir()}
    return {name: (st.st_mode, st.st_size, st.st_mtime_ns) for name, st in found.items()}


def finished(damaged: Damaged) -> dict[str, float]:
    """The accuracy of each run whose result can be read, links included; read without petl."""
    scores = {}
    for task in damaged.study.tasks:
        file = damaged.runs / damaged.study.name / task.run_id / "result.json"
        if damaged.of.get(task.run_id, ("", "", ""))[1:] == ("result.json", "of another user"):
            continue
        try:
            result = json.loads(file.read_bytes()) if file.is_file() else {}
            if result["schema"] == 1:
                scores[task.run_id] = float(result["metrics"]["test_last"]["accuracy"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            pass
    return scores


def damaged_files(text: str) -> set[str]:
    """The damaged files that one line each names, with what is wrong and what to do."""
    return set(re.findall(r"^/.*/([0-9a-f]{16}/[\w.]+): .+; .+$", text, re.MULTILINE))


def expected(damaged: Damaged, *names: str, finished: bool) -> set[str]:
    """The damaged files of these names."""
    return {
        f"{run_id}/{name}"
        for name in names
        for run_id, way in damaged.runs_with(name, finished=finished).items()
        if way not in HARMLESS.get((finished, name), ())
    }


@pytest.mark.parametrize("command", LOOKING)
def test_a_command_goes_on_with_the_other_runs_and_names_the_damaged_ones(
    damaged: Damaged, command: str
) -> None:
    before = contents(damaged.runs)
    answer = petl(damaged, command)
    answer.check()
    assert contents(damaged.runs) == before
    named = damaged_files(answer.err)
    results = expected(damaged, "result.json", finished=True) - {
        f"{run_id}/result.json" for run_id in finished(damaged)
    }
    assert results | expected(damaged, *UNFINISHED, finished=False) <= named
    if command.startswith(("figure convergence", "curves", "report")):
        assert expected(damaged, "metrics.jsonl", finished=True) <= named
    assert not {name for name in named if name[:16] in damaged.whole}


@pytest.mark.parametrize("command", AT_SOME)
def test_a_command_that_looks_at_some_runs_works(damaged: Damaged, command: str) -> None:
    before = contents(damaged.runs)
    petl(damaged, command).check()
    assert contents(damaged.runs) == before


def test_the_doctor_lists_every_damaged_file(damaged: Damaged) -> None:
    answer = petl(damaged, "doctor S")
    answer.check(code=1)
    wanted = expected(damaged, *FINISHED, finished=True)
    wanted |= expected(damaged, *UNFINISHED, finished=False)
    assert damaged_files(answer.out) == wanted


def test_tables_have_every_whole_result_and_no_other(damaged: Damaged) -> None:
    answer = petl(damaged, "table S --format csv")
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    scores = finished(damaged)
    for row in rows:
        of = [task for task in damaged.study.tasks if task.names.method == row["method"]]
        here = [task for task in of if task.run_id in scores]
        assert (int(row["n"]), int(row["expected"])) == (len(here), len(of))
        folds = {task.fold for task in here}
        means = [fmean(scores[t.run_id] for t in here if t.fold == fold) for fold in folds]
        assert float(row["mean"]) == pytest.approx(100 * fmean(means))
    assert len(scores) > len(damaged.whole) and len(rows) == 5


@pytest.mark.parametrize("name", ["table", "figure"])
def test_functions_of_notebooks_go_on_too(damaged: Damaged, name: str) -> None:
    from analysis.notebooks import notebook

    study = str(damaged.study.path)
    named = {
        "table": lambda: notebook.table(study, damaged.runs),
        "figure": lambda: notebook.figure("folds", study, damaged.runs),
    }
    answer = in_a_child(named[name])
    answer.check()
    assert expected(damaged, *UNFINISHED, finished=False) <= damaged_files(answer.err)


def test_packing_leaves_damaged_runs_as_they_are(tmp_path: Path) -> None:
    damaged = Damaged(tmp_path / "study")
    results, before = finished(damaged), petl(damaged, "table S --format csv")
    petl(damaged, "compact S --yes").check()
    there = {path.name for path in (damaged.runs / damaged.study.name).iterdir()}
    assert not there.intersection(damaged.whole)
    assert {run_id for run_id in damaged.of if run_id not in results} <= there
    assert petl(damaged, "table S --format csv").out == before.out


def test_damaged_runs_are_moved_aside_and_wait_to_be_trained(tmp_path: Path) -> None:
    damaged = Damaged(tmp_path / "study")
    study = damaged.runs / damaged.study.name
    before = {path.lstat().st_ino for path in study.rglob("*")}
    refused = petl(damaged, "clean S --damaged")
    assert refused.code == 2 and "--yes" in refused.err and not (study / "damaged").exists()
    answer = petl(damaged, "clean S --damaged --yes")
    answer.check()
    aside = {path.name[:16] for path in (study / "damaged").iterdir()}
    assert aside == {name[:16] for name in damaged_files(answer.out)}
    for run_id in aside:
        assert re.search(rf"^.*/{run_id} is now .*/damaged/{run_id}-", answer.out, re.MULTILINE)
    assert {path.lstat().st_ino for path in study.rglob("*")} > before
    petl(damaged, "doctor S").check()
    listed = petl(damaged, "ls S").out
    assert all(re.search(rf"^{run_id}  waiting", listed, re.MULTILINE) for run_id in aside)
