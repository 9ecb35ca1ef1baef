"""A study on this machine: submitit's local executor, so many jobs at a time.

The truth about a run is its directory; a job here is only the process that works on it. If this
process is killed outright, the jobs it has started finish their runs, and the next submit finds
them by their claims.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import submitit
from submitit.core.utils import environment_variables

from petl.errors import UserError
from petl.places import Places
from petl.runs import State
from slurm import worker
from slurm.plan import Item, Plan

FOREVER_MIN = 60 * 24 * 365
"""submitit kills a local job after 5 minutes unless told otherwise; a run may take days."""
POLL_S = 0.2
PATIENCE_S = 30

Job = submitit.Job[None]
Show = Callable[[str], None]


def run_local(plan: Plan, places: Places, workers: int, show: Show) -> None:
    """Run what is to be run, and return when all of it has ended, well or not.

    `show` is called a few times a second with a remark, mostly empty, to bring a view up to date.
    """
    todo = plan.to_run()
    folder = _new_folder(places.runs / plan.study.name / "jobs")
    manifest = folder / "manifest.jsonl"
    threads = max(1, cpus() // workers)
    worker.write_manifest(manifest, [item.task for item in todo], places, threads)
    slots = _Slots(folder / "submitit", workers, threads)

    for item in todo:
        item.state = State("waiting")
    waiting = deque(enumerate(todo))
    working: dict[int, tuple[Job, Item]] = {}
    try:
        while waiting or working:
            for slot in slots.free(working)[: len(waiting)]:
                index, item = waiting.popleft()
                working[slot] = (slots.start(slot, item, manifest, index), item)
            show("")
            time.sleep(POLL_S)
            for slot, (job, item) in list(working.items()):
                if _look(job, item):
                    del working[slot]
    except KeyboardInterrupt:
        _stop(working, show)
        raise
    finally:
        _tidy(folder, todo, working)
    show("")


class _Slots:
    """Places to work at: each starts one job at a time, with its share of the processors."""

    def __init__(self, folder: Path, workers: int, threads: int):
        self.workers = workers
        self.gpus = gpus()
        self.environment = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        # a time-out is what makes submitit send signals and requeue: there is to be none
        self.executor = submitit.LocalExecutor(folder, max_num_timeout=0)
        self.executor.update_parameters(timeout_min=FOREVER_MIN)

    def free(self, taken: dict[int, tuple[Job, Item]]) -> list[int]:
        return [slot for slot in range(self.workers) if slot not in taken]

    def start(self, slot: int, item: Item, manifest: Path, index: int) -> Job:
        if self.gpus:  # submitit hides every GPU that it was not told of
            gpu = self.gpus[slot % len(self.gpus)]
            self.executor.update_parameters(gpus_per_node=1, visible_gpus=[gpu])
        item.run.failure_file.unlink(missing_ok=True)  # the next try starts now
        with environment_variables(**self.environment), _deaf_to_ctrl_c():
            return self.executor.submit(worker.run, str(manifest), index)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """A terminal sends Ctrl-C to every process; a job born in here leaves the answer to us."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _look(job: Job, item: Item) -> bool:
    """Bring the item up to date; has its job ended?"""
    ended = job.done()  # asked first, so that what the run directory then says is the last word
    item.look()
    if item.kind in ("waiting", "stopped"):
        item.state = State("running", "starting")
        if ended:
            item.state = State("failed", "its process died (out of memory?)")
            item.log = job.paths.stderr
    elif ended and item.kind == "done":
        _forget(job)
    return ended


def _forget(job: Job) -> None:
    """A run with a result needs no job files: on a cluster's disk the number of files counts."""
    paths = job.paths
    for path in (paths.submitted_pickle, paths.result_pickle, paths.stdout, paths.stderr):
        path.unlink(missing_ok=True)


def _stop(working: dict[int, tuple[Job, Item]], show: Show) -> None:
    """Ask the jobs to leave, again each second: one that is just starting does not hear yet.

    One that cannot hear, deep in a long computation, leaves as soon as that is over.
    """
    asked = -1.0
    begin = time.monotonic()
    while alive := [job for job, _ in working.values() if not job.done()]:
        if time.monotonic() - begin > PATIENCE_S:
            break
        if time.monotonic() - asked > 1:
            asked = time.monotonic()
            for job in alive:
                os.kill(int(job.job_id), signal.SIGTERM)
        time.sleep(POLL_S)
        show("stopping")
    for _, item in working.values():
        item.look()


def _new_folder(jobs: Path) -> Path:
    folder = jobs / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{folder}: {(error.strerror or str(error)).lower()}") from None
    return folder


def _tidy(folder: Path, todo: list[Item], working: dict[int, tuple[Job, Item]]) -> None:
    """What the jobs have left is worth keeping for a failure, or for one that is not over yet."""
    over = all(job.done() for job, _ in working.values())
    if over and not any(item.kind == "failed" for item in todo):
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # another submit has its folder there
            folder.parent.rmdir()


def default_workers() -> int:
    return len(gpus()) or cpus()


def cpus() -> int:
    """Those this process may use, which on a shared machine are fewer than there are."""
    return len(os.sched_getaffinity(0))


def gpus() -> list[int]:
    """Those that CUDA would see, found without CUDA."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return sorted(int(path.name[6:]) for path in Path("/dev").glob("nvidia[0-9]*"))
    try:
        return [int(number) for number in visible.split(",") if number]
    except ValueError:
        raise UserError(f"CUDA_VISIBLE_DEVICES={visible}: give numbers, such as 0,1") from None
