"""Whether Slurm answers, and whether it will accept what the profile asks for."""

from __future__ import annotations

import math
from collections.abc import Iterator

from petl.errors import nearest
from slurm.call import python_arguments
from slurm.doctor.findings import Context, Finding, failure, ok, warning
from slurm.doctor.slurm_info import COMMANDS, TIMEOUT_S, number, seconds
from slurm.scheduler import DEFAULT_MAX_ARRAY_SIZE, SlurmTrouble, run
from slurm.submit.script import Array, job_script

LEAST_LEAD_S = 30
"""Writing a checkpoint of some megabytes to a busy file system can take this long."""
EARLY_S = 60
"""Slurm looks at time limits twice a minute; its signal can come this much before its time."""


def commands(context: Context) -> Iterator[Finding]:
    slurm = context.slurm
    if slurm.is_absent:
        text = "Slurm is not installed on this machine"
        if context.cluster:
            yield failure(f"{text}: no {', '.join(COMMANDS)}", "run petl doctor on a login node")
        else:
            todo = "use `petl submit STUDY --local N` here, or run petl doctor on a login node"
            yield warning(text, todo)
        return
    missing = False
    for name in COMMANDS:
        try:
            slurm.answer(name)
        except SlurmTrouble as trouble:
            missing = True
            if name == "sacct":
                yield warning(str(trouble), "petl status works without it, but knows less")
            else:
                todo = "try again, or `module load slurm`, or ask the cluster's support"
                yield failure(str(trouble), todo)
    if not missing:
        version, cluster = slurm.config.get("SLURM_VERSION", "?"), slurm.config.get("ClusterName")
        yield ok(f"Slurm {version}, cluster {cluster}: {', '.join(COMMANDS)} answer")


def partition(context: Context) -> Iterator[Finding]:
    asked, row = context.profile.partition, context.slurm.partition(context.profile)
    if row is None:
        text = f"there is no partition '{asked}'" if asked else "no partition is the default"
        offer = nearest(asked, context.slurm.partitions)
        yield failure(f"{text}{offer}", "set `partition:` in the profile")
    elif (state := row.get("State", "?")) != "UP":
        text = f"partition {row['PartitionName']} is {state.lower()}"
        yield failure(text, "set another `partition:`, or wait")
    else:
        yield ok(f"partition {row['PartitionName']} is up{'' if asked else ' and the default'}")


def time_limit(context: Context) -> Iterator[Finding]:
    time = context.profile.time
    limit = min(context.slurm.longest_times(context.profile), key=seconds)
    if seconds(time) > seconds(limit):
        text = f"time: {time} is more than the limit of {limit}: such a job never starts"
        yield failure(text, f'set `time: "{limit}"` in the profile')
    else:
        text = "there is no limit" if math.isinf(seconds(limit)) else f"the limit is {limit}"
        yield ok(f"time: {time}; {text}")


def submission(context: Context) -> Iterator[Finding]:
    """sbatch judges a job and a whole array of this profile, without submitting them: account, qos,
    GPUs, CPUs, memory, MaxArraySize, MaxSubmitJobs and whatever else the site does not allow."""
    profile = context.profile
    try:
        _test_only(context, 1)
    except SlurmTrouble as trouble:
        offers = {gres for name, gres in context.slurm.rows("sinfo") if name == profile.partition}
        todo = f"; nodes of {profile.partition} have {', '.join(sorted(offers))}" if offers else ""
        todo = f"change the profile{todo}; `sacctmgr show assoc user=$USER` shows your accounts"
        yield failure(f"Slurm refuses a job of this profile: {trouble}", todo)
        return
    largest = number(context.slurm.config.get("MaxArraySize", "")) or DEFAULT_MAX_ARRAY_SIZE
    size = profile.max_array_size or largest
    try:
        _test_only(context, size)
    except SlurmTrouble as trouble:
        level = failure if profile.max_array_size else warning
        todo = f"set `max_array_size:` to the number of jobs that you may have, at most {largest}"
        yield level(f"Slurm refuses an array of {size} jobs: {trouble}", todo)
    else:
        yield ok(f"sbatch --test-only accepts a job, and an array of {size} jobs")


def _test_only(context: Context, size: int) -> None:
    places, mem_gb = context.places, context.profile.mem_gb
    call = python_arguments("slurm.doctor.probe:probe", places.runs)
    array = Array("petl-doctor", size, 1, mem_gb, places.runs, call, places)
    run(["sbatch", "--test-only"], TIMEOUT_S, text=job_script(context.profile, array))


def signal_lead(context: Context) -> Iterator[Finding]:
    lead, time = context.profile.signal_lead_s, context.profile.time
    kill_wait = number(context.slurm.config.get("KillWait", "")) or 0
    text = f"signal_lead_s: {lead}"
    if lead >= seconds(time):
        text += f" is as long as time: {time}, so no time is left to train"
        yield failure(text, "set a longer `time:` or a shorter `signal_lead_s:`")
    elif lead + EARLY_S >= seconds(time):
        text += f" can use up all of time: {time}"
        yield warning(text, f"set a longer `time:`; Slurm's signal comes up to {EARLY_S} s early")
    elif lead + kill_wait < LEAST_LEAD_S:
        text += f" and KillWait of {kill_wait} s can be too short to write a checkpoint"
        yield warning(text, f"set `signal_lead_s: {4 * LEAST_LEAD_S}`")
    else:
        yield ok(f"jobs are told {lead} s before their time limit, and killed {kill_wait} s after")


SLURM = (commands,)
PROFILE = (partition, time_limit, submission, signal_lead)
