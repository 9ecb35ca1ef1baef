"""The login node's side of the probe job: submit it, talk with it, signal it, take it away."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from submitit.core.utils import DelayedSubmission

from petl.files import read_json, write_json
from slurm.doctor.findings import Patient
from slurm.doctor.probe import MARK, PATIENCE_S, PINGS, POLL_S, Mark, mark, probe
from slurm.doctor.site import seconds
from slurm.doctor.software import software
from slurm.scheduler import SlurmTrouble, run
from slurm.submit.profile import Image, Profile
from slurm.submit.script import Array, job_script
from slurm.words import duration

LIMIT_S = 300
LEAD_S = 30
STEP_S = 20.0
"""For a signal to arrive, or the job to be in the queue again. The job listens for longer."""
LOOK_S = 2.0
END_S = 10.0
OLD_S = 24 * 3600
OVER = (
    *("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("BOOT_FAIL", "DEADLINE", "PREEMPTED"),
)
SIGNALS = ("SIGUSR2", "SIGTERM")

Tell = Callable[[str], None]


@dataclass
class Brought:
    """What came of it; what is None was not reached."""

    trouble: str = ""
    todo: str = ""
    waited_only: bool = False
    """It stayed in the queue, which is nobody's fault."""
    waited_s: float = 0.0
    started_s: float | None = None
    """From running to the first word of Python."""
    facts: dict[str, Any] | None = None
    here: dict[str, Any] = field(default_factory=software)
    """The same of this side, before the job started."""
    round_trips: list[float] = field(default_factory=list)
    clock_s: float = 0.0
    """How far the node's clock is ahead."""
    signals: dict[str, float | None] = field(default_factory=dict)
    requeued_s: float | None = None


class Stopped(Exception):
    """The job cannot go on; the message is the finding."""


def send_probe(patient: Patient, wait_s: float, tell: Tell) -> Brought:
    brought = Brought()
    with _room(patient) as (folder, marks), ExitStack() as afterwards:
        try:
            job = _submit(patient, folder, marks)
            afterwards.callback(_cancel, job)
            _await_start(job, wait_s, brought, tell)
            _talk(folder, job, brought, tell)
            _signal(folder, job, brought, tell)
            if patient.profile.requeue and None not in brought.signals.values():
                tell("waiting for the job to be in the queue again")
                brought.requeued_s = _requeued(job)
        except (Stopped, SlurmTrouble, OSError) as trouble:
            brought.trouble = str(trouble)
            brought.todo = brought.todo or _last_words(folder)
    return brought


@contextmanager
def _room(patient: Patient) -> Iterator[tuple[Path, dict[str, Mark]]]:
    """A folder among the runs, and a mark in each that a job uses; nothing of it stays."""
    token, runs = secrets.token_hex(4), patient.places.runs
    for left in runs.glob(f"{MARK}*.d"):  # by one that was killed
        if time.time() - left.stat().st_mtime > OLD_S:
            shutil.rmtree(left, ignore_errors=True)
    folder = runs / f"{MARK}{token}.d"
    folder.mkdir(parents=True)
    marks = {name: mark(place, token) for name, place in vars(patient.places).items()}
    try:
        yield folder, marks
    finally:
        for file in (Path(one["file"]) for one in marks.values() if one["file"]):
            with suppress(OSError):
                file.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


# --- the job --------------------------------------------------------------------------------------


