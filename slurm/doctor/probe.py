"""Runs inside the probe job, where a run would: writes what it finds, then waits for signals.

Both sides write small files into one folder. Each wait has a limit, so the job also ends when the
login node's side has died.

    marks.json      from the login node: a file in each folder that jobs use
    facts.json      what is here
    heard-SIGTERM.json, heard-SIGUSR2.json    these signals arrived
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from petl.errors import reason
from petl.files import write_json
from slurm.doctor.software import software
from slurm.exits import INTERRUPTED
from slurm.node.stop import SIGNALS

POLL_S = 0.05
LISTEN_S = 60.0
NEEDED = ("torch", "transformers", "librosa", "petl.train.run")
MARK = ".petl-doctor-"


def probe(folder: str) -> int:
    """Like an interrupted run, its exit code asks the job script for a requeue."""
    here = Path(folder)
    if (here / "facts.json").exists():  # requeued, but not cancelled in time
        return 0
    # A handler can interrupt Python anywhere, also while it writes a file: it only takes a note
    arrived: list[int] = []
    for number in SIGNALS:
        signal.signal(number, lambda number, frame: arrived.append(number))
    marks = json.loads((here / "marks.json").read_bytes())
    write_json(here / "facts.json", facts({name: Path(path) for name, path in marks.items()}))
    return INTERRUPTED if _heard_all(arrived, here) else 0


def _heard_all(arrived: list[int], here: Path) -> bool:
    end, written = time.monotonic() + LISTEN_S, set[int]()
    while written != set(SIGNALS) and time.monotonic() < end:
        for number in set(arrived) - written:
            name = signal.Signals(number).name
            write_json(here / f"heard-{name}.json", {"time": time.time()})
            written.add(number)
        time.sleep(POLL_S)
    return written == set(SIGNALS)


def mark(folder: Path, token: str) -> Path:
    """A file left in the folder to recognize it by, or the folder if it cannot be written."""
    file = folder / f"{MARK}{token}"
    try:
        folder.mkdir(parents=True, exist_ok=True)  # a container can bind only what exists
        file.touch()
    except OSError:
        return folder
    return file


def facts(marks: dict[str, Path]) -> dict[str, Any]:
    return {
        **software(),
        "node": os.environ.get("SLURMD_NODENAME"),
        "job": os.environ.get("SLURM_JOB_ID"),
        "folders": {name: _folder_trouble(mark) for name, mark in marks.items()},
        "import_errors": _import_errors(),
        "torch": _torch(),
    }


def _folder_trouble(mark: Path) -> str | None:
    try:
        if not mark.exists():
            return "not the same folder as on the login node"
        if mark.is_dir():  # not writable on the login node either
            os.scandir(mark).close()
        else:
            tempfile.TemporaryFile(dir=mark.parent).close()
    except OSError as error:
        return reason(error)
    return None


def _import_errors() -> dict[str, str]:
    errors = {}
    for name in NEEDED:
        try:
            importlib.import_module(name)
        except Exception as error:  # a broken package can raise anything when it is imported
            errors[name] = f"{type(error).__name__}: {error}"
    return errors


def _torch() -> dict[str, Any] | None:
    """What torch is built for, which GPUs it sees, and whether each of them computes."""
    try:
        import torch
    except Exception:  # _import_errors has the reason
        return None
    facts: dict[str, Any] = {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "built_for": torch.cuda.get_arch_list(),
        "gpus": [],
        "error": None,
    }
    try:
        for index in range(torch.cuda.device_count()):
            gpu: Any = torch.cuda.get_device_properties(index)
            capability = (gpu.major, gpu.minor)
            described = {"name": gpu.name, "capability": capability, "bytes": gpu.total_memory}
            facts["gpus"].append(described)
            torch.ones(8, device=f"cuda:{index}").sum().item()
    except Exception as error:  # CUDA's errors have many types
        facts["error"] = str(error).partition("\n")[0]
    return facts
