"""The login node's side of the probe job: submit it, wait for its answers, signal it, cancel it."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from petl.files import read_json, write_json
from slurm.call import python_arguments
from slurm.doctor.findings import Context
from slurm.doctor.probe import MARK, mark
from slurm.doctor.slurm_info import seconds
from slurm.doctor.software import software
from slurm.format import duration
from slurm.scheduler import ENDED, SlurmTrouble, run
from slurm.submit.code import for_cluster
from slurm.submit.container import runs_same_python
from slurm.submit.profile import Profile
from slurm.submit.script import Array, job_script

TIME_LIMIT_S = 300
LEAD_S = 30
SIGNAL_S = 20.0
"""For a signal to arrive, or the job to be in the queue again; the job listens for longer."""
LOOK_S = 2.0
QUEUED = ("PENDING", "CONFIGURING", "?")
CANCEL_S = 10.0
OLD_S = 24 * 3600
SIGNALS = ("SIGUSR2", "SIGTERM")

Say = Callable[[str], None]


@dataclass
class ProbeResult:
    """What is None was not reached."""

    trouble: str = ""
    todo: str = ""
    never_started: bool = False
    """It stayed in the queue until --wait was over: a busy cluster, not a broken one."""
    waited_s: float = 0.0
    here: dict[str, Any] = field(default_factory=software)
    """The login node's software at the time of submission, to compare with the facts."""
    facts: dict[str, Any] | None = None
    signals: dict[str, float | None] = field(default_factory=dict)
    """Seconds until Python received each signal; None if it did not."""
    requeued_s: float | None = None


class ProbeFailed(Exception):
    """The job cannot continue; the message becomes a finding."""


def send_probe(context: Context, wait_s: float, say: Say) -> ProbeResult:
    result = ProbeResult()
    with _probe_folder(context) as folder, ExitStack() as afterwards:
        try:
            job = _submit(context, folder)
            afterwards.callback(_cancel, job)
            say(f"job {job} waits in the queue")
            _await_start(job, wait_s, result)
            say(f"job {job} imports torch and tries its GPU")
            _await_file(folder / "facts.json", job, TIME_LIMIT_S)
            result.facts = read_json(folder / "facts.json")
            _signal(folder, job, result, say)
            if context.profile.requeue and None not in result.signals.values():
                say("waiting for the job to be in the queue again")
                result.requeued_s = _wait(lambda: _show(job).get("Restarts", "0") != "0", SIGNAL_S)
        except (ProbeFailed, SlurmTrouble, OSError) as trouble:
            result.trouble = str(trouble)
            result.todo = result.todo or _last_output(folder)
    return result


@contextmanager
def _probe_folder(context: Context) -> Iterator[Path]:
    """A folder in runs and a mark in each folder that jobs use; all of it is removed at the end."""
    token, runs = secrets.token_hex(4), context.places.runs
    for left in runs.glob(f"{MARK}*.d"):  # by a doctor that was killed
        if time.time() - left.stat().st_mtime > OLD_S:
            shutil.rmtree(left, ignore_errors=True)
    folder = runs / f"{MARK}{token}.d"
    folder.mkdir(parents=True)
    marks = {name: mark(path, token) for name, path in vars(context.places).items()}
    try:
        write_json(folder / "marks.json", {name: str(path) for name, path in marks.items()})
        yield folder
    finally:
        for path in marks.values():
            with suppress(OSError):  # a folder that could not be written is not a file
                path.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


# --- the job --------------------------------------------------------------------------------------


def short(profile: Profile) -> Profile:
    """The same profile with a short time limit, because short jobs start sooner."""
    is_short = seconds(profile.time) < TIME_LIMIT_S
    time_limit = profile.time if is_short else str(TIME_LIMIT_S // 60)
    lead = min(profile.signal_lead_s, LEAD_S)
    return profile.model_copy(update={"time": time_limit, "signal_lead_s": lead})


def _submit(context: Context, folder: Path) -> str:
    profile = short(context.profile)
    code = for_cluster(None, "", profile)
    same, frozen = runs_same_python(profile), code and code.keep(folder)
    call = python_arguments("slurm.doctor.probe:probe", folder, same=same, frozen=frozen)
    array = Array("petl-doctor", 1, 1, profile.mem_gb, folder, call, context.places)
    output = run(["sbatch", "--parsable"], text=job_script(profile, array))
    return output.strip().partition(";")[0] + "_0"


def _cancel(job: str) -> None:
    """Wait for its end too: until then it can write into the folder that is to be removed."""
    with suppress(SlurmTrouble):
        run(["scancel", "--quiet", job.removesuffix("_0")])
    _wait(lambda: _show(job).get("JobState", "CANCELLED") in ENDED, CANCEL_S)


def _show(job: str) -> dict[str, str]:
    """`scontrol show job`; empty when Slurm has forgotten the job or does not answer just now."""
    try:
        text = run(["scontrol", "--oneliner", "show", "job", job])
    except SlurmTrouble:
        return {}
    return dict(re.findall(r"(\w+)=(\S*)", text))


def _wait(true: Callable[[], bool], timeout_s: float) -> float | None:
    """The seconds it took, or None; it asks less and less often, to spare the controller."""
    began = time.monotonic()
    while not true():
        waited = time.monotonic() - began
        if waited > timeout_s:
            return None
        time.sleep(min(LOOK_S, 0.05 + waited / 10))
    return time.monotonic() - began


def _await_start(job: str, wait_s: float, result: ProbeResult) -> None:
    waited = _wait(lambda: _show(job).get("JobState", "?") not in QUEUED, wait_s)
    if waited is None:
        shown = _show(job)
        start = shown.get("StartTime", "").replace("T", " ")
        expected = f", expected to start at {start}" if start[:1].isdigit() else ""
        result.never_started, result.todo = True, "pass a longer --wait, or --no-job"
        text = f"job {job} did not start within {duration(wait_s)}"
        raise ProbeFailed(f"{text} ({shown.get('Reason')}{expected}); petl cancelled it")
    result.waited_s = waited


def _await_file(path: Path, job: str, timeout_s: float) -> float:
    """Seconds until the job has written it; a job that has ended never will."""

    def is_over() -> bool:
        return path.exists() or _show(job).get("JobState", "") in ENDED

    waited = _wait(is_over, timeout_s)
    if waited is None:
        text = f"job {job} runs, but did not write {path.name} within {duration(timeout_s)}"
        raise ProbeFailed(text)
    if not path.exists():
        raise ProbeFailed(f"job {job} ended too early ({_show(job).get('JobState', '?').lower()})")
    return waited


def _signal(folder: Path, job: str, result: ProbeResult, say: Say) -> None:
    """scancel signals the job's steps and not its script, as Slurm does before a time limit."""
    for name in SIGNALS:
        say(f"sending {name}")
        result.signals[name] = None
        run(["scancel", f"--signal={name.removeprefix('SIG')}", job])
        with suppress(ProbeFailed):
            result.signals[name] = _await_file(folder / f"heard-{name}.json", job, SIGNAL_S)


def _last_output(folder: Path) -> str:
    """The job's last line, preferably not one that Slurm added about its end."""
    for log in folder.glob("*_log.out"):
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        own = [line for line in lines if "slurmstepd" not in line and "srun: " not in line]
        if own or lines:
            return f"its last output: {(own or lines)[-1].strip()}"
    return "it printed nothing; look at the node's logs"
