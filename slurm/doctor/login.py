"""Slurm as the login node sees it, and whether it can give what the profile asks for."""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from petl.errors import nearest
from slurm.doctor.findings import Finding, Patient, failure, ok, warning
from slurm.doctor.site import COMMANDS, PATIENCE_S, Row, number, seconds
from slurm.scheduler import SlurmTrouble, run
from slurm.submit.profile import Profile
from slurm.submit.script import Array, job_script
from slurm.words import duration, several

SLOW_S = 3.0
LEAST_LEAD_S = 30
"""A checkpoint is some megabytes, on a file system that may be busy."""
EARLY_S = 60
"""Slurm looks at time limits twice a minute, and its signal may come this much before its time."""
DEGRADED = {
    "squeue": "submit and status need it: try again, or ask those who run the cluster",
    "sacct": "status then judges ended jobs by their run folders and squeue alone",
}

# --- Slurm itself ---------------------------------------------------------------------------------


def commands(patient: Patient) -> Iterator[Finding]:
    site = patient.site
    if site.is_absent:
        here = "no Slurm on this machine"
        if patient.cluster:
            yield failure(f"{here}: there is no {', '.join(COMMANDS)}", "run this on a login node")
        else:
            local = "`petl submit STUDY --local N` runs here; doctor on a login node tells more"
            yield warning(here, local)
        return
    took = {}
    for name in COMMANDS:
        try:
            site.answers[name].result()
            took[name] = site.answers[name].seconds
        except SlurmTrouble as trouble:
            level = warning if name == "sacct" else failure
            todo = DEGRADED.get(name, "`module load slurm`, or ask those who run the cluster")
            yield level(str(trouble), todo)
    if slow := [f"{name} {duration(s)}" for name, s in took.items() if s > SLOW_S]:
        todo = "status and submit are as slow; `petl status --watch` asks seldom"
        yield warning(f"slow to answer: {', '.join(slow)}", todo)
    elif took:
        yield ok(f"{', '.join(took)} answer within {max(took.values()):.1f} s")


def version(patient: Patient) -> Iterator[Finding]:
    if not patient.site.is_absent:
        config = patient.site.config
        yield ok(f"Slurm {config.get('SLURM_VERSION', '?')}, cluster {config.get('ClusterName')}")


# --- what the profile asks for --------------------------------------------------------------------


def partition(patient: Patient) -> Iterator[Finding]:
    asked, row = patient.profile.partition, patient.site.partition(patient.profile)
    if row is None:
        known = patient.site.partitions
        said = f"there is no partition '{asked}'" if asked else "no partition is the default"
        yield failure(f"{said}{nearest(asked, known)}", "name one in the profile: `partition:`")
        return
    name, state = row["PartitionName"], row.get("State", "?")
    if state != "UP":
        yield failure(f"partition {name} is {state.lower()}", "take another, or wait")
    elif problem := _not_allowed(row, patient.profile):
        yield failure(problem, "change the profile, or ask for access")
    else:
        yield ok(f"partition {name} is up{'' if asked else ', the default'}")


def _not_allowed(row: Row, profile: Profile) -> str:
    for key, value, what in (
        ("AllowAccounts", profile.account, "account"),
        ("AllowQos", profile.qos, "qos"),
    ):
        allowed = row.get(key, "ALL")
        if value and allowed != "ALL" and value not in allowed.split(","):
            return f"partition {row['PartitionName']} takes {what}s {allowed} only, not {value}"
    return ""


def time_limit(patient: Patient) -> Iterator[Finding]:
    profile, row = patient.profile, patient.site.partition(patient.profile)
    if row is None:
        return
    most, asked = row.get("MaxTime", "UNLIMITED"), seconds(profile.time)
    for said in (row.get("MaxTime", ""), *(limit["MaxWall"] for limit in _limits(patient))):
        if seconds(said) < seconds(most):
            most = said
    if asked > seconds(most):
        yield failure(f"time: {profile.time} is more than the limit of {most}", f'time: "{most}"')
    else:
        limit = "no limit" if math.isinf(seconds(most)) else f"{most} at most"
        yield ok(f"time {profile.time}: {limit}")


