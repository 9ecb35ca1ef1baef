"""The loop takes the steps that the released code took: recorded losses, through `Fit` itself."""

import numpy as np
import pytest
import torch
from golden_cases import CASES, INDEX, Case, deviation

from petl.data.load import TaskData
from petl.data.splits import Split
from petl.train.loop import Fit, Watcher
from petl.train.seeding import generator

TOLERANCE = 1e-5


def as_recorded(task, case):
    """The as-run recipe for one epoch of the recording's steps."""
    classes = int(case.batches()[1].max()) + 1
    dataset = task.dataset.model_copy(update={"spec_augment": None, "classes": max(classes, 10)})
    settings = task.train.model_dump() | {
        "epochs": 1,
        "batch_size": case.batches()[0].shape[1],
        "lr": case.flags["lr"],
    }
    train = type(task.train).model_validate(settings)
    return task.model_copy(update={"dataset": dataset, "train": train})


def shuffled_back(task, x, y):
    """The recorded clips, laid so that the order of the first epoch is the recording's."""
    order = torch.randperm(len(x), generator=generator(task.seed, task.fold, "order", 1))
    inputs, targets = torch.empty_like(x), torch.empty_like(y)
    inputs[order], targets[order] = x, y
    everything = np.arange(len(x))
    split = Split(everything, everything[:1], everything[:1])
    return TaskData(inputs.numpy(), targets.numpy(), split, tuple("0123456789"), None)


@pytest.mark.parametrize("name", CASES)
def test_the_loop_gives_the_recorded_losses(tasks, name):
    case = Case(name)
    x, y = (part.flatten(0, 1) for part in case.batches())
    task = as_recorded(tasks[0], case)
    losses, fit = [], Fit(case.model(), shuffled_back(task, x, y), task)

    class Recorder(Watcher):
        def step(self, fit):
            losses.append(fit.losses[-1] / task.train.batch_size)

    fit.run(Recorder())
    assert len(losses) == INDEX["steps"]
    assert deviation(torch.stack(losses), case.numbers["losses"]) < TOLERANCE
