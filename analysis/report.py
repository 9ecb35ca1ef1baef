"""What `petl table` does: a study's finished runs -> the table on the screen and five files.

table.tex, table_alone.tex, table.csv, figure.png, figure.pdf
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis import collect, figure
from analysis.latex import ALONE, to_latex
from analysis.table import COUNTED, CSV_COLUMNS, SPREAD, Table, build, to_csv, to_text
from petl.errors import UserError, nearest
from petl.files import write_atomic
from petl.study import Study

FILES = ("table.tex", "table_alone.tex", "table.csv", "figure.png", "figure.pdf")


@dataclass(frozen=True)
class Report:
    """`missing` counts the study's tasks that have no result yet."""

    text: str
    files: list[Path]
    missing: int


def make_report(
    study: Study, runs: Path, out: Path, metric: str | None = None, styled: bool = False
) -> Report:
    """`metric` is `test_best.loss`, or `test_best` for its accuracy; else what the study reports.

    `styled` is for a terminal: best in bold, second best underlined.
    """
    metric = metric or study.report
    metric = metric if "." in metric else f"{metric}.accuracy"
    frame = collect.load(study, runs)
    if not (frame["state"] == "done").any():
        raise UserError(
            f"no finished run of {study.name} under {runs}; petl submit {study.path} makes them"
        )
    known = collect.metrics(frame)
    if metric not in known and metric not in frame:
        raise UserError(f"no run has the metric '{metric}'{nearest(metric, known)}")

    paths = {name: out / name for name in FILES}
    replaced = _refuse_to_replace_others(paths.values())
    table = build(frame, metric)
    _write(out, _contents(table))
    text = [to_text(table, styled), "", f"{SPREAD}. {COUNTED}.", *_notes(frame, metric)]
    if replaced:
        text.append(f"Replaced in {out}: {', '.join(replaced)}")
    missing = int((frame["state"] != "done").sum())
    return Report("\n".join(text), list(paths.values()), missing)


def _contents(table: Table) -> dict[str, bytes]:
    picture = figure.draw(table)
    texts = [text.encode() for text in (to_latex(table), ALONE, to_csv(table))]
    pictures = [figure.to_bytes(picture, kind) for kind in ("png", "pdf")]
    return dict(zip(FILES, [*texts, *pictures], strict=True))


def _notes(frame: pd.DataFrame, metric: str) -> list[str]:
    """What a reader of the table must know before believing it."""
    done = frame["state"] == "done"
    notes = []
    if not done.all():
        states = frame.loc[~done, "state"].value_counts()
        kinds = ", ".join(f"{count} {state}" for state, count in states.items())
        notes.append(f"{(~done).sum()} of {len(frame)} runs are missing: {kinds}.")
    notes += _few(
        [f"Broken: {run.reason}" for run in frame[frame["state"] == "broken"].itertuples()]
    )
    return notes + _few(
        [
            f"Warning: {metric} is not a number in run {run.run_id}"
            f" ({run.dataset} · {run.method} · fold {run.fold} · seed {run.seed})"
            for run in frame[done & frame[metric].isna()].itertuples()
        ]
    )


def _few(lines: list[str], most: int = 5) -> list[str]:
    more = len(lines) - most
    return lines if more <= 0 else [*lines[:most], f"... and {more} more like this"]


def _refuse_to_replace_others(paths: Iterable[Path]) -> list[str]:
    """The names of our own earlier files; anybody else's stops us before anything is written."""
    old = [path for path in paths if os.path.lexists(path)]
    for path in old:
        if not _is_ours(path):
            raise UserError(f"{path} was not made by petl table; move it, or name another folder")
    return [path.name for path in old]


def _is_ours(path: Path) -> bool:
    """Every file says so within, except the CSV, which its header gives away."""
    if not path.is_file():
        return False
    data = path.read_bytes()
    return b"petl-ast" in data or data.startswith(",".join(CSV_COLUMNS).encode())


def _write(out: Path, contents: dict[str, bytes]) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, data in contents.items():
            write_atomic(out / name, data)
    except OSError as error:
        raise UserError(f"{out}: cannot write there: {error.strerror or error}") from None
