"""The verdicts on several runs: in the terminal, as JSON, and as one HTML page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from petl import __version__
from petl.config import Task
from petl.errors import several
from petl.files import write_output
from petl.reproduce.compare import Copy, Verdict, compare, read_copy, spread_over_folds
from petl.reproduce.environment import Difference, Surroundings, differences, of_run
from petl.runs.directory import RunDir, Runs
from petl.runs.result import Summary

EXITS = {"identical": 0, "within": 3, "different": 4, "failed": 5, "unfinished": 6}
"""The worst verdict of all runs decides the exit code."""
STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #bbb;padding:.4em;"
    "text-align:left;vertical-align:top}.identical{color:#060}.within{color:#850}"
    ".different,.failed{color:#a00}"
)


@dataclass(frozen=True)
class Outcome:
    """What training a run again has shown. Without a verdict, `remark` says why."""

    run_id: str
    title: str
    code: str
    """What it was trained with this time."""
    verdict: Verdict | None = None
    remark: str = ""
    environment: Sequence[Difference] = ()
    unfinished: bool = False

    @property
    def kind(self) -> str:
        if self.verdict is None:
            return "unfinished" if self.unfinished else "failed"
        return self.verdict.kind

    def facts(self) -> Iterator[tuple[str, str]]:
        if self.verdict is None:
            yield "why", self.remark
            return
        yield "epochs", self.verdict.epochs
        yield "weights", self.verdict.weights
        if self.verdict.largest:
            yield "scores", str(self.verdict.largest)
        yield "code", self.code
        yield "environment", self._environment()

    def _environment(self) -> str:
        """All differences but those of packages, which are many and in the JSON."""
        few = [str(one) for one in self.environment if not one.name.startswith("package ")]
        if many := len(self.environment) - len(few):
            few.append(f"other versions of {several(many, 'package')}")
        return "; ".join(few) or "equal in all that is recorded"

    def to_json(self) -> dict[str, Any]:
        return {
            **{"run_id": self.run_id, "run": self.title, "kind": self.kind, "code": self.code},
            **{"verdict": self.verdict and self.verdict.to_json(), "remark": self.remark},
            "environment": [one._asdict() for one in self.environment],
        }


def judge(
    task: Task, before: Copy, was: Surroundings, again: RunDir, spread: dict[str, float]
) -> Outcome:
    after = read_copy(again)
    runs = again.path.parents[1]
    code = dict(after.result["environment"].get("code") or {})
    commit = str(code.get("commit") or "")
    dirty = ", with changes" * commit.endswith("-dirty")
    name = f"commit {commit[:7]}{dirty}" if commit else f"code {str(code.get('source'))[:7]}"
    verdict = compare(before, after, spread)
    found = differences(was, of_run(after.result, runs))
    tries = [str(one.result["timing"].get("tries", 1)) for one in (before, after)]
    if tries[0] != tries[1]:  # each may have had other threads and another machine
        found.append(Difference("tries", *tries))
    return Outcome(task.run_id, str(task), name, verdict, environment=found)


def cell_spread(run: RunDir, task: Task) -> dict[str, float]:
    """Over the finished folds of the run's cell: same names, same seed."""
    return spread_over_folds(_cell(Runs(run.path.parent), task))


def _cell(runs: Runs, task: Task) -> Iterator[Summary]:
    for run_id in runs:
        other = runs.task(run_id) or {}
        alike = other.get("seed") == task.seed and other.get("names") == task.names.model_dump()
        if alike and (result := runs.result(run_id)) is not None:
            yield result


def exit_code(outcomes: Iterable[Outcome]) -> int:
    return max((EXITS[one.kind] for one in outcomes), default=0)


def in_words(outcomes: Sequence[Outcome]) -> str:
    """`2 identical, 1 within the spread over folds`."""
    names = {"within": "within the spread over folds"}
    counts = Counter(one.kind for one in outcomes)
    return ", ".join(f"{counts[k]} {names.get(k, k)}" for k in EXITS if counts[k])


def write_outcomes(outcomes: Sequence[Outcome], folder: Path) -> list[Path]:
    """verdicts.json and verdicts.html."""
    files = [folder / "verdicts.json", folder / "verdicts.html"]
    value = {"petl": __version__, "runs": [one.to_json() for one in outcomes]}
    write_output(files[0], (json.dumps(value, indent=1) + "\n").encode())
    write_output(files[1], page(outcomes).encode())
    return files


def page(outcomes: Sequence[Outcome]) -> str:
    rows = "".join(
        f"<tr><th scope=row>{escape(one.title)}<br><code>{escape(one.run_id)}</code></th>"
        f"<td class={one.kind}>{one.kind}</td><td>{_list(one.facts())}</td></tr>"
        for one in outcomes
    )
    return (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        "<meta http-equiv=Content-Security-Policy "
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Runs trained again</title><style>{STYLE}</style></head><body>"
        f"<h1>Runs trained again</h1><p>{escape(in_words(outcomes))}</p>"
        f"<table><thead><tr><th>Run<th>Verdict<th>What was compared</thead>{rows}</table>"
        f"<p>Made by petl-ast {__version__}.</p></body></html>\n"
    )


def _list(facts: Iterable[tuple[str, str]]) -> str:
    return "<br>".join(f"<b>{escape(name)}</b>: {escape(text)}" for name, text in facts)
