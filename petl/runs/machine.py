"""What a machine is, beyond the few facts in each result: its packages and its processor.

    runs/.environments/<sha256>.json     packages, CPU, flags and system

Thousands of runs share a machine, so a result holds the hash, and the file is written once. A
reader checks the hash: somebody else of the group may have written the file.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from contextlib import suppress
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from petl.errors import UserError
from petl.files import open_regular, write_atomic

FOLDER = ".environments"
MOST = 2**20
"""Bytes of such a file; one of 100 packages has 5,000."""
OWN = "petl-ast"
"""Our own package is not listed: a result names its code."""


class Machine(TypedDict):
    packages: dict[str, str]
    """Versions by name."""
    cpu: str
    cpu_flags: list[str]
    """What the processor can do; libraries choose their kernels by it."""
    system: str


_machine = TypeAdapter(Machine)


@cache
def machine() -> Machine:
    info = _read("/proc/cpuinfo")
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", info, re.MULTILINE)
    model = re.search(r"^model name\s*:\s*(.*)$", info, re.MULTILINE)
    return {
        "packages": packages(),
        "cpu": model[1].strip() if model else platform.machine(),
        "cpu_flags": sorted(set(flags[1].split())) if flags else [],
        "system": platform.platform(),
    }


def packages() -> dict[str, str]:
    """The installed packages; of two with the same name, the one that is imported."""
    found: dict[str, str] = {}
    for one in distributions():
        if name := one.metadata["Name"]:
            found.setdefault(normal(name), one.version)
    found.pop(OWN, None)
    return dict(sorted(found.items()))


def normal(name: str) -> str:
    """A package's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def driver() -> str | None:
    """The version of NVIDIA's kernel module; also seen from inside a container."""
    found = re.search(r"Kernel Module\s.*?(\d+\.\d+[.\d]*)", _read("/proc/driver/nvidia/version"))
    return found[1] if found else None


def record_machine(runs: Path) -> str:
    """Write the file unless it is there, and return its hash. A run does not fail over it."""
    content = json.dumps(machine(), sort_keys=True, indent=1).encode()
    digest = hashlib.sha256(content).hexdigest()
    file = runs / FOLDER / f"{digest}.json"
    with suppress(OSError, UserError):
        if _content(file) != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(file, content)
    return digest


def machine_file(runs: Path, digest: object) -> bytes | None:
    """The file's bytes, if it is there and has this hash."""
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        return None
    content = _content(runs / FOLDER / f"{digest}.json")
    return content if hashlib.sha256(content).hexdigest() == digest else None


def read_machine(content: bytes | None) -> Machine | None:
    try:
        return _machine.validate_json(content, strict=True) if content else None
    except ValidationError:
        return None


def _content(file: Path) -> bytes:
    try:
        with open_regular(file) as opened:
            return opened.read(MOST)
    except OSError:
        return b""


def _read(file: str) -> str:
    try:
        return Path(file).read_text(errors="replace")
    except OSError:
        return ""
