"""The folders and files that a job needs: there, roomy, and where the nodes can see them."""

from __future__ import annotations

import getpass
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from petl.errors import reason
from slurm.doctor.findings import Finding, Patient, failure, ok, warning
from slurm.scheduler import SlurmTrouble, run
from slurm.submit.container import image as image_of
from slurm.submit.profile import Apptainer, Charliecloud, Image, Pyxis, Venv
from slurm.words import size

GB = 1e9
LITTLE_GB, TOO_LITTLE_GB = 10, 1
FEW_FILES, TOO_FEW_FILES = 100_000, 1_000
LITTLE_HOME_GB = 0.5
OF_ONE_MACHINE = ("/tmp", "/var/tmp", "/dev/shm", "/run")
ASKING_S = 5.0

# where each keeps its files unless it is told, under the home; XDG_CACHE_HOME moves the first ones
XDG = {"HF_HOME": "huggingface", "TORCH_HOME": "torch", "PIP_CACHE_DIR": "pip"}


# --- where runs, data and caches lie --------------------------------------------------------------


def room(patient: Patient) -> Iterator[Finding]:
    """Of the runs folder: results are small, but there are many of them."""
    folder = patient.places.runs
    disk = os.statvfs(_existing(folder))
    free, files = disk.f_bavail * disk.f_frsize / GB, disk.f_favail
    inodes = f", {files:,} files" if disk.f_files else ""  # some file systems do not count them
    said = f"runs: {size(free * GB)}{inodes} free in {folder}"
    many = files if disk.f_files else FEW_FILES
    todo = "`petl clean` makes room; PETL_RUNS names another folder"
    if free < TOO_LITTLE_GB or many < TOO_FEW_FILES:
        yield failure(said, todo)
    elif free < LITTLE_GB or many < FEW_FILES:
        yield warning(said, todo)
    else:
        yield ok(said)


def writable(patient: Patient) -> Iterator[Finding]:
    for name, folder in vars(patient.places).items():
        there = _existing(folder)
        try:
            if name != "data" or there != folder:
                with tempfile.TemporaryFile(dir=there):
                    pass
            else:
                os.scandir(folder).close()
        except OSError as error:
            said = f"{name}: {folder}: {reason(error)}"
            yield failure(said, f"PETL_{name.upper()} names another folder")
        else:
            yield ok(f"{name}: {folder}{'' if there == folder else ', to be made'}")


def shared(patient: Patient) -> Iterator[Finding]:
    """Whether nodes really see them only the probe job can tell."""
    if patient.site.is_absent:
        return
    local = [
        f"{name} ({folder})"
        for name, folder in vars(patient.places).items()
        if any(folder.resolve().is_relative_to(own) for own in OF_ONE_MACHINE)
    ]
    if local:
        said = f"in a folder that is usually each machine's own: {', '.join(local)}"
        yield warning(said, "PETL_RUNS, PETL_DATA, PETL_CACHE name folders that all nodes share")
    else:
        yield ok("none of them in a folder of this machine alone, such as /tmp")


# --- the home -------------------------------------------------------------------------------------


def home(patient: Patient) -> Iterator[Finding]:
    folder = Path.home()
    disk = os.statvfs(folder)
    free, of = disk.f_bavail * disk.f_frsize / GB, disk.f_blocks * disk.f_frsize / GB
    said = f"home: {size(free * GB)} of {size(of * GB)} free"
    todo = f"`du -sh {folder}/.[!.]* {folder}/* | sort -h` shows what is large"
    if share := _quota(folder):
        said += f", {share:.0%} of your quota used"
    yield warning(said, todo) if free < LITTLE_HOME_GB or share > 0.9 else ok(said)


def _quota(folder: Path) -> float:
    """The largest part of any quota that is used, in bytes or files; nothing where nobody tells."""
    worst = 0.0
    for ask in (
        ["quota", "-w"],
        ["lfs", "quota", "-q", "-u", getpass.getuser(), str(folder)],
    ):
        if shutil.which(ask[0]):
            try:
                worst = max(worst, used_of_quota(run(ask, ASKING_S)))
            except SlurmTrouble:
                continue
    return worst