def gpus(patient: Patient) -> Iterator[Finding]:
    profile, row = patient.profile, patient.site.partition(patient.profile)
    if row is None or not profile.gpus:
        return
    name = row["PartitionName"]
    nodes = [node for node in patient.site.nodes if node.partition == name]
    found = {node: re.findall(r"gpu:(?:([^:(,]+):)?(\d+)", node.gres) for node in nodes}
    kinds = {kind for gres in found.values() for kind, _ in gres if kind}
    fitting = [
        node
        for node, gres in found.items()
        if any(
            int(count) >= profile.gpus and profile.gpu_type in (None, kind) for kind, count in gres
        )
    ]
    fits = [node for node in nodes if node in fitting]
    asked = (
        f"{several(profile.gpus, 'GPU')}{f' of type {profile.gpu_type}' * bool(profile.gpu_type)}"
    )
    if not fits:
        offer = nearest(profile.gpu_type, kinds) if profile.gpu_type else ""
        yield failure(f"no node of {name} has {asked}{offer}", "change gpus, gpu_type or partition")
        return
    up = [n for n in fits if not re.match(r"down|drain|fail|maint|unk|inval|.*\*", n.state)]
    if not up:
        yield warning(f"all {len(fits)} nodes with {asked} are down or drained", "wait, or ask why")
    else:
        yield ok(f"{asked}: {len(up)} of {several(len(nodes), 'node')} in {name} can give it")


def account_and_qos(patient: Patient) -> Iterator[Finding]:
    site, profile = patient.site, patient.profile
    if not site.enforces("associations"):
        yield ok("accounts and qos are not enforced here")
        return
    mine = sorted({row["Account"] for row in site.associations})
    if not mine:
        yield failure("you have no account here", "ask those who run the cluster for one")
    elif profile.account and profile.account not in mine:
        todo = f"`account:` in the profile; yours: {', '.join(mine)}"
        yield failure(
            f"account '{profile.account}' is not yours{nearest(profile.account, mine)}", todo
        )
    else:
        yield ok(f"account {profile.account or f'your default, of {len(mine)}'}")
    qos = {name for row in _rows(patient) for name in row["QOS"].split(",") if name}
    if profile.qos and profile.qos not in qos:
        todo = "`qos:` in the profile"
        yield failure(f"qos '{profile.qos}' is not yours{nearest(profile.qos, qos)}", todo)
    elif profile.qos:
        yield ok(f"qos {profile.qos}")


def _rows(patient: Patient) -> list[Row]:
    """Of the user's associations those with the profile's account."""
    account = patient.profile.account
    return [row for row in patient.site.associations if account in (None, row["Account"])]


def _limits(patient: Patient) -> list[dict[str, str]]:
    """Of the user, the qos and the partition's qos, as far as the accounting can be asked."""
    site, limits = patient.site, []
    try:
        if not site.enforces("limits"):
            return []
        names = {patient.profile.qos, (site.partition(patient.profile) or {}).get("QoS")}
        for row in _rows(patient):
            limits.append({key: row.get(key, "") for key in ("MaxJobs", "MaxSubmit", "MaxWall")})
            names.add(row["DefaultQOS"])
        for row in (site.qos[name] for name in names if name in site.qos):
            jobs, submitted = row["MaxJobsPU"], row["MaxSubmitPU"]
            limits.append({"MaxJobs": jobs, "MaxSubmit": submitted, "MaxWall": row["MaxWall"]})
    except SlurmTrouble:
        pass  # `account and qos` says so
    return limits


def array_size(patient: Patient) -> Iterator[Finding]:
    profile = patient.profile
    most = number(patient.site.config.get("MaxArraySize", "")) or 1001
    if profile.max_array_size and profile.max_array_size > most:
        said = f"max_array_size: {profile.max_array_size} is more than the cluster's {most}"
        yield failure(said, "leave it out: then the cluster is asked")
        return
    yield ok(f"arrays of up to {profile.max_array_size or most} jobs (MaxArraySize {most})")


