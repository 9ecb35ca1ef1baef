"""The job script of an array: a pure function of the profile and what the array is to do.

submitit writes the options and the srun line. What we add stands around it, on the host side of a
container, where scontrol is: an interrupted job is put back into the queue from here.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from submitit.slurm.slurm import _make_sbatch_string

from petl.places import Places
from slurm.node.stop import HOLD, INTERRUPTED
from slurm.submit.container import image, python_command, srun_arguments
from slurm.submit.profile import Charliecloud, Profile

UNHEARD = "140|143"
"""What a Python exits with that was asked to leave before it could listen."""


@dataclass(frozen=True)
class Array:
    """One sbatch call."""

    name: str
    elements: int
    at_a_time: int
    mem_gb: float
    pickle: Path
    places: Places
    follows: str | None = None
    """The array whose end this one waits for; a dependency is sbatch's argument, by its number."""

    @property
    def folder(self) -> Path:
        return self.pickle.parent


def job_script(profile: Profile, array: Array) -> str:
    folders = [str(folder) for folder in vars(array.places).values()]
    python = python_command(profile, folders)
    text: str = _make_sbatch_string(
        command=f"{python} -u -m slurm.node.job {shlex.quote(str(array.pickle))}",
        folder=array.folder,
        job_name=array.name,
        map_count=array.elements,
        array_parallelism=array.at_a_time,
        partition=profile.partition,
        account=profile.account,
        qos=profile.qos,
        constraint=profile.constraint,
        gres=_gres(profile),
        cpus_per_task=profile.cpus,
        mem=f"{round(array.mem_gb * 1024)}M",
        signal_delay_s=profile.signal_lead_s,
        wckey=None,  # type: ignore[arg-type]  # its default is refused where sites enforce these
        stderr_to_stdout=True,  # a file less for each task
        additional_parameters=_others(profile),
        setup=_before(profile, array),
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


def _before(profile: Profile, array: Array) -> list[str]:
    lines = [
        "trap : TERM  # it reaches this shell too, which has to outlive what it starts",
        f"export OMP_NUM_THREADS={profile.cpus} MKL_NUM_THREADS={profile.cpus}",
    ]
    if name := image(profile):
        lines += [f"export PETL_IMAGE={shlex.quote(name)}", *_caches(array.places.cache)]
    if isinstance(profile.container, Charliecloud):
        lines.append("export USER=${USER:-$(id -un)}  # cron sets none, ch-run insists")
    return [*lines, *profile.setup]


def _caches(cache: Path) -> list[str]:
    """The image names places that are not mounted, and numba does not load without its cache."""
    here = {"NUMBA_CACHE_DIR": "numba", "MPLCONFIGDIR": "matplotlib"}
    lines = [f"export {name}={shlex.quote(str(cache / folder))}" for name, folder in here.items()]
    return [*lines, f"export HF_HOME=${{HF_HOME:-{shlex.quote(str(cache / 'huggingface'))}}}"]


def _after(profile: Profile) -> list[str]:
    """The state tells a preempted or told job from a cancelled one, which is to stay cancelled.

    The number of an array's last element is that of the whole array: it is never used alone.
    """
    lines = ["code=$?", "job=${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"]
    if profile.requeue:
        lines += [
            "case $code in",
            f"  {INTERRUPTED}|{UNHEARD})",
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
