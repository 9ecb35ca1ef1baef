"""The job script of an array: a pure function of the profile and what the array is to do.

submitit writes the options and the srun line. What we add stands around it, outside the container,
where scontrol is: an interrupted job is requeued from here.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from submitit.slurm.slurm import _make_sbatch_string

from petl.errors import UserError
from petl.places import Places
from petl.runs.provenance import without_secrets
from slurm.exits import HOLD, INTERRUPTED
from slurm.submit.container import image, python_command, srun_arguments
from slurm.submit.profile import Charliecloud, Profile

UNHANDLED = "140|143"
"""Exit codes of a Python that got SIGUSR2 or SIGTERM before it could listen: 128 + 12, 128 + 15."""


@dataclass(frozen=True)
class Array:
    """One call of sbatch."""

    name: str
    size: int
    at_a_time: int
    mem_gb: float
    folder: Path
    """For its logs."""
    call: Sequence[str]
    """The arguments of Python."""
    places: Places
    follows: str | None = None
    """The array whose end this one waits for. Its number is not known here: sbatch gets it."""


def refuse_folders(places: Places) -> None:
    """A newline would begin another line of a job script, and Slurm replaces %j in a log's name."""
    for name, folder in vars(places).items():
        wrong = next((c for c in str(folder) if not c.isprintable()), "")
        if wrong or (name == "runs" and "%" in str(folder)):
            raise UserError(
                f"{name} folder {folder}: jobs cannot have {wrong or '%'!r} in its path; "
                f"choose another with --{name} or PETL_{name.upper()}"
            )


def job_script(profile: Profile, array: Array) -> str:
    refuse_folders(array.places)
    folders = [str(folder) for folder in vars(array.places).values()]
    text: str = _make_sbatch_string(
        command=f"{python_command(profile, folders)} {shlex.join(array.call)}",
        folder=array.folder,
        job_name=array.name,
        map_count=array.size,
        array_parallelism=array.at_a_time,
        partition=profile.partition,
        account=profile.account,
        qos=profile.qos,
        constraint=profile.constraint,
        gres=_gres(profile),
        cpus_per_task=profile.cpus,
        mem=f"{round(array.mem_gb * 1024)}M",
        signal_delay_s=profile.signal_lead_s,
        wckey=None,  # type: ignore[arg-type]  # some sites refuse the default
        stderr_to_stdout=True,  # one file less for each job
        additional_parameters=_others(profile),
        setup=_before(profile, array.places.cache),
        srun_args=srun_arguments(profile, folders),
        teardown=_after(profile),
    )
    return text


def _gres(profile: Profile) -> str | None:
    if not profile.gpus:
        return None
    return ":".join(filter(None, ("gpu", profile.gpu_type, str(profile.gpus))))


def _others(profile: Profile) -> dict[str, str | int | bool]:
    requeue = "requeue" if profile.requeue else "no-requeue"
    return {"time": profile.time, requeue: True, **profile.sbatch}


def _before(profile: Profile, cache: Path) -> list[str]:
    lines = [
        "trap : TERM  # this shell gets it too, and must live until Python has ended",
        f"export OMP_NUM_THREADS={profile.cpus} MKL_NUM_THREADS={profile.cpus}",
    ]
    if name := image(profile):
        lines += [f"export PETL_IMAGE={shlex.quote(without_secrets(name))}", *_caches(cache)]
    if isinstance(profile.container, Charliecloud):
        lines.append("export USER=${USER:-$(id -un)}  # ch-run needs it, and cron does not set it")
    return [*lines, *profile.setup]


def _caches(cache: Path) -> list[str]:
    """The image's own cache folders are read-only, and numba does not load without one."""
    here = {"NUMBA_CACHE_DIR": "numba", "MPLCONFIGDIR": "matplotlib"}
    lines = [f"export {name}={shlex.quote(str(cache / folder))}" for name, folder in here.items()]
    return [*lines, f"export HF_HOME=${{HF_HOME:-{shlex.quote(str(cache / 'huggingface'))}}}"]


def _after(profile: Profile) -> list[str]:
    """Requeue an interrupted job, hold an array that keeps failing.

    squeue tells a job that was preempted or signalled (RUNNING) from a cancelled one (COMPLETING),
    which must stay cancelled. The job is named 123_4: the plain number of an array's last job is
    the same as that of the whole array.
    """
    lines = ["code=$?", "job=${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"]
    if profile.requeue:
        lines += [
            "case $code in",
            f"  {INTERRUPTED}|{UNHANDLED})",
            '    if [ "$(squeue -h -j $job -o %T)" = RUNNING ]; then',
            "      scontrol requeue $job",
            "    fi;;",
            "esac",
        ]
    lines += [
        f"if [ $code = {HOLD} ]; then",
        "  scontrol hold $SLURM_ARRAY_JOB_ID",
        "fi",
        "exit $code",
    ]
    return lines
