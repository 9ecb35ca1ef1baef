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
from contextlib import contextmanager
from pathlib import Path

import submitit
from submitit.core.utils import environment_variables

from petl.config.options import Options, tracked
from petl.errors import UserError, reason
from petl.places import Places
from slurm.node import worker
from slurm.status.plan import Item, Plan
from slurm.status.verdict import Verdict

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
    elsewhere = [item for item in plan.items if item.kind == "running"]
    todo = plan.to_run()
    for item in todo:
        item.state = Verdict("waiting")
    folder = _new_folder(places.runs / plan.study.name / "jobs")
    manifest = folder / "manifest.jsonl"
    threads = max(1, cpus() // workers)
    options = Options(threads=threads, track=tracked())
    worker.write_manifest(manifest, [item.task for item in todo], places, options)

    crew = _Crew(folder / "submitit", workers, threads)
    waiting = deque(enumerate(todo))
    try:
        while waiting or crew.working:
            for slot in crew.free()[: len(waiting)]:
                crew.start(slot, manifest, *waiting.popleft())
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
    """So many jobs at a time, each in a slot of its own with its share of the processors."""

    def __init__(self, folder: Path, workers: int, threads: int):
        self.workers = workers
        self.working: dict[int, tuple[Job, Item]] = {}
        self.gpus = gpus()
        self.environment = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        # a time-out is what makes submitit send signals and requeue: there is to be none
        self.executor = submitit.LocalExecutor(folder, max_num_timeout=0)
        self.executor.update_parameters(timeout_min=FOREVER_MIN)

    def free(self) -> list[int]:
        return [slot for slot in range(self.workers) if slot not in self.working]

    def alive(self) -> list[Job]:
        return [job for job, _ in self.working.values() if not job.done()]

    def start(self, slot: int, manifest: Path, index: int, item: Item) -> None:
        if self.gpus:  # submitit hides every GPU that it was not told of
            gpu = self.gpus[slot % len(self.gpus)]
            self.executor.update_parameters(gpus_per_node=1, visible_gpus=[gpu])
        item.run.failure_file.unlink(missing_ok=True)  # the next try starts now
        with environment_variables(**self.environment), _deaf_to_ctrl_c():
            job = self.executor.submit(worker.run, str(manifest), index)
        self.working[slot] = (job, item)

    def look(self) -> None:
        """Bring every item up to date, and free the slots of jobs that have ended."""
        for slot, (job, item) in list(self.working.items()):
            ended = job.done()  # asked first: what the run directory then says is the last word
            item.look()
            if ended:
                _judge(job, item)
                del self.working[slot]
            elif item.kind in ("waiting", "stopped"):  # it has not taken its claim yet
                item.state = Verdict("running")

    def stop(self, show: Show) -> None:
        """Ask the jobs to leave, again each second: one that is just starting does not hear yet.

        One that cannot hear, deep in a long computation, leaves as soon as that is over.
        """
        asked_at, began = float("-inf"), time.monotonic()
        while (alive := self.alive()) and time.monotonic() - began < PATIENCE_S:
            if time.monotonic() - asked_at > 1:
                asked_at = time.monotonic()
                for job in alive:
                    os.kill(int(job.job_id), signal.SIGTERM)
            show("stopping")
            time.sleep(POLL_S)
        for _, item in self.working.values():
            item.look()


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """A terminal sends Ctrl-C to every process; a job born in here leaves the answer to us."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _judge(job: Job, item: Item) -> None:
    """The last word on a job that has ended: one that left no word in its directory has died."""
    if item.kind in ("waiting", "stopped"):
        item.state = Verdict("failed", "its process died (out of memory?)", item.state.epoch)
        item.log = job.paths.stderr
    elif item.kind == "done":  # on a cluster's disk the number of files counts
        paths = job.paths
        for path in (paths.submitted_pickle, paths.result_pickle, paths.stdout, paths.stderr):
            path.unlink(missing_ok=True)


def _tidy(folder: Path, plan: Plan, over: bool) -> None:
    """What jobs have left is kept for a failure, and while one of them is not over yet."""
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
