"""`petl doctor`: what would break a study, found before it is submitted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from petl.terminal import CacheDir, ClusterName, DataDir, RunsDir, console, echo, interruptible

if TYPE_CHECKING:
    from rich.console import Console

    from slurm.doctor.findings import Finding, Patient

WIDTH = 100


def doctor(
    cluster: ClusterName = None,
    job: Annotated[
        bool, typer.Option("--job/--no-job", help="Send a probe of about a minute to a node.")
    ] = True,
    wait: Annotated[
        float, typer.Option(min=0, metavar="MINUTES", help="So long it may stay in the queue.")
    ] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    runs: RunsDir = None,
    data: DataDir = None,
    cache: CacheDir = None,
) -> None:
    """Check what a study needs, here and on a node, and say what to do about what is wrong.

    Fails (exit code 1) if anything would keep runs from working.

    \b
    Example:
      petl doctor --cluster example
      petl doctor --cluster example --no-job
    """
    from petl.places import Places
    from slurm.doctor.findings import Patient
    from slurm.doctor.report import section, summary
    from slurm.doctor.site import Site
    from slurm.submit.profile import Profile, load_profile

    name = cluster or os.environ.get("PETL_CLUSTER")
    profile = load_profile(name) if name else Profile(time="60")
    patient = Patient(name, profile, Places.choose(runs, data, cache), Site())
    screen = console()
    found: dict[str, list[Finding]] = {}
    for title, findings in _sections(patient, wait * 60 if job else None, screen, quiet=as_json):
        found[title] = findings
        if findings and not as_json:
            screen.print(section(title, findings, min(screen.width, WIDTH)), soft_wrap=True)
    everything = [finding for findings in found.values() for finding in findings]
    if as_json:
        rows = [{"group": t, **asdict(one)} for t, findings in found.items() for one in findings]
        echo(json.dumps({"cluster": name, "findings": rows}, indent=1))
    else:
        screen.print(summary(everything))
    if any(finding.level == "failure" for finding in everything):
        raise typer.Exit(1)


def _sections(
    patient: Patient, wait_s: float | None, screen: Console, *, quiet: bool
) -> Iterator[tuple[str, list[Finding]]]:
    from slurm.doctor.findings import examine, warning
    from slurm.doctor.folders import CONTAINER, FOLDERS
    from slurm.doctor.login import PROFILE, SLURM
    from slurm.doctor.software import SOFTWARE

    before = [examine(SLURM, patient)]
    yield "Slurm", before[0]
    there = patient.cluster is not None and not patient.site.is_absent
    if patient.cluster:
        checks = (*PROFILE, *CONTAINER) if there else CONTAINER
        before.append(examine(checks, patient))
        yield f"Profile {Path(patient.cluster).name}", before[-1]
    before.append(examine(FOLDERS, patient))
    yield "Folders", before[-1]
    yield "Software", examine(SOFTWARE, patient)
    if there and wait_s is not None:
        if any(finding.level == "failure" for findings in before for finding in findings):
            said = "no job was sent: with these failures it would fail too"
            yield "On a node", [warning(said, "repair them first")]
        else:
            yield "On a node", _probe(patient, wait_s, screen, quiet)
    elif not patient.cluster and not patient.site.is_absent:
        todo = "`petl doctor --cluster PROFILE` looks at a profile and at a node"
        yield "On a node", [warning("no profile named, so no job was sent", todo)]


def _probe(patient: Patient, wait_s: float, screen: Console, quiet: bool) -> list[Finding]:
    from slurm.doctor.compare import judged
    from slurm.doctor.errand import send_probe

    with interruptible("the probe job is cancelled"):
        if quiet:
            return judged(patient, send_probe(patient, wait_s, lambda remark: None))
        with screen.status("submitting the probe job") as status:
            return judged(patient, send_probe(patient, wait_s, status.update))
