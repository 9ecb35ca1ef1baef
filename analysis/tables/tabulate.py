"""A study's finished runs -> its table, in one format or in all files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis import collect
from analysis.cells import Table, build
from analysis.figures import parameters
from analysis.measure import Measure, choose
from analysis.tables import gains, html, latex, paper, significance, splits, text, trace
from analysis.tables.layout import Extras, lay_out
from petl.config.kinds import HEADLINES, SEVERAL_LABELS, metric
from petl.config.study import Study
from petl.files import refuse_foreign, write_output
from petl.picture import to_bytes as picture_bytes

TEXTS = ("table.tex", "table_alone.tex", "table.csv", "table.md", "table.html", "table.trace.json")
FILES = (*TEXTS, "figure.png", "figure.pdf")
MARKS = (b"petl-ast", b"study,metric,unit,dataset,backbone")
"""What our files contain: the name of the program, or the header of the CSV."""


@dataclass(frozen=True)
class Options:
    """`metric`: `test_best.loss`, or `test_best` for its accuracy [as the study says]."""

    metric: str | None = None
    digits: int | None = None
    spread: str = "population-std"
    published: bool = False
    tolerance: float | None = None
    reference: str | None = None
    colors: str = "paper"


@dataclass(frozen=True)
class Tabulated:
    """`warnings` is what a reader must know: missing and mixed runs."""

    folder: Path
    frame: pd.DataFrame
    table: Table
    extras: Extras
    colors: str
    warnings: list[str]

    def in_format(self, name: str, styled: bool = False) -> str:
        if name == "text":
            notes = [f"{note}." for note in lay_out(self.table, self.extras).notes]
            body = text.to_text(self.table, self.extras, styled)
            return "\n".join([body, "", *notes, ""])
        if name == "latex":
            return latex.to_latex(self.table, self.extras, self.colors)
        if name == "csv":
            return text.to_csv(self.table, self.extras)
        if name == "json":
            return text.to_json(self.table, self.extras)
        if name == "markdown":
            return text.to_markdown(self.table, self.extras)
        return html.to_html(self.table, self.extras, self.colors)

    def trace(self, row: str, column: str) -> str:
        return f"{trace.show(self.frame, self.table, row, column)}\n\nIn {self.folder}"

    def write(self, out: Path) -> tuple[list[Path], list[str]]:
        """Return the files, and the names of those that were there before.

        A file that petl did not make raises an error before anything is written.
        """
        paths = [out / name for name in FILES]
        replaced = [path.name for path in paths if refuse_foreign(path, *MARKS)]
        for path, data in zip(paths, self._contents(), strict=True):
            write_output(path, data)
        return paths, replaced

    def _contents(self) -> list[bytes]:
        texts = [
            self.in_format("latex"),
            latex.alone(self.table, self.extras),
            *map(self.in_format, ("csv", "markdown", "html")),
            trace.to_json(self.frame, self.table, self.warnings),
        ]
        picture = parameters.draw(self.table)
        pictures = [picture_bytes(picture, kind) for kind in ("png", "pdf")]
        return [*(content.encode() for content in texts), *pictures]


def tabulate(
    study: Study, runs: Path, options: Options | None = None, frame: pd.DataFrame | None = None
) -> Tabulated:
    """`frame`: the study's runs, if they are loaded already."""
    options = options or Options()
    frame = collect.load(study, runs) if frame is None else frame
    collect.refuse_unfinished(frame, study, runs)
    measure = choose(frame, options.metric or study.report, options.digits)
    frame, elsewhere = _of_one_kind(frame, measure)
    table = build(frame, measure, options.spread)
    compared = options.published or options.tolerance is not None
    extras = Extras(
        paper.beside(table) if compared else (),
        options.tolerance,
        significance.compare(table, frame, options.reference) if options.reference else None,
        (*splits.pairs(table, frame), *gains.gains(table, frame)),
    )
    warnings = [*elsewhere, *_warnings(frame, table)]
    return Tabulated(runs / study.name, frame, table, extras, options.colors, warnings)


def _of_one_kind(frame: pd.DataFrame, measure: Measure) -> tuple[pd.DataFrame, list[str]]:
    """The datasets whose kind of task has this headline metric, and a line for each other one."""
    split, _, name = measure.column.rpartition(".")
    lines: dict[str, str] = {}
    for label, runs in frame[frame["state"] == "done"].groupby("dataset_label", sort=False):
        columns = [f"{split}.{h}" for h in HEADLINES if h != name and f"{split}.{h}" in runs]
        theirs = next((column for column in columns if runs[column].notna().any()), None)
        if name in HEADLINES and theirs and runs[measure.column].isna().all():
            what = metric(name).title
            lines[label] = f"{label} is another kind of task without {what}: --metric {theirs}"
    kept = frame[~frame["dataset_label"].isin(list(lines))]
    return (kept, list(lines.values())) if (kept["state"] == "done").any() else (frame, [])


def _warnings(frame: pd.DataFrame, table: Table) -> list[str]:
    done, metric = frame["state"] == "done", table.measure.column
    lines = []
    if not done.all():
        states = frame.loc[~done, "state"].value_counts()
        kinds = ", ".join(f"{count} {state}" for state, count in states.items())
        lines.append(f"{(~done).sum()} of {len(frame)} runs are missing: {kinds}.")
    lines += _few([f"Counted once: {line}" for line in frame.attrs.get("duplicates", [])])
    lines += _few(
        [
            f"Warning: {metric} is not a number in run {run.run_id}"
            f" ({run.dataset} · {run.method} · fold {run.fold} · seed {run.seed})"
            for run in frame[done & frame[metric].isna()].itertuples()
        ]
    )
    return [*lines, *_left_out(frame, table), *trace.warnings(frame, table)]


def _left_out(frame: pd.DataFrame, table: Table) -> list[str]:
    """mAP and AUC are means over the classes that have clips in the part."""
    split, _, name = table.measure.column.rpartition(".")
    column = f"{split}.classes_without_clips"
    if name not in (SEVERAL_LABELS.headline, *SEVERAL_LABELS.beside) or column not in frame:
        return []
    most = frame.groupby("dataset_label", sort=False)[column].max()
    return [
        f"{metric(name).title} on {label} leaves out the classes without clips: up to {count:.0f}."
        for label, count in most.items()
        if count > 0
    ]


def _few(lines: list[str], most: int = 5) -> list[str]:
    more = len(lines) - most
    return lines if more <= 0 else [*lines[:most], f"... and {more} more like this"]
