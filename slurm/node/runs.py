"""What a job does: its run, or its few runs."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import ParamSpec

from petl.errors import fault_of
from petl.files import write_json
from petl.places import Places
from petl.runs.claim import SILENT_S, RunIsTaken
from petl.runs.directory import RunDir
from slurm.call import ROOT, python_arguments
from slurm.exits import FAULTS, HOLD, INTERRUPTED
from slurm.manifest import read_manifest
from slurm.node.stop import Stop
from slurm.requeues import Requeues
from slurm.submission import Submission

P = ParamSpec("P")
DONE, FAILED = 0, 1
WORST_LAST = (DONE, FAILED, *FAULTS, HOLD, INTERRUPTED)
"""Of several runs in a job, one that was interrupted decides: the job must come back for it."""
POLL_S = 2.0
NOT_THE_RUNS_OWN = ("bad-data", "no-kernels", "error")
"""Classes of failure that the next run will very likely meet too."""


def _naming_faults(function: Callable[P, int]) -> Callable[P, int]:
    """A full disk has no room for a failure.json either: the exit code names the fault."""

    @wraps(function)
    def run(*args: P.args, **more: P.kwargs) -> int:
        try:
            return function(*args, **more)
        except Exception as error:  # a full disk may stand behind any of them
            if not (fault := fault_of(error)):
                raise
            with suppress(OSError):
                traceback.print_exc()
            return next(code for code, name in FAULTS.items() if name == fault)

    return run


@_naming_faults
def array_job(manifest: Path, chunk: int, places: Places, stop: Stop) -> int:
    """The exit code tells the job script what to do about the job."""
    submission = Submission.read(manifest.parent)
    if submission.was_abandoned(chunk):
        print("a later `petl submit` did not find this array and submitted its runs again; exiting")
        return DONE
    if not os.environ.get("SLURM_RESTART_COUNT"):
        os.environ["PETL_WAIT_S"] = f"{time.time() - submission.record.when:.0f}"
    indices = submission.indices(chunk, int(os.environ["SLURM_ARRAY_TASK_ID"]))
    if len(indices) == 1:
        return run_one(submission, indices[0], places, stop)
    return _run_several(submission, indices, places, stop)


@_naming_faults
def run_one(submission: Submission, index: int, places: Places, stop: Stop) -> int:
    task, options = read_manifest(submission.manifest, index)
    run = RunDir.of(task, places.runs)
    if run.result() is not None:
        return DONE
    if submission.record.per_job > 1 and submission.has_failed(run) and _own(run):
        return FAILED  # already, before its job was requeued for another run
    if (fruitless := Requeues(run).begin()) >= submission.record.fruitless_requeues:
        return _give_up(run, fruitless)
    from petl.train.run import Interrupted, run_task

    patience = time.monotonic() + SILENT_S + 60
    while not stop():
        try:
            run_task(task, places, options, stop=stop)
        except RunIsTaken as taken:
            # After a node failure the claim is most likely our own: from another host it counts as
            # alive until it has been silent for SILENT_S, so wait a little longer than that.
            if time.monotonic() > patience:
                print(taken)
                return DONE
            time.sleep(POLL_S)
        except Interrupted:
            break
        except Exception as error:  # the other runs of this job go on
            if fault_of(error):
                raise
            traceback.print_exc()
            return HOLD if _fails_like_others(submission, index, run) else FAILED
        else:
            Requeues(run).forget()
            return DONE
    return INTERRUPTED


@_naming_faults
def local_run(manifest: Path, index: int, places: Places, stop: Stop) -> int:
    """A run that another process has taken meanwhile is no failure."""
    task, options = read_manifest(manifest, index)
    from petl.train.run import Interrupted, run_task

    try:
        run_task(task, places, options, stop=stop)
    except RunIsTaken as taken:
        print(taken)
    except Interrupted:
        return INTERRUPTED
    return DONE


def _run_several(submission: Submission, indices: Sequence[int], places: Places, stop: Stop) -> int:
    """Each in a process of its own: its numbers, memory and end are as if it were alone."""
    waiting, working = deque(indices), list[subprocess.Popen[bytes]]()
    codes = []
    while working or (waiting and not stop()):
        while waiting and not stop() and len(working) < submission.record.side_by_side:
            words = (submission.manifest, waiting.popleft(), places.data, places.cache)
            call = python_arguments("slurm.node.job:packed_run", *words, same=True)
            working.append(subprocess.Popen([sys.executable, *call]))
        if stop():
            for process in working:
                process.terminate()
        with suppress(subprocess.TimeoutExpired):
            working[0].wait(timeout=POLL_S / 4)
        codes += [process.returncode for process in working if process.poll() is not None]
        working = [process for process in working if process.returncode is None]
    if waiting:
        codes.append(INTERRUPTED)
    return max((code if code in WORST_LAST else FAILED for code in codes), key=WORST_LAST.index)


def _own(run: RunDir) -> bool:
    """Was it the run's own failure?"""
    return (run.failure() or {}).get("class") not in FAULTS.values()


def _give_up(run: RunDir, fruitless: int) -> int:
    message = f"started {fruitless + 1} times without reaching a new checkpoint; allow more time"
    failure = {"class": "no-progress", "kind": "NoProgress", "message": message, "traceback": ""}
    write_json(run.failure_file, failure)
    print(message)
    return FAILED


def _fails_like_others(submission: Submission, index: int, run: RunDir) -> bool:
    """Have so many runs failed with the same traceback that the rest should wait for a person?

    Each failure leaves a file whose name has the traceback's hash; no two jobs write the same one.
    """
    failure = run.failure() or {}
    if failure.get("class") not in NOT_THE_RUNS_OWN:
        return False
    trace = failure["traceback"].replace(ROOT, "")  # each job has unpacked the code elsewhere
    where = [line for line in trace.splitlines() if line.startswith("  File ")]
    alike = hashlib.sha256("\n".join([failure["kind"], *where]).encode()).hexdigest()[:8]
    have = list(submission.folder.glob(f"failed-{alike}-*"))
    mine = submission.folder / f"failed-{alike}-{index}"
    if len(have) < submission.record.hold_after:  # later ones would only cost files
        mine.touch()
    return len({*have, mine}) >= submission.record.hold_after
