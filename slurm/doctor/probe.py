"""Runs inside the probe job, where a run would: writes what it finds, then waits for signals.

Both sides write small files into one folder. Each wait has a limit, so the job also ends when the
login node's side has died.

    request.json    from the login node: the folders to look for, the binds of the container
    facts.json      what is here
    heard-SIGTERM.json, heard-SIGUSR2.json    these signals arrived
"""

from __future__ import annotations

import importlib
import os
import signal
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import Any

from petl.errors import reason
from petl.files import read_json, write_json
from slurm.doctor.software import software
from slurm.exits import INTERRUPTED
from slurm.node.stop import SIGNALS

POLL_S = 0.05
LISTEN_S = 60.0
NEEDED = ("torch", "transformers", "librosa", "petl.train.run")
MARK = ".petl-doctor-"

Mark = dict[str, str | None]


def probe(folder: str) -> int:
    """Like an interrupted run, its exit code asks the job script for a requeue."""
    here = Path(folder)
    if (here / "facts.json").exists():  # requeued, but not cancelled in time
        return 0
    signals = Signals(here)
    request = read_json(here / "request.json")
    assert request, "the login node writes it before it submits"
    write_json(here / "facts.json", facts(request["folders"], request["binds"]))
    return INTERRUPTED if signals.wait_for_all(LISTEN_S) else 0


class Signals:
    """Replaces Stop's handlers, to tell which signal arrived.

    A handler only remembers the number: it can interrupt Python anywhere, also in the middle of
    writing a file, so the files are written by the loop that waits.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.arrived: list[int] = []
        for number in SIGNALS:
            signal.signal(number, self._remember)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.arrived.append(number)

    def wait_for_all(self, timeout_s: float) -> bool:
        end, written = time.monotonic() + timeout_s, set[int]()
        while written != set(SIGNALS) and time.monotonic() < end:
            for number in set(self.arrived) - written:
                name = signal.Signals(number).name
                write_json(self.folder / f"heard-{name}.json", {"time": time.time()})
                written.add(number)
            time.sleep(POLL_S)
        return written == set(SIGNALS)


def mark(folder: Path, token: str) -> Mark:
    """Leave a file in it, if that is permitted, to know the folder by."""
    file = folder / f"{MARK}{token}"
    try:
        folder.mkdir(parents=True, exist_ok=True)  # a container can bind only what exists
        file.touch()
    except OSError:
        return {"folder": str(folder), "file": None}
    return {"folder": str(folder), "file": str(file)}


def facts(marks: dict[str, Mark], binds: list[str]) -> dict[str, Any]:
    return {
        **software(),
        "node": os.environ.get("SLURMD_NODENAME"),
        "job": os.environ.get("SLURM_JOB_ID"),
        "folders": {name: _folder_trouble(mark) for name, mark in marks.items()},
        "missing_binds": [bind for bind in binds if not Path(bind).exists()],
        "import_errors": _import_errors(),
        "torch": _torch(),
    }


def _folder_trouble(mark: Mark) -> str | None:
    try:
        if mark["file"] is None:  # not writable on the login node either
            os.scandir(mark["folder"]).close()
        elif not Path(mark["file"]).exists():
            return "not the same folder as on the login node"
        else:
            tempfile.TemporaryFile(dir=mark["folder"]).close()
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