def used_of_quota(table: str) -> float:
    """Rows of `FILESYSTEM used soft hard [grace] files soft hard [grace]`; 0 is no limit."""
    worst = 0.0
    for row in table.splitlines():
        numbers = [int(word.rstrip("*")) for word in row.split()[1:] if word.rstrip("*").isdigit()]
        for at in (0, 3):
            used, *limits = [*numbers[at : at + 3], 0, 0, 0][:3]
            if limit := min((one for one in limits if one), default=0):
                worst = max(worst, used / limit)
    return worst


def caches(patient: Patient) -> Iterator[Finding]:
    container = patient.profile.container
    command = container.command if isinstance(container, Apptainer) else None
    inside = caches_in_home(os.environ, Path.home(), command)
    if patient.places.cache.resolve().is_relative_to(Path.home().resolve()):
        inside["PETL_CACHE"] = patient.places.cache
    if not inside:
        yield ok("caches are outside your home")
        return
    said = f"caches in your home: {', '.join(inside)}"
    if patient.site.is_absent:  # nobody's quota but one's own disk
        yield ok(said)
        return
    moved = caches_in_home({**os.environ, "XDG_CACHE_HOME": "/"}, Path.home(), command)
    names = [name for name in inside if name in moved or name not in XDG]  # the rest comes along
    yield warning(said, f"they fill a small quota: export {'=..., '.join(names)}=...")


def caches_in_home(
    environment: Mapping[str, str], home: Path, apptainer: str | None = None
) -> dict[str, Path]:
    """Each variable whose folder, said or by default, is in the home."""
    base = Path(environment.get("XDG_CACHE_HOME") or home / ".cache")
    folders = {"XDG_CACHE_HOME": base}
    folders |= {key: Path(environment.get(key) or base / name) for key, name in XDG.items()}
    if apptainer:
        key = f"{apptainer.rpartition('/')[2].upper()}_CACHEDIR"
        folders[key] = Path(environment.get(key) or home / f".{apptainer}" / "cache")
        key = key.replace("CACHEDIR", "TMPDIR")
        folders[key] = Path(environment.get(key) or "/tmp")
    real = home.resolve()
    return {k: folder for k, folder in folders.items() if folder.resolve().is_relative_to(real)}


# --- the container --------------------------------------------------------------------------------


def image(patient: Patient) -> Iterator[Finding]:
    container = patient.profile.container
    if isinstance(container, Venv):
        if container.python is None:
            return
        if os.access(container.python, os.X_OK) and Path(container.python).is_file():
            yield ok(f"python: {container.python}")
        else:
            yield failure(f"python: {container.python} cannot be run", "`container: python:`")
        return
    name = image_of(patient.profile) or ""
    if "://" in name or (isinstance(container, Pyxis) and not name.startswith((".", "/"))):
        todo = "a file saves each job the download, and stays the same"
        yield warning(f"image {name} comes from a registry", todo)
    elif not (path := Path(name)).exists():
        yield failure(f"image {name} is not there", "docker/build.sh; `container: image:`")
    elif not os.access(path, os.R_OK):
        yield failure(f"image {name} is not yours to read", "ask its owner for `chmod a+r`")
    elif path.is_file() and not path.stat().st_size:
        yield failure(f"image {name} is empty", "docker/build.sh; `container: image:`")
    else:
        yield ok(f"image {name}{f', {size(path.stat().st_size)}' if path.is_file() else ''}")


def binds(patient: Patient) -> Iterator[Finding]:
    container = patient.profile.container
    if not isinstance(container, Image):
        return
    absent = [bind for bind in container.binds if not Path(bind.partition(":")[0]).exists()]
    for bind in absent:
        yield failure(f"bind {bind} is not there", "`container: binds:` in the profile")
    if container.binds and not absent:
        yield ok(f"binds are there: {', '.join(container.binds)}")


def runtime(patient: Patient) -> Iterator[Finding]:
    container = patient.profile.container
    if isinstance(container, Pyxis):
        if "--container-image" in run(["srun", "--help"], ASKING_S):
            yield ok("pyxis: srun knows --container-image")
        else:
            yield failure("srun does not know --container-image: no pyxis", "another `container:`")
    elif isinstance(container, Apptainer | Charliecloud):
        command = container.command if isinstance(container, Apptainer) else "ch-run"
        if shutil.which(command):
            yield ok(f"{command} is there")
        else:
            todo = "the probe job tells; if need be, `setup: [module load ...]` in the profile"
            yield warning(f"there is no {command} on this machine; nodes may have it", todo)


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


FOLDERS = (writable, room, shared, home, caches)
CONTAINER = (image, binds, runtime)
