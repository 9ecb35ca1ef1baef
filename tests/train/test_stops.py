"""A run that cannot continue stops at once and says what is wrong, where, and what helps."""

import json
import multiprocessing
import re
import resource
from pathlib import Path

import numpy as np
import pytest
import torch

from petl.config.options import Options
from petl.data.load import TaskData
from petl.data.splits import Split
from petl.errors import UserError
from petl.model.build import build_model
from petl.places import Places
from petl.runs.directory import RunDir
from petl.train.failures import nonfinite
from petl.train.failures.kinds import Diverged, OutOfMemory, failure_class
from petl.train.loop import Fit
from petl.train.run import run_task


def by_method(tasks, method, **train):
    task = next(task for task in tasks if task.names.method == method)
    settings = task.train.model_dump() | train
    return task.model_copy(update={"train": type(task.train).model_validate(settings)})


class Delayed(nonfinite.FiniteCheck):
    """Results two steps after their steps, as they may come from a GPU."""

    def __init__(self, device):
        super().__init__(device)
        self.delayed, self.waiting = True, []

    def check(self, step, loss, norm):
        if not self.delayed:
            return super().check(step, loss, norm)
        self.waiting.append((step, torch.stack([loss, norm])))
        if len(self.waiting) > 2:
            nonfinite.require_finite(*self.waiting.pop(0))

    def finish(self):
        while self.waiting:
            nonfinite.require_finite(*self.waiting.pop(0))


def test_a_delayed_check_names_the_same_step_and_tensor(tasks, own_runs, tmp_path, monkeypatch):
    task = by_method(tasks, "full", lr=1e30)
    with pytest.raises(Diverged) as at_once:
        run_task(task, own_runs, Options(threads=1))
    monkeypatch.setattr("petl.train.failures.nonfinite.FiniteCheck", Delayed)
    elsewhere = Places(tmp_path / "late", own_runs.data, own_runs.cache)
    with pytest.raises(Diverged) as late:
        run_task(task, elsewhere, Options(threads=1))
    assert str(late.value) == str(at_once.value)
    assert "check every step" in RunDir.of(task, elsewhere.runs).log_file.read_text()


def made_data(task, clips=4):
    shape = (clips, task.dataset.frames, 128)
    inputs = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    everything = np.arange(clips)
    return TaskData(inputs, everything % 10, Split(everything, everything, everything), (), None)


def test_a_bad_gradient_is_seen_before_it_changes_a_weight(tasks):
    """The loss is finite, one gradient is not: an exploding gradient in its first step."""
    task = by_method(tasks, "full", batch_size=4)
    model = build_model(task)
    spoilt = dict(model.named_parameters())["backbone.layers.1.ffn.down.weight"]
    spoilt.register_hook(lambda gradient: gradient * float("inf"))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    said = r"norm is (inf|nan) in epoch 1, step 1; .* gradient of backbone.layers.1.ffn.down.weight"
    with pytest.raises(Diverged, match=said):
        Fit(model, made_data(task), task).run()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


def test_a_bad_input_is_reported_at_the_first_bad_tensor(tasks):
    task = by_method(tasks, "linear", batch_size=4)
    data = made_data(task)
    data.inputs[2, 5, 5] = np.inf
    with pytest.raises(Diverged, match=r"step 1; first not finite: the output of backbone.tokens"):
        Fit(build_model(task), data, task).run()


def test_a_diverged_run_records_its_failure_class(tasks, own_runs):
    task = by_method(tasks, "full", lr=1e30)
    with pytest.raises(Diverged):
        run_task(task, own_runs, Options(threads=1))
    failure = json.loads(RunDir.of(task, own_runs.runs).failure_file.read_text())
    assert (failure["class"], failure["epoch"]) == ("diverged", 1)


def train_in_little_memory(task, free, said):
    """An address space with so much left, once model and data are there."""
    torch.set_num_threads(1)
    model, data = build_model(task), made_data(task, clips=64)
    Fit(model, made_data(task, clips=1), task).run()  # maps what torch loads when it first trains
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + free, mapped + free))
    try:
        Fit(model, data, task).run()
    except OutOfMemory as error:
        said.put((str(error), failure_class(error)))


@pytest.mark.slow
def test_out_of_memory_says_what_would_fit(tasks):
    """A limit on the address space: the allocator really refuses. What is promised really fits."""
    task = by_method(tasks, "full", batch_size=64, epochs=1)
    dataset = task.dataset.model_copy(update={"frames": 498, "spec_augment": None})
    small = task.backbone.model_copy(update={"source": "builtin:small"})
    task = task.model_copy(update={"dataset": dataset, "backbone": small})
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["petl.train.run", "transformers"])

    def tell(task):
        said = context.SimpleQueue()
        worker = context.Process(target=train_in_little_memory, args=(task, 200 * 2**20, said))
        worker.start()
        worker.join(120)
        assert worker.exitcode == 0
        return None if said.empty() else said.get()

    message, kind = tell(task)
    assert kind == "out-of-memory"
    assert message.startswith("out of memory in epoch 1, step 1 with batch_size 64: a clip takes")
    fits = int(re.search(r"batch_size (\d+) would fit", message)[1])
    assert 1 < fits < 64
    train = task.train.model_copy(update={"batch_size": fits})
    assert tell(task.model_copy(update={"train": train})) is None


def test_a_runs_folder_that_cannot_be_created_is_named(tasks, own_runs, tmp_path):
    (tmp_path / "file").touch()
    places = Places(tmp_path / "file", own_runs.data, own_runs.cache)
    with pytest.raises(UserError, match=r"file/.*: Not a directory|not a directory.*--runs"):
        run_task(tasks[0], places, Options(threads=1))
