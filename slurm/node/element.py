"""One job of an array: the run, or the few runs, that its place in the array stands for."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import traceback
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from petl.files import read_json, write_json
from petl.runs.claim import SILENT_S, RunIsTaken
from petl.runs.directory import RunDir
from slurm.node.requeues import Requeues
from slurm.node.stop import HOLD, INTERRUPTED, Stop
from slurm.node.worker import read_manifest
from slurm.submission import Submission

DONE, FAILED = 0, 1
WORST_LAST = (DONE, FAILED, HOLD, INTERRUPTED)
"""Of several runs in a job: one that wants to go on decides, for the others are settled."""
POLL_S = 2.0
FOR_SOMEBODY_ELSE_TO_DO = ("bad-data", "disk-full", "error")
"""Failures that the next run will very likely meet too."""


def run_element(manifest: str, chunk: int, stop: Stop) -> int:
    """What is pickled. The exit code tells the host's side what to do about the job."""
    submission = Submission.read(Path(manifest).parent)
    if submission.arrays.get(chunk, "") is None:
        print("this array was given up by a submitter who did not find it; nothing to do")
        return DONE
    if not os.environ.get("SLURM_RESTART_COUNT"):
        os.environ["PETL_WAIT_S"] = f"{time.time() - submission.said.when:.0f}"
    indices = submission.indices(chunk, int(os.environ["SLURM_ARRAY_TASK_ID"]))
    if len(indices) == 1:
        return run_one(submission, indices[0], stop)
    return run_several(submission, indices, stop)


def run_one(submission: Submission, index: int, stop: Stop) -> int:
    task, places, options = read_manifest(submission.manifest, index)
    run = RunDir.of(task, places.runs)
    if run.result() is not None:
        return DONE
    if submission.said.per_job > 1 and submission.has_failed(run):
        return FAILED  # before its job was interrupted for the sake of another
    if (fruitless := Requeues(run).begin()) >= submission.said.fruitless_requeues:
        return _give_up(run, fruitless)
    from petl.train.run import Interrupted, run_task

    patience = time.monotonic() + SILENT_S + 60
    while not stop():
        try:
            run_task(task, places, options, stop=stop)
        except RunIsTaken as taken:
            # most likely we ourselves before a node failed: a claim from there speaks for a while
            if time.monotonic() > patience:
                print(taken)
                return DONE
            time.sleep(POLL_S)
        except Interrupted:
            break
        except Exception:
            traceback.print_exc()
            return HOLD if _as_others(submission, index, run) else FAILED
        else:
            Requeues(run).forget()
            return DONE
    return INTERRUPTED


def run_several(submission: Submission, indices: Sequence[int], stop: Stop) -> int:
    """Each in a process of its own, so that its numbers, memory and end are as if it were alone."""
    waiting, working = deque(indices), list[subprocess.Popen[bytes]]()
    codes = []
    while working or (waiting and not stop()):
        while waiting and not stop() and len(working) < submission.said.side_by_side:
            command = [sys.executable, "-u", "-m", "slurm.node.element", str(submission.folder)]
            working.append(subprocess.Popen([*command, str(waiting.popleft())]))
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


def _give_up(run: RunDir, fruitless: int) -> int:
    message = f"started {fruitless + 1} times without getting to a checkpoint; more time may help"
    failure = {"class": "no-progress", "kind": "NoProgress", "message": message, "traceback": ""}
    write_json(run.failure_file, failure)
    print(message)
    return FAILED


def _as_others(submission: Submission, index: int, run: RunDir) -> bool:
    """Have enough runs failed in just this way that the rest should wait for a person?"""
    failure = read_json(run.failure_file) or {}
    if failure.get("class") not in FOR_SOMEBODY_ELSE_TO_DO:
        return False
    where = [line for line in failure["traceback"].splitlines() if line.startswith("  File ")]
    alike = hashlib.sha256("\n".join([failure["kind"], *where]).encode()).hexdigest()[:8]
    have = list(submission.folder.glob(f"failed-{alike}-*"))
    mine = submission.folder / f"failed-{alike}-{index}"
    if len(have) < submission.said.hold_after:  # each costs a file
        mine.touch()
    return len({*have, mine}) >= submission.said.hold_after


def main(folder: str, index: str) -> int:
    return run_one(Submission.read(Path(folder)), int(index), Stop().listen())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
