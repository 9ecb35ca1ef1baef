"""A study on this machine: several runs at a time, each in a process of its own.

The truth about a run is its directory; a job here is only the process that works on it. If this
process is killed, the jobs it has started finish their runs, and the next submit sees their claims.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from petl.config.options import Options, tracked
from petl.errors import UserError, reason
from petl.places import Places
from petl.runs.code.archive import Frozen
from slurm.call import python_arguments, without_here
from slurm.exits import FAULTS
from slurm.manifest import write_manifest
from slurm.status.plan import Item, Plan
from slurm.status.state import FAULT_WORDS, RunState
from slurm.submit.threads import free, variables

POLL_S = 0.2
LEAVE_S = 30

Show = Callable[[str], None]


class Interpreter(NamedTuple):
    """The words that start Python: this one, another one, or one in a container."""

    words: Sequence[str] = (sys.executable,)
    threads: int | None = None
    """Of each run; None for what its environment says."""
    variables: Mapping[str, str] = MappingProxyType({})


class Job(NamedTuple):
    process: subprocess.Popen[bytes]
    item: Item
    log: Path


def run_local(
    plan: Plan,
    places: Places,
    workers: int,
    show: Show,
    todo: Sequence[Item] | None = None,
    frozen: Frozen | None = None,
    interpreter: Interpreter = Interpreter(),  # noqa: B008
) -> None:
    """Run these, or what is to be run, and return when all of it has ended, well or not.

    Each run imports the `frozen` code; without it, the code as it is when the run starts.
    `show` is called a few times a second with a remark, mostly empty, to bring a view up to date.
    """
    elsewhere = [item for item in plan.items if item.kind in ("running", "silent")]
    todo = plan.to_run() if todo is None else todo
    for item in todo:
        item.state = RunState("waiting")
    folder = _new_folder(places.runs / plan.study.name / "jobs")
    tasks = [item.task for item in todo]
    options = Options(threads=interpreter.threads, track=tracked())
    write_manifest(folder / "manifest.jsonl", tasks, options, frozen and frozen.code)

    crew = _Crew(folder, places, workers, frozen, interpreter)
    waiting = deque(enumerate(todo))
    try:
        while waiting or crew.jobs:
            for slot in crew.free()[: len(waiting)]:
                crew.start(slot, *waiting.popleft())
            show("")
            time.sleep(POLL_S)
            crew.look()
            for item in elsewhere:
                item.look()
    except BaseException:
        crew.stop(show)
        raise
    finally:
        _tidy(folder, plan, over=not crew.alive())


class _Crew:
    """The jobs that run now, each in a slot with its share of CPUs and its GPU."""

    def __init__(
        self,
        folder: Path,
        places: Places,
        workers: int,
        frozen: Frozen | None,
        interpreter: Interpreter,
    ):
        self.folder, self.places, self.workers, self.frozen = folder, places, workers, frozen
        self.jobs: dict[int, Job] = {}
        self.gpus = gpus()
        self.python = interpreter.words
        self.environment = without_here({**os.environ, **interpreter.variables})

    def free(self) -> list[int]:
        return [slot for slot in range(self.workers) if slot not in self.jobs]

    def alive(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.process.poll() is None]

    def start(self, slot: int, index: int, item: Item) -> None:
        gpu = str(self.gpus[slot % len(self.gpus)]) if self.gpus else ""
        cuda = {"CUDA_VISIBLE_DEVICES": gpu}
        item.run.failure_file.unlink(missing_ok=True)  # a new attempt starts now
        words = (self.folder / "manifest.jsonl", index, self.places.data, self.places.cache)
        entry = "slurm.node.job:local_run"
        call = python_arguments(entry, *words, same=True, frozen=self.frozen)
        log = self.folder / f"{item.task.run_id}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*self.python, *call],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=variables(item.task, self.workers, self.environment | cuda),
            )
        self.jobs[slot] = Job(process, item, log)

    def look(self) -> None:
        """Bring every item up to date, and free the slots of jobs that have ended."""
        for slot, job in list(self.jobs.items()):
            ended = job.process.poll() is not None  # asked first: then the run's files are final
            job.item.look()
            if ended:
                _judge(job)
                del self.jobs[slot]
            elif job.item.kind in ("waiting", "stopped"):  # it has not taken its claim yet
                job.item.state = RunState("running")

    def stop(self, show: Show) -> None:
        """Send each job SIGTERM once, and wait until it has left.

        One that is just starting has no handler yet and dies; it has no claim either. One in a long
        computation leaves when that is over.
        """
        for job in self.alive():
            job.process.terminate()
        end = time.monotonic() + LEAVE_S
        while self.alive() and time.monotonic() < end:
            show("stopping")
            time.sleep(POLL_S)
        for job in self.jobs.values():
            job.item.look()


def _judge(job: Job) -> None:
    """The last word on a job that has ended: a run that says nothing about it has died."""
    item, fault = job.item, FAULTS.get(job.process.returncode)
    if fault and item.kind in ("waiting", "stopped"):
        reason = item.state.reason if item.state.cause else f"{FAULT_WORDS[fault]}: {item.run.path}"
        item.state, item.log = RunState("stopped", reason, item.state.epoch, fault), job.log
    elif item.kind in ("waiting", "stopped"):
        item.state = RunState("failed", "its process died (out of memory?)", item.state.epoch)
        item.log = job.log
    elif item.kind == "done":  # on a cluster's disk the number of files counts
        job.log.unlink(missing_ok=True)


def _tidy(folder: Path, plan: Plan, over: bool) -> None:
    """Keep logs for a failure, and while a job still writes them."""
    kinds = plan.counts()
    if kinds["done"] == len(plan.items):
        shutil.rmtree(folder.parent, ignore_errors=True)
    elif over and not kinds["failed"]:
        shutil.rmtree(folder, ignore_errors=True)


def _new_folder(jobs: Path) -> Path:
    folder = jobs / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{folder}: {reason(error)}") from None
    return folder


def default_workers() -> int:
    return len(gpus()) or free()


def gpus() -> list[int]:
    """Those that CUDA would see, found without CUDA."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return sorted(int(path.name[6:]) for path in Path("/dev").glob("nvidia[0-9]*"))
    try:
        return [int(number) for number in visible.split(",") if number]
    except ValueError:
        raise UserError(f"CUDA_VISIBLE_DEVICES={visible}: give numbers, such as 0,1") from None
