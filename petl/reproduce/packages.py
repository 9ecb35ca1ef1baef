"""The installed packages against a lock file, and every file against its package's own list.

A wheel lists its files with their SHA-256 in RECORD. That finds an edited, damaged or missing file,
and one that nobody installed; it does not find who changes a file and RECORD alike.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import PackagePath, distributions
from pathlib import Path

import petl
from petl.errors import UserError, reason
from petl.files import read_regular
from petl.runs.gpus import has_kernels
from petl.runs.machine import driver, normal, packages
from petl.runs.provenance import lock_hash

PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", re.MULTILINE)
CHECKOUT = Path(petl.__file__).parents[1] / "docker"
BESIDE = {
    "requirements.lock": ("requirements-dev.lock",),
    "requirements-modern.lock": ("torch-modern.txt",),
}
"""What `make setup` and `make setup-modern` install in addition."""
TOOLS = ("pip",)
"""Comes with every virtual environment."""
DRIVERS = {"11": (450, 80), "12": (525, 60), "13": (580, 65)}
"""The oldest driver for each generation of CUDA, on Linux."""
BLOCK = 2**20


@dataclass
class Report:
    """`wrong`: missing or changed. `extra`: nobody asked for it, and it may change imports."""

    locks: list[Path]
    packages: int = 0
    files: int = 0
    wrong: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        if self.wrong:
            return "not as locked"
        return "as locked, and more is installed" if self.extra else "as locked"


def verify(locks: Sequence[Path], tell: Callable[[str, int, int | None], None]) -> Report:
    report = Report(list(locks) or known_locks())
    _check_versions(report)
    _check_files(report, tell)
    report.wrong += gpu_problems()
    return report


def known_locks() -> list[Path]:
    """The lock of this environment, then what may be installed in addition."""
    if (file := lock_with(lock_hash())) is None:
        raise UserError(
            f"{sys.prefix}: it is not recorded which lock file this environment was made from, "
            "or that file has changed; name one: --lock docker/requirements.lock"
        )
    beside = [file.with_name(name) for name in BESIDE.get(file.name, ())]
    return [file, *filter(Path.is_file, beside)]


def lock_with(digest: str | None) -> Path | None:
    """The lock file with this SHA-256: the environment has a copy, or a checkout has the file."""
    here = sorted((Path(sys.prefix) / "locks").glob("*.lock"))
    files = (*here, *sorted(CHECKOUT.glob("*.lock")))
    return next((f for f in files if hashlib.sha256(f.read_bytes()).hexdigest() == digest), None)


def pinned(file: Path) -> dict[str, str]:
    try:
        text = read_regular(file).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: {reason(error)}") from None
    if not (found := {normal(name): version for name, version in PINNED.findall(text)}):
        raise UserError(f"{file}: no line such as numpy==1.23.5 in it")
    return found


def _check_versions(report: Report) -> None:
    needed, *more = map(pinned, report.locks)
    allowed = {name: version for file in reversed(more) for name, version in file.items()} | needed
    have = packages()
    report.packages = len(have)
    for name in sorted(needed.keys() - have.keys()):
        report.wrong.append(f"missing: {name} {needed[name]}")
    for name, version in have.items():
        if name not in allowed:
            if name not in TOOLS:
                report.extra.append(f"package {name} {version}")
        elif allowed[name] not in (version, version.partition("+")[0]):
            report.wrong.append(f"changed: {name} is {version}, locked is {allowed[name]}")


def _check_files(report: Report, tell: Callable[[str, int, int | None], None]) -> None:
    recorded: set[Path] = set()
    listed: list[tuple[str, PackagePath]] = []
    for one in distributions():
        name = normal(one.metadata["Name"] or "?")
        if one.files is None:
            report.wrong.append(f"{name}: no list of its files (RECORD)")
        for file in one.files or ():
            recorded.add(Path(os.path.normpath(str(file.locate()))))
            if file.hash is not None:
                listed.append((name, file))
    report.files = len(listed)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing leaves Python's lock
        problems = pool.map(lambda item: _problem(item[1]), listed)
        for done, ((name, file), problem) in enumerate(zip(listed, problems, strict=True), 1):
            tell("checking files", done, len(listed))
            if problem:
                report.wrong.append(f"{problem}: {file} of {name}")
    report.extra += [f"file {path}" for path in _strangers(recorded)]


def _problem(file: PackagePath) -> str:
    assert file.hash is not None
    digest = hashlib.new(file.hash.mode)
    try:
        with Path(str(file.locate())).open("rb") as opened:
            while block := opened.read(BLOCK):
                digest.update(block)
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return reason(error)
    found = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
    return "" if found == file.hash.value else "changed"


def _strangers(recorded: set[Path]) -> Iterator[Path]:
    """Files beside the packages that no package lists; what Python caches is left out."""
    for folder in sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}):
        for root, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if name != "__pycache__"]
            for name in sorted(names):
                path = Path(os.path.normpath(Path(root) / name))
                if path not in recorded and path.suffix != ".pyc":
                    yield path


def gpu_problems() -> list[str]:
    """torch against the driver and the GPUs of this machine; nothing without a driver."""
    if (version := driver()) is None:
        return []
    import torch

    if torch.version.cuda is None:
        return [f"torch {torch.__version__} is built for CPUs only, and there is a GPU"]
    if problem := too_old(torch.version.cuda, version):
        return [problem]
    built_for = torch.cuda.get_arch_list()
    cards = {
        torch.cuda.get_device_name(i): torch.cuda.get_device_capability(i)
        for i in range(torch.cuda.device_count())
    }
    return [
        f"torch {torch.__version__} has no kernels for {name} (compute capability "
        f"{major}.{minor}), only for {', '.join(built_for)}"
        for name, (major, minor) in cards.items()
        if not has_kernels(built_for, major, minor)
    ]


def too_old(cuda: str, version: str) -> str:
    """Empty if this driver can run programs of this CUDA."""
    needed = DRIVERS.get(cuda.partition(".")[0])
    if needed is None or tuple(map(int, version.split(".")[:2])) >= needed:
        return ""
    return f"driver {version}: CUDA {cuda} needs {'.'.join(map(str, needed))} or later"
