"""Findings as a person reads them: a line each, and below it what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.console import Group
from rich.table import Table
from rich.text import Text

from slurm.doctor.findings import Finding, Level
from slurm.words import several

STYLES: dict[Level, str] = {"ok": "green", "warning": "yellow", "failure": "bold red"}


def section(title: str, findings: Iterable[Finding]) -> Group:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(min_width=9, no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        table.add_row(Text(f"  {finding.level}", style=STYLES[finding.level]), finding.text)
        if finding.todo:
            table.add_row("", Text(f"-> {finding.todo}", style="italic"))
    return Group(Text(title, style="bold"), table, Text(""))


def summary(findings: Iterable[Finding]) -> str:
    counts = Counter(finding.level for finding in findings)
    bad = [several(counts[level], level) for level in ("failure", "warning")]
    return ", ".join([*bad, f"{counts['ok']} ok"])