def job_limits(patient: Patient) -> Iterator[Finding]:
    profile, limits = patient.profile, _limits(patient)
    size = profile.max_array_size or number(patient.site.config.get("MaxArraySize", "")) or 1001
    submitted = [n for row in limits if (n := number(row["MaxSubmit"])) is not None]
    running = [n for row in limits if (n := number(row["MaxJobs"])) is not None]
    if submitted and min(submitted) < size:
        todo = f"max_array_size: {min(submitted)}; when these are done, submit again for the rest"
        yield warning(f"you may have {min(submitted)} jobs queued (MaxSubmitJobs)", todo)
    if running and (profile.throttle or size) > min(running):
        yield ok(f"{min(running)} jobs at a time at most (MaxJobs); the others wait")
    if not submitted and not running:
        yield ok("no limit on the jobs that you may have")


def accepted(patient: Patient) -> Iterator[Finding]:
    """sbatch itself judges a script of this profile, and submits nothing."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "test.sh"
        pickle = patient.places.runs / "doctor.pkl"
        array = Array("petl-doctor", 1, 1, patient.profile.mem_gb, pickle, patient.places)
        script.write_text(job_script(patient.profile, array))
        try:
            run(["sbatch", "--test-only", str(script)], PATIENCE_S)
        except SlurmTrouble as trouble:
            yield failure(f"a job of this profile is refused: {trouble}", "change the profile")
        else:
            yield ok("sbatch --test-only takes a job of this profile")


# --- when a job is interrupted --------------------------------------------------------------------


def requeue(patient: Patient) -> Iterator[Finding]:
    if not patient.profile.requeue:
        yield ok("requeue: false, so interrupted jobs wait for the next `petl submit`")
    elif patient.site.config.get("JobRequeue") == "0":
        yield ok("jobs ask to be requeued, as here they are not by default (JobRequeue=0)")
    else:
        yield ok("interrupted jobs are requeued")


def preemption(patient: Patient) -> Iterator[Finding]:
    site, profile = patient.site, patient.profile
    row = site.partition(profile)
    if row is None:
        return
    kind, mode = site.config.get("PreemptType", ""), row.get("PreemptMode", "OFF")
    grace_s = number(row.get("GraceTime", "")) or 0
    if kind.endswith("qos"):
        qos = site.qos.get(profile.qos or row.get("QoS", ""), {})
        mode, grace_s = qos.get("PreemptMode", "cluster").upper(), _grace(qos)
        mode = site.config.get("PreemptMode", "OFF") if mode == "CLUSTER" else mode
    name = row["PartitionName"]
    if kind.endswith("none") or mode == "OFF":
        yield ok(f"jobs in {name} are not preempted")
    elif mode == "REQUEUE" and profile.requeue:
        yield ok(f"preempted jobs get {grace_s} s of grace (GraceTime) and are requeued")
    elif mode in ("REQUEUE", "CANCEL"):
        said = "and not requeued: `requeue: false`" if mode == "REQUEUE" else "with CANCEL"
        yield warning(f"jobs in {name} may be preempted, {said}", "`petl submit` goes on with them")
    else:
        todo = "a suspended job keeps its GPU's memory; another partition may be kinder"
        yield warning(f"jobs in {name} may be preempted with {mode}", todo)


def _grace(qos: Row) -> int:
    """Written as a time there, as whole seconds in a partition."""
    return int(seconds(qos.get("GraceTime") or "00:00:00"))


def signal_lead(patient: Patient) -> Iterator[Finding]:
    profile = patient.profile
    lead, time_s = profile.signal_lead_s, seconds(profile.time)
    kill_wait = number(patient.site.config.get("KillWait", "")) or 0
    if lead >= time_s:
        said = f"signal_lead_s: {lead} leaves nothing of time: {profile.time}"
        yield failure(said, "a longer time, or a shorter lead")
    elif lead + EARLY_S >= time_s:
        said = f"signal_lead_s: {lead} may leave nothing of time: {profile.time}"
        yield warning(said, f"Slurm's signal comes up to {EARLY_S} s early: a longer time")
    elif lead + kill_wait < LEAST_LEAD_S:
        said = f"a job is told only {lead} s before its time is up, and killed {kill_wait} s after"
        yield warning(said, f"signal_lead_s: {4 * LEAST_LEAD_S}")
    else:
        yield ok(
            f"jobs are told {lead} s before their time is up; KillWait gives {kill_wait} s more"
        )


SLURM = (commands, version)
PROFILE = (
    partition,
    time_limit,
    gpus,
    account_and_qos,
    array_size,
    job_limits,
    accepted,
    requeue,
    preemption,
    signal_lead,
)