def short(profile: Profile) -> Profile:
    """What it asks for is the profile's, but for the time: a short job starts sooner."""
    time_s = min(seconds(profile.time), LIMIT_S)
    time_said = profile.time if time_s < LIMIT_S else str(LIMIT_S // 60)
    lead = min(profile.signal_lead_s, LEAD_S)
    return profile.model_copy(update={"time": time_said, "signal_lead_s": lead})


def _submit(patient: Patient, folder: Path, marks: dict[str, Mark]) -> str:
    profile = short(patient.profile)
    container = profile.container
    binds = list(container.binds) if isinstance(container, Image) else []
    pickle, script = folder / "probe.pkl", folder / "probe.sh"
    inside = [(bind.split(":") * 2)[1] for bind in binds]  # FOLDER, or FOLDER:INSIDE
    DelayedSubmission(probe, str(folder), marks, inside).dump(pickle)
    array = Array("petl-doctor", 1, 1, profile.mem_gb, pickle, patient.places)
    script.write_text(job_script(profile, array))
    return run(["sbatch", "--parsable", str(script)]).strip().partition(";")[0] + "_0"


def _cancel(job: str) -> None:
    """And wait for its end: until then it may write into the folder that goes."""
    with suppress(SlurmTrouble):
        run(["scancel", "--quiet", job.removesuffix("_0")])
    end = time.monotonic() + END_S
    while _look(job).get("JobState", OVER[0]) not in OVER and time.monotonic() < end:
        time.sleep(0.2)


def _look(job: str) -> dict[str, str]:
    """Slurm's own words; nothing where it has forgotten the job, or does not answer now."""
    try:
        told = run(["scontrol", "--oneliner", "show", "job", job])
    except SlurmTrouble:
        return {}
    return dict(re.findall(r"(\w+)=(\S*)", told))


def _await_start(job: str, wait_s: float, brought: Brought, tell: Tell) -> None:
    began = time.monotonic()
    while True:
        row = _look(job)
        state, reason = row.get("JobState", "?"), row.get("Reason", "?")
        brought.waited_s = time.monotonic() - began
        if state not in ("PENDING", "CONFIGURING", "?"):
            return
        if brought.waited_s > wait_s:
            start = row.get("StartTime", "Unknown").replace("T", " ")
            expected = f", expected at {start}" if start[:1].isdigit() else ""
            brought.waited_only = True
            brought.todo = "a longer --wait, or --no-job"
            said = f"job {job} did not start within {duration(wait_s)} ({reason}{expected})"
            raise Stopped(f"{said} and is cancelled")
        tell(f"job {job} waits ({reason}), {brought.waited_s:.0f} s")
        time.sleep(min(LOOK_S, 0.2 + brought.waited_s / 10))


def _await_file(path: Path, job: str, patience_s: float) -> float:
    """Seconds until it is seen; a job that has ended will not write it any more."""
    began = looked = time.monotonic()
    while read_json(path) is None:
        now = time.monotonic()
        if now - began > patience_s:
            raise Stopped(f"job {job} runs, but nothing came of it within {duration(patience_s)}")
        if now - looked > LOOK_S:
            looked, state = now, _look(job).get("JobState", "")
            if state in OVER and read_json(path) is None:
                raise Stopped(f"job {job} ended ({state.lower()}) before it had done its part")
        time.sleep(POLL_S / 2)
    return time.monotonic() - began


# --- talking with it ------------------------------------------------------------------------------


def _talk(folder: Path, job: str, brought: Brought, tell: Tell) -> None:
    for turn in range(PINGS):
        tell(f"job {job} starts Python" if turn == 0 else "measuring clocks and delays")
        before = time.time()
        write_json(folder / f"ping-{turn}.json", {"time": before})
        patience_s = 2 * PATIENCE_S if turn == 0 else PATIENCE_S
        took = _await_file(folder / f"pong-{turn}.json", job, patience_s)
        if turn == 0:
            brought.started_s = took
            continue
        brought.round_trips.append(took)
        if took == min(brought.round_trips):  # the quicker, the more it says of the clock
            pong = json.loads((folder / f"pong-{turn}.json").read_bytes())
            brought.clock_s = pong["time"] - before - took / 2
    tell("the node imports torch and looks at its GPU")
    _await_file(folder / "facts.json", job, LIMIT_S)
    brought.facts = read_json(folder / "facts.json")


def _signal(folder: Path, job: str, brought: Brought, tell: Tell) -> None:
    """scancel's way to the job is that of Slurm's own signals: to its steps, not to its script."""
    for name in SIGNALS:
        tell(f"sending {name}")
        brought.signals[name] = None
        run(["scancel", f"--signal={name.removeprefix('SIG')}", job])
        with suppress(Stopped):
            brought.signals[name] = _await_file(folder / f"heard-{name}.json", job, STEP_S)


def _requeued(job: str) -> float | None:
    began = time.monotonic()
    while time.monotonic() - began < STEP_S:
        row = _look(job)
        if row.get("Restarts", "0") != "0":
            return time.monotonic() - began
        if row.get("JobState") in OVER:
            return None
        time.sleep(0.2)
    return None


def _last_words(folder: Path) -> str:
    """Of the job, without what Slurm says of its end."""
    for log in folder.glob("*_log.out"):
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        said = [line for line in lines if "slurmstepd" not in line and "srun: " not in line]
        if said or lines:
            return f"it said: {(said or lines)[-1].strip()}"
    return "it said nothing"
