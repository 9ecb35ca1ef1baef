"""Runs inside the probe job, where a run would: says what it finds, and listens.

Both sides write small files into one folder. Each wait has an end, so that a job whose other side
has died ends too.

    ping-0.json     the other side: hello              pong-0.json           when it was seen here
    facts.json      what is here                       heard-SIGTERM.json    that it was
"""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from petl.errors import reason
from petl.files import read_json, write_json
from slurm.doctor.folders import caches_in_home
from slurm.doctor.software import software
from slurm.node.stop import INTERRUPTED, WISHES, Stop

PINGS = 3
POLL_S = 0.05
PATIENCE_S = 60.0
NEEDED = ("torch", "transformers", "librosa", "petl.train.run")
MARK = ".petl-doctor-"

Mark = dict[str, Any]
"""How a folder is known again on the other side."""


def probe(room: str, marks: dict[str, Mark], binds: list[str], stop: Stop) -> int:
    """What is pickled. Its exit code asks the host's side for a requeue, as a run would."""
    here = Path(room)
    if (here / "facts.json").exists():  # requeued, and not cancelled in time
        return 0
    ears = Ears(here).listen()
    for turn in range(PINGS):
        if not appears(here / f"ping-{turn}.json", PATIENCE_S):
            break
        write_json(here / f"pong-{turn}.json", {"time": time.time()})
    write_json(here / "facts.json", facts(marks, binds))
    return INTERRUPTED if ears.hear_all(PATIENCE_S) else 0


class Ears:
    """In the place of Stop's handlers, to tell which signal it was."""

    def __init__(self, room: Path):
        self.room = room
        self.heard: list[int] = []

    def listen(self) -> Ears:
        for number in WISHES:
            signal.signal(number, self._hear)
        return self

    def hear_all(self, patience_s: float) -> bool:
        end, told = time.monotonic() + patience_s, set[int]()
        while told != set(WISHES) and time.monotonic() < end:
            for number in set(self.heard) - told:
                name = signal.Signals(number).name
                write_json(self.room / f"heard-{name}.json", {"time": time.time()})
                told.add(number)
            time.sleep(POLL_S)
        return told == set(WISHES)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.heard.append(number)


def appears(path: Path, patience_s: float) -> bool:
    end = time.monotonic() + patience_s
    while read_json(path) is None:
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True


# --- a folder, known again ------------------------------------------------------------------------


def mark(folder: Path, token: str) -> Mark:
    """By a file left in it; where one may not write, by what two folders hardly have in common."""
    file: Path | None = folder / f"{MARK}{token}"
    try:
        folder.mkdir(parents=True, exist_ok=True)  # a container can bind only what is there
        (folder / f"{MARK}{token}").touch()
    except OSError:
        file = None
    return {"folder": str(folder), "file": file and str(file), "like": _like(folder)}


def is_same(mark: Mark) -> bool:
    if mark["file"]:
        return Path(mark["file"]).exists()
    return mark["like"] is not None and _like(Path(mark["folder"])) == mark["like"]


def _like(folder: Path) -> list[int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return [found.st_ino, int(found.st_mtime)]


# --- what is here ---------------------------------------------------------------------------------


def facts(marks: dict[str, Mark], binds: list[str]) -> dict[str, Any]:
    return {
        **software(),
        "node": os.environ.get("SLURMD_NODENAME"),
        "job": os.environ.get("SLURM_JOB_ID"),
        "image": os.environ.get("PETL_IMAGE"),
        "folders": {name: _folder(mark) for name, mark in marks.items()},
        "binds": [bind for bind in binds if not Path(bind).exists()],
        "caches": sorted(caches_in_home(os.environ, Path.home())),
        "imports": _imports(),
        "driver": driver(),
        "cards": cards(),
        "torch": _torch(),
    }


def _folder(mark: Mark) -> dict[str, Any]:
    found: dict[str, Any] = {"same": is_same(mark), "trouble": None}
    try:
        with tempfile.TemporaryFile(dir=mark["folder"]):
            pass
    except OSError as error:
        found["trouble"] = reason(error)
    return found


def _imports() -> dict[str, Any]:
    """All that a run needs, and how long a node takes to read it."""
    began, troubles = time.monotonic(), {}
    for name in NEEDED:
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever a broken package does when it is imported
            troubles[name] = f"{type(error).__name__}: {error}"
    return {"seconds": time.monotonic() - began, "troubles": troubles}


def driver() -> str | None:
    with suppress(OSError):
        text = Path("/proc/driver/nvidia/version").read_text()
        if found := re.search(r"\b\d{3}\.\d+(\.\d+)?\b", text):
            return found[0]
    rows = _nvidia_smi("driver_version")
    return rows[0][0] if rows else None


def cards() -> list[list[str]]:
    """Name and MiB of each GPU that this job sees."""
    return _nvidia_smi("name", "memory.total")


def _nvidia_smi(*columns: str) -> list[list[str]]:
    ask = ["nvidia-smi", f"--query-gpu={','.join(columns)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(ask, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    rows = done.stdout.splitlines() if not done.returncode else []
    return [[cell.strip() for cell in row.split(",")] for row in rows]


def _torch() -> dict[str, Any] | None:
    """What it was built for, what it sees, and whether a GPU does as it is told."""
    try:
        import torch
    except Exception:  # `imports` says why
        return None
    told: dict[str, Any] = {"version": torch.__version__, "cuda": torch.version.cuda, "gpus": []}
    try:
        told["built_for"] = torch.cuda.get_arch_list()
        for index in range(torch.cuda.device_count()):
            card: Any = torch.cuda.get_device_properties(index)
            told["gpus"].append(
                {
                    "name": card.name,
                    "capability": [card.major, card.minor],
                    "bytes": card.total_memory,
                }
            )
            torch.ones(8, device=f"cuda:{index}").sum().item()
    except Exception as error:  # CUDA's own errors have many types
        told["trouble"] = str(error).partition("\n")[0]
    return told
