"""The folders and files that a job needs: they exist, can be written, and have room."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from petl.errors import UserError, reason
from petl.runs.gpus import capability
from slurm.doctor.findings import Context, Finding, failure, ok, warning
from slurm.format import size
from slurm.submit.container import gpu_types, refuse_gpus
from slurm.submit.container import image as image_name
from slurm.submit.profile import Pyxis, Venv

LITTLE_ROOM, TOO_LITTLE_ROOM = 10e9, 1e9
FEW_FILES, TOO_FEW_FILES = 100_000, 1_000


def writable(context: Context) -> Iterator[Finding]:
    for name, folder in vars(context.places).items():
        present = _existing(folder)
        try:
            if name == "data" and present == folder:  # datasets are only read
                os.scandir(folder).close()
            else:
                with tempfile.TemporaryFile(dir=present):
                    pass
        except OSError as error:
            text = f"{name} folder {folder}: {reason(error)}"
            yield failure(text, f"set PETL_{name.upper()} to another folder")
        else:
            yield ok(f"{name} folder: {folder}{'' if present == folder else ' (not made yet)'}")


def room(context: Context) -> Iterator[Finding]:
    """Where runs are written: results are small, but there are many of them."""
    folder = context.places.runs
    disk = os.statvfs(_existing(folder))
    free = disk.f_bavail * disk.f_frsize
    files = disk.f_favail if disk.f_files else FEW_FILES  # 0: this file system has no limit
    counted = f" and {files:,} files" if disk.f_files else ""
    text = f"room for {size(free)}{counted} in {folder}"
    todo = "make room with `petl clean`, or set PETL_RUNS to another folder"
    if free < TOO_LITTLE_ROOM or files < TOO_FEW_FILES:
        yield failure(f"too little {text}", todo)
    elif free < LITTLE_ROOM or files < FEW_FILES:
        yield warning(f"little {text}", todo)
    else:
        yield ok(text)


def image(context: Context) -> Iterator[Finding]:
    container = context.profile.container
    name = container.python if isinstance(container, Venv) else image_name(context.profile)
    if name is None or "://" in name or (isinstance(container, Pyxis) and name[0] not in "./"):
        return  # the Python that runs this, or an image from a registry
    path, todo = Path(name), "change `container:` in the profile; docker/build.sh makes an image"
    if not path.exists() or (path.is_file() and not path.stat().st_size):
        yield failure(f"{name} {'is empty' if path.exists() else 'does not exist'}", todo)
    elif not os.access(path, os.X_OK if isinstance(container, Venv) else os.R_OK):
        yield failure(f"{name}: permission denied", todo)
    else:
        yield ok(f"container: {name}")


def gpu_type(context: Context) -> Iterator[Finding]:
    try:
        refuse_gpus(context.profile)
    except UserError as error:
        text, _, todo = str(error).partition("; ")
        yield failure(text, todo)
    for gpu in gpu_types(context.profile):
        if capability(gpu) is None:
            yield ok(f"GPU type {gpu}: petl does not know it; a job finds out when it starts")


def _existing(folder: Path) -> Path:
    """The folder, or where it will be made."""
    return next(path for path in (folder, *folder.parents) if path.exists())


FOLDERS = (writable, room)
CONTAINER = (image, gpu_type)
