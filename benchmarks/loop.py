"""What the training loop adds to a bare step: data, schedule, watching, checkpoints, metrics.

Measured in processor time, which does not depend on other processes.

python -m benchmarks.loop [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.full_size import machine
from petl.config import Task
from petl.config.study import load_study
from petl.data.load import TaskData
from petl.data.splits import Split
from petl.model.build import build_model
from petl.train.loop import Fit, Watcher
from petl.train.optim import optimiser, schedule

STUDY = Path(__file__).parent.parent / "experiments" / "quickstart.yaml"
BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two short steps")
    rounds, steps, frames = (1, 2, 98) if parser.parse_args().quick else (4, 20, 498)
    print(machine())
    task = next(t for t in load_study(STUDY).tasks if t.names.method == "conformer-pfeiffer")
    task = _with_frames(task, frames)
    data = _made_data(task, steps * BATCH)
    bare, loop = [], []
    for _ in range(rounds):  # alternating, so that other load affects both
        bare.append(_bare(task, data))
        loop.append(_loop(task, data))
    bare_s, loop_s = statistics.median(bare), statistics.median(loop)
    print(f"a step of {BATCH} clips of {task.dataset.frames} frames, small AST, conformer adapter")
    print(f"  bare   {1000 * bare_s:7.1f} ms   forward, backward, AdamW, cosine")
    print(f"  loop   {1000 * loop_s:7.1f} ms   {loop_s / bare_s:.3f} x the bare step")


def _bare(task: Task, data: TaskData) -> float:
    """The least code that trains: tensors in memory, no checks."""
    torch.manual_seed(0)
    model = build_model(task).train()
    adamw = optimiser(model, task.train)
    cosine = schedule(adamw, task.train, len(data.targets))
    statistics_ = data.statistics
    assert statistics_ is not None
    x = torch.from_numpy(data.inputs.copy())
    x = (x - statistics_.mean) / (2 * statistics_.std)
    y = torch.from_numpy(data.targets)
    started = time.process_time()
    for part_x, part_y in zip(x.split(BATCH), y.split(BATCH), strict=True):
        loss = F.cross_entropy(model(part_x), part_y)
        adamw.zero_grad(set_to_none=True)
        loss.backward()
        adamw.step()
        cosine.step()
    return (time.process_time() - started) / (len(y) / BATCH)


def _loop(task: Task, data: TaskData) -> float:
    """An epoch of `Fit`, as in a run, without validation."""
    torch.manual_seed(0)
    fit = Fit(build_model(task), data, task)
    clock = _Clock()
    clock.at = time.process_time()
    fit.run(clock)
    return statistics.mean(clock.steps)


class _Clock(Watcher):
    """Time from the end of one step to the end of the next, everything in between included."""

    def __init__(self) -> None:
        self.at, self.steps = 0.0, []

    def step(self, fit: Fit) -> None:
        now = time.process_time()
        self.steps.append(now - self.at)
        self.at = now


def _with_frames(task: Task, frames: int) -> Task:
    dataset = task.dataset.model_copy(update={"frames": frames})
    train = task.train.model_copy(update={"epochs": 1, "batch_size": BATCH})
    return task.model_copy(update={"dataset": dataset, "train": train})


def _made_data(task: Task, clips: int) -> TaskData:
    """As a memory map, because a run reads the cache that way."""
    draw = np.random.default_rng(0)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "inputs.npy"
        np.save(file, draw.normal(-4, 4, (clips, task.dataset.frames, 128)).astype(np.float32))
        inputs = np.load(file, mmap_mode="r")
    everything = np.arange(clips)
    statistics_ = task.dataset.statistics
    split = Split(everything, everything[:1], everything[:1])
    return TaskData(inputs, everything % 10, split, tuple("0123456789"), statistics_)


if __name__ == "__main__":
    main()
