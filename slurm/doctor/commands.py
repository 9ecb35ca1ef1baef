"""`petl doctor`: check what a study needs before it is submitted."""

from __future__ import annotations

import json
import os
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from petl.config.study import load_study
from petl.errors import several
from petl.places import Places
from petl.runs.damage import damage_in
from petl.runs.directory import Runs
from petl.terminal import CacheDir, ClusterName, DataDir, RunsDir, console, echo, interruptible
from slurm.doctor.compare import judge
from slurm.doctor.findings import Check, Context, Finding, run_checks, warning
from slurm.doctor.folders import CONTAINER, FOLDERS
from slurm.doctor.probe_job import send_probe
from slurm.doctor.slurm_checks import PROFILE, SLURM
from slurm.doctor.slurm_info import SlurmInfo
from slurm.doctor.software import SOFTWARE
from slurm.doctor.study import data_of, weights_of
from slurm.submit.profile import Profile, load_profile

STYLES = {"ok": "green", "warning": "yellow", "failure": "bold red"}
WIDTH, INDENT = 100, 11


def doctor(
    study: Annotated[
        Path | None,
        typer.Argument(metavar="[STUDY]", help="Check its runs' files, its data and its weights."),
    ] = None,
    cluster: ClusterName = None,
    job: Annotated[
        bool, typer.Option("--job/--no-job", help="Run a probe job of about a minute on a node.")
    ] = True,
    wait: Annotated[
        float, typer.Option(min=0, metavar="MINUTES", help="How long it may wait in the queue.")
    ] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    runs: RunsDir = None,
    data: DataDir = None,
    cache: CacheDir = None,
) -> None:
    """Check what a study needs, here and on a node, and say what to do about each problem.

    Exits with 1 if anything would keep runs from working.

    \b
    Example:
      petl doctor --cluster example
      petl doctor --cluster example --no-job
      petl doctor experiments/table1.yaml
    """
    if study:
        _check_study(study, Places.choose(runs, data, cache))
        return
    name = cluster or os.environ.get("PETL_CLUSTER")
    profile = load_profile(name) if name else Profile(time="60")
    context = Context(name, profile, Places.choose(runs, data, cache), SlurmInfo())
    screen = console()
    screen.quiet = as_json
    rows, counts = [], Counter[str]()
    for title, findings in _groups(context, wait * 60 if job else None, screen):
        _print(screen, title, findings)
        rows += [{"group": title, **asdict(one)} for one in findings]
        counts.update(one.level for one in findings)
    if as_json:
        echo(json.dumps({"cluster": name, "findings": rows}, indent=1))
    bad = [several(counts[level], level) for level in ("failure", "warning")]
    screen.print(", ".join([*bad, f"{counts['ok']} ok"]))
    if counts["failure"]:
        raise typer.Exit(1)


def _check_study(study: Path, places: Places) -> None:
    loaded = load_study(study)
    view = Runs(places.runs / loaded.name)
    damage = list(damage_in(view))
    for one in damage:
        echo(one)
    echo(f"{several(len(damage), 'damaged file')} in {several(len(list(view)), 'run')}")
    findings = [*data_of(loaded.tasks, places), *weights_of(loaded, places)]
    _print(console(), "Data and weights", findings)
    if damage or any(one.level == "failure" for one in findings):
        raise typer.Exit(1)


def _print(screen: Console, title: str, findings: list[Finding]) -> None:
    """A line for each finding, below it what to do."""
    screen.print(title, style="bold")
    width = min(screen.width, WIDTH) - INDENT
    for one in findings:
        lines = textwrap.wrap(one.text, width, break_long_words=False, break_on_hyphens=False)
        lines += textwrap.wrap(f"-> {one.todo}", width, break_long_words=False) if one.todo else []
        screen.print(f"  {one.level:{INDENT - 2}}", style=STYLES[one.level], end="")
        screen.print(("\n" + " " * INDENT).join(lines), soft_wrap=True)


def _groups(
    context: Context, wait_s: float | None, screen: Console
) -> Iterator[tuple[str, list[Finding]]]:
    no_slurm = context.slurm.is_absent
    groups: dict[str, Sequence[Check]] = {"Slurm": SLURM}
    if context.cluster:
        checks = CONTAINER if no_slurm else (*PROFILE, *CONTAINER)
        groups[f"Profile {Path(context.cluster).name}"] = checks
    groups |= {"Folders": FOLDERS, "Software": SOFTWARE}
    failed = False
    for title, group in groups.items():
        findings = run_checks(group, context)
        failed |= any(one.level == "failure" for one in findings)
        yield title, findings
    if no_slurm or wait_s is None:
        return
    if not context.cluster:
        todo = "`petl doctor --cluster PROFILE` checks a profile and a node"
        yield "On a node", [warning("no profile given, so no probe job", todo)]
    elif failed:
        todo = "repair the failures above first: the job would meet them too"
        yield "On a node", [warning("no probe job was submitted", todo)]
    else:
        with (
            interruptible("petl cancelled the probe job"),
            screen.status("submitting the probe job") as status,
        ):
            yield "On a node", judge(context, send_probe(context, wait_s, status.update))
