"""Train runs again on this machine: with this Python, another one, or one in an image."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from petl.data.ready import prepare_all
from petl.errors import UserError
from petl.places import Places
from petl.runs.code.archive import build
from petl.terminal import console
from slurm.reproduce.again import Original, groups
from slurm.status.plan import Plan
from slurm.status.watch import watch
from slurm.submit.container import python_command
from slurm.submit.local import Interpreter, default_workers, gpus, run_local
from slurm.submit.profile import Apptainer, Charliecloud, Profile

ENGINES = ("docker", "podman")


def train_here(
    originals: Sequence[Original],
    places: Places,
    origin: Path,
    python: str,
    image: str | None,
    workers: int | None,
) -> None:
    """`origin`: the runs folder with the archives of code, which a container has to see."""
    if python == sys.executable and image is None:
        prepare_all([one.task for one in originals], places)
    for folder in vars(places).values():  # a container can bind only what exists
        folder.mkdir(parents=True, exist_ok=True)
    for study, frozen, threads in groups(originals):
        plan = Plan(study, places.runs)
        todo = plan.to_run()
        if frozen is None:  # an edit meanwhile changes nothing, and an image has other code
            frozen = build().keep(places.runs)
        interpreter = _interpreter(python, image, [origin, *vars(places).values()], threads)
        number = min(workers or default_workers(), max(len(todo), 1))
        with watch(plan, number, console()) as show:
            run_local(plan, places, number, show, todo, frozen, interpreter)


def _interpreter(
    python: str, image: str | None, folders: Sequence[Path], threads: int | None
) -> Interpreter:
    variables = {"PETL_IMAGE": image} if image else {}
    if threads:
        variables |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    words = image_words(image, list(map(str, folders)), variables) if image else (python,)
    return Interpreter(words, threads, variables)


def image_words(
    image: str, folders: Sequence[str], variables: Mapping[str, str]
) -> tuple[str, ...]:
    """A .sif file is started with Apptainer, a folder with Charliecloud, a name with docker."""
    path = Path(image)
    container: Apptainer | Charliecloud
    if path.is_dir():
        container = Charliecloud(kind="charliecloud", image=str(path.absolute()))
    elif path.is_file():
        command = next(filter(shutil.which, ("apptainer", "singularity")), "apptainer")
        container = Apptainer(kind="apptainer", image=str(path.absolute()), command=command)
    else:
        return _engine_words(image, folders, variables)
    profile = Profile.model_construct(container=container, gpus=len(gpus()))
    return tuple(shlex.split(python_command(profile, folders)))


def _engine_words(
    image: str, folders: Sequence[str], variables: Mapping[str, str]
) -> tuple[str, ...]:
    if image.startswith("-") or (engine := next(filter(shutil.which, ENGINES), None)) is None:
        raise UserError(
            f"--image {image}: no such file or folder, and neither docker nor podman is here to "
            "know it as a name"
        )
    words = [engine, "run", "--rm", "--network", "none", "--user", f"{os.getuid()}:{os.getgid()}"]
    for folder in dict.fromkeys(folders):
        words += ["--volume", f"{folder}:{folder}"]
    for name, value in variables.items():
        words += ["--env", f"{name}={value}"]
    words += ["--gpus", "all"] if gpus() else []
    return (*words, "--entrypoint", "python", image)
