"""How Python starts on a node: by itself, or in one of three kinds of container."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence

from petl.errors import UserError
from petl.runs.gpus import BUILT_FOR, capability, has_kernels
from slurm.submit.profile import Apptainer, Charliecloud, Image, Profile, Pyxis, Venv


def runs_same_python(profile: Profile) -> bool:
    """The Python that submits, under the same path on a node."""
    return isinstance(profile.container, Venv) and profile.container.python is None


def python_command(profile: Profile, folders: Sequence[str]) -> str:
    """The command to which Python's arguments are added. Folders keep their paths inside."""
    container = profile.container
    if isinstance(container, Venv):
        return shlex.quote(container.python or sys.executable)
    if isinstance(container, Pyxis):  # srun starts the container
        return shlex.quote(container.python)
    binds = _binds(container, folders)
    if isinstance(container, Apptainer):
        gpus = ["--nv"] if profile.gpus else []
        words = [container.command, "exec", *gpus, "--bind", ",".join(binds)]
        words += [*container.options, container.image]
    else:
        mounts = [word for folder in binds for word in ("--bind", f"{folder}:{folder}")]
        words = ["ch-run", *mounts, *container.options, container.image, "--"]
    return shlex.join([*words, container.python])


def srun_arguments(profile: Profile, folders: Sequence[str]) -> list[str]:
    # since 22.05 srun no longer inherits this from the job
    words = [f"--cpus-per-task={profile.cpus}"]
    container = profile.container
    if isinstance(container, Pyxis):
        mounts = ",".join(f"{folder}:{folder}" for folder in _binds(container, folders))
        words += [f"--container-image={container.image}", f"--container-mounts={mounts}"]
        words += container.options
    return words


def image(profile: Profile) -> str | None:
    container = profile.container
    return container.image if isinstance(container, Apptainer | Pyxis | Charliecloud) else None


def refuse_gpus(profile: Profile) -> None:
    """Those that the image's torch has no code for. What petl does not know is left to the job."""
    container = profile.container
    if not isinstance(container, Image) or container.stack == "other":
        return
    for gpu in gpu_types(profile):
        found = capability(gpu)
        if found is None or has_kernels(BUILT_FOR[container.stack], *found):
            continue
        fits = next((name for name, built in BUILT_FOR.items() if has_kernels(built, *found)), None)
        todo = (
            f"build the image '{fits}' (docs/container.md) and set `stack: {fits}` in `container:`"
            if fits
            else "ask for another GPU"
        )
        raise UserError(
            f"the image '{container.stack}' has no kernels for the GPU type {gpu} "
            f"(compute capability {'.'.join(map(str, found))}); {todo}"
        )


def gpu_types(profile: Profile) -> Iterator[str]:
    """As `gpu_type` or sbatch's own options name them: `a100`, of `--gpus=a100:2`."""
    if profile.gpus and profile.gpu_type:
        yield profile.gpu_type
    for option in ("gres", "gpus", "G", "gpus-per-node", "gpus-per-task"):
        for asked in str(profile.sbatch.get(option, "")).split(","):
            name = asked.removeprefix("gres/").removeprefix("gpu:").partition(":")[0]
            if name and name != "gpu" and not name.isdecimal():
                yield name


def _binds(container: Image, folders: Sequence[str]) -> list[str]:
    """The profile's come first: ours may lie inside them. Charliecloud makes no mount points."""
    return list(dict.fromkeys([*container.binds, *folders]))
