"""Whether a study came through: each run done once, equal to the undisturbed one, nothing left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from petl.runs.directory import RunDir
from rehearsal.perform import Record
from rehearsal.short_study import AT_A_TIME, GPU, ShortStudy, label
from slurm.devcluster import DevCluster
from slurm.status.plan import Item

MAY_DIFFER = {"timing", "environment", "peak_memory_mb"}
"""When, where and how fast a run was done; all else in a result has to be equal."""


def problems(
    study: ShortStudy, undisturbed: ShortStudy, record: Record, cluster: DevCluster
) -> Iterator[str]:
    """What is not as it should be, a line each."""
    for item in study.plan().items:
        expected = RunDir.of(item.task, undisturbed.places.runs)
        for problem in run_problems(item, expected):
            yield f"{label(item.task)} ({item.run.path}): {problem}"
    if queue := cluster.run("squeue", "-h", "-r", "-o", "%i %j %T").splitlines():
        yield f"still in the queue: {', '.join(queue)}"
    jobs = study.plan().slurm_folder
    left = {path.name for path in jobs.iterdir() if not (path / "submission.json").exists()}
    if left:
        yield f"left in {jobs}: {', '.join(sorted(left))}"
    if record.most_running > AT_A_TIME:
        yield f"{record.most_running} jobs at a time, but the throttle is {AT_A_TIME}"
    if record.gpus != {GPU}:
        yield f"jobs asked for {', '.join(sorted(record.gpus))} instead of {GPU}"
    if record.unused:
        yield f"all done before this could happen: {', '.join(sorted(record.unused))}"
    if not (answer := study.submit()).startswith(f"{len(study.study.tasks)} done"):
        yield f"submitted once more: {answer}"


def run_problems(item: Item, undisturbed: RunDir) -> Iterator[str]:
    run = item.run
    if item.kind != "done":
        yield f"{item.kind}, {item.state.reason}"
        return
    if (times := _times_done(run)) != 1:
        yield f"done {times} times"
    if _numbers(run) != _numbers(undisturbed):
        yield "the result differs from the undisturbed run"
    if _rows(run) != _rows(undisturbed):
        yield "the metrics differ from the undisturbed run"
    if _weights(run) != _weights(undisturbed):
        yield "the weights differ from the undisturbed run"
    if more := _files(run) ^ _files(undisturbed):
        yield f"files left over or missing: {', '.join(sorted(more))}"


def _times_done(run: RunDir) -> int:
    """Every process that works on a run appends to the same log."""
    return sum(line.startswith("done: ") for line in run.log_file.read_text().splitlines())


def _numbers(run: RunDir) -> dict[str, Any]:
    result = run.result()
    return {k: v for k, v in result.items() if k not in MAY_DIFFER} if result else {}


def _rows(run: RunDir) -> list[dict[str, Any]]:
    """Every line of the file: RunDir.metrics would leave out an epoch's second row."""
    lines = (run.read("metrics.jsonl") or b"").splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def _weights(run: RunDir) -> bytes | None:
    return run.weights_file.read_bytes() if run.weights_file.exists() else None


def _files(run: RunDir) -> set[str]:
    return {path.name for path in run.path.iterdir()}
