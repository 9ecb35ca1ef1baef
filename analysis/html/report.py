"""The content of a report, read once, and the page as a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from shlex import quote

import pandas as pd

from analysis import collect
from analysis.measure import measured
from analysis.tables.tabulate import Options, Tabulated, tabulate
from petl.config.kinds import HEADLINES, KINDS
from petl.config.study import EXPERIMENTS, Study
from petl.files import refuse_foreign, write_output

SPLITS = ("test_last", "test_best")
GENERATOR = "petl-ast report"


@dataclass(frozen=True)
class Report:
    """`tables`: what the study reports, then other measures; none before a run has finished."""

    study: Study
    runs: Path
    frame: pd.DataFrame
    tables: tuple[Tabulated, ...]
    made: datetime

    @classmethod
    def of(cls, study: Study, runs: Path, options: Options | None = None) -> Report:
        frame = collect.load(study, runs)
        tables: tuple[Tabulated, ...] = ()
        if (frame["state"] == "done").any():
            main = tabulate(study, runs, options, frame)
            others = _others(frame, main.table.measure.column)
            plain = replace(options or Options(), published=False, tolerance=None, digits=None)
            more = (tabulate(study, runs, replace(plain, metric=name), frame) for name in others)
            tables = (main, *more)
        return cls(study, runs, frame, tables, datetime.now(timezone.utc))

    @cached_property
    def done(self) -> pd.DataFrame:
        return self.frame[self.frame["state"] == "done"]

    @property
    def warnings(self) -> list[str]:
        return self.tables[0].warnings if self.tables else []

    @property
    def synthetic(self) -> bool:
        return collect.synthetic(self.frame)

    @property
    def file(self) -> str:
        """The study's path as one types it in a shell here, without this machine's folders."""
        path = self.study.path.absolute()
        for base in (Path.cwd(), EXPERIMENTS.parent):
            if path.is_relative_to(base):
                return quote(str(path.relative_to(base)))
        return quote(path.name)


def _others(frame: pd.DataFrame, reported: str) -> list[str]:
    """The same metric of the other weights, and the metrics that stand beside it."""
    split, _, metric = reported.partition(".")
    if split not in SPLITS:
        wanted = [f"{split}.{name}" for split in SPLITS for name in HEADLINES]
    else:
        other = next(name for name in SPLITS if name != split)
        wanted = [f"{other}.{metric}"]
        wanted += [f"{split}.{name}" for k in KINDS for name in (k.headline, *k.beside)]
    known = measured(frame)
    return [name for name in dict.fromkeys(wanted) if name in known and name != reported]


def write(page: str, out: Path) -> bool:
    """Return whether the page replaced an older report."""
    replaced = refuse_foreign(out, f'content="{GENERATOR}'.encode())
    write_output(out, page.encode())
    return replaced
