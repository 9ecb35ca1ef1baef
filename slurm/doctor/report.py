"""Findings as a person reads them: a line each, and below it what to do."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable

from rich.text import Text

from slurm.doctor.findings import Finding, Level
from slurm.words import several

STYLES: dict[Level, str] = {"ok": "green", "warning": "yellow", "failure": "bold red"}
INDENT = 11


def section(title: str, findings: Iterable[Finding], width: int) -> Text:
    text = Text(f"{title}\n", style="bold")
    for finding in findings:
        text.append(f"  {finding.level:{INDENT - 2}}", f"not bold {STYLES[finding.level]}")
        text.append(_lines(finding.text, width), "not bold")
        if finding.todo:
            text.append(
                " " * INDENT + _lines(f"-> {finding.todo}", width, "   "), "not bold italic"
            )
    return text


def _lines(said: str, width: int, more: str = "") -> str:
    first, rest = " " * INDENT, " " * INDENT + more
    room = max(40, width)
    return (
        textwrap.fill(
            said,
            room,
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        ).removeprefix(first)
        + "\n"
    )


def summary(findings: Iterable[Finding]) -> str:
    counts = Counter(finding.level for finding in findings)
    bad = [several(counts[level], level) for level in ("failure", "warning")]
    return ", ".join([*bad, f"{counts['ok']} ok"])
