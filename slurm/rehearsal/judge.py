"""Whether a study has come through: each run done once, equal to the undisturbed one, and no trace
of what happened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from petl.runs.directory import RunDir
from slurm.devcluster import DevCluster
from slurm.rehearsal.play import Play
from slurm.rehearsal.stage import AT_A_TIME, GPU, Stage, label
from slurm.status.plan import Item

OF_THE_ATTEMPT = {"timing", "environment", "peak_memory_mb"}
"""When, where and how fast: all else in a result has to be equal."""


def complaints(stage: Stage, undisturbed: Stage, seen: Play, cluster: DevCluster) -> Iterator[str]:
    """What is not as it should be, a line each."""
    for item in stage.plan().items:
        there = RunDir.of(item.task, undisturbed.places.runs)
        for complaint in run_complaints(item, there):
            yield f"{label(item.task)} ({item.run.path}): {complaint}"
    if queue := cluster.run("squeue", "-h", "-r", "-o", "%i %j %T").splitlines():
        yield f"still in the queue: {', '.join(queue)}"
    jobs = stage.plan().jobs
    left = {path.name for path in jobs.iterdir() if not (path / "submission.json").exists()}
    if left:
        yield f"left in {jobs}: {', '.join(sorted(left))}"
    if seen.most_running > AT_A_TIME:
        yield f"{seen.most_running} jobs at a time, where {AT_A_TIME} were allowed"
    if seen.gpus != {GPU}:
        yield f"jobs asked for {', '.join(sorted(seen.gpus))} instead of {GPU}"
    if seen.spared:
        yield f"all done before this could happen: {', '.join(sorted(seen.spared))}"
    if not (told := stage.submit()).startswith(f"{len(stage.study.tasks)} done"):
        yield f"submitted once more: {told}"


def run_complaints(item: Item, undisturbed: RunDir) -> Iterator[str]:
    run = item.run
    if item.kind != "done":
        yield f"{item.kind}, {item.state.reason}"
        return
    if (times := _times_done(run)) != 1:
        yield f"done {times} times"
    if _numbers(run) != _numbers(undisturbed):
        yield "another result than undisturbed"
    if _rows(run) != _rows(undisturbed):
        yield "other metrics than undisturbed"
    if _weights(run) != _weights(undisturbed):
        yield "other weights than undisturbed"
    if more := _files(run) ^ _files(undisturbed):
        yield f"left over or missing: {', '.join(sorted(more))}"


def _times_done(run: RunDir) -> int:
    """Its log is appended to, whoever works on it."""
    return sum(line.startswith("done: ") for line in run.log_file.read_text().splitlines())


def _numbers(run: RunDir) -> dict[str, Any]:
    result = run.result() or {}
    return {key: value for key, value in result.items() if key not in OF_THE_ATTEMPT}


def _rows(run: RunDir) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in run.metrics()]


def _weights(run: RunDir) -> bytes | None:
    return run.weights_file.read_bytes() if run.weights_file.exists() else None


def _files(run: RunDir) -> set[str]:
    return {path.name for path in run.path.iterdir()}
