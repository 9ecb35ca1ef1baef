"""A generator's run as its training leaves it, with new weights."""

from __future__ import annotations

import torch
from made_runs import finished

from petl.config import Task
from petl.data.load import load
from petl.files import write_json
from petl.generate import conditions
from petl.generate.base import Space
from petl.generate.build import build
from petl.generate.fitted import facts_of, fitted_on
from petl.places import Places
from petl.runs.directory import RunDir


def fitted(task: Task, places: Places) -> RunDir:
    data = load(task, places)
    train = data.split.train
    known = conditions.vectors(task.dataset, data.targets[train])
    space = Space(task.dataset.frames, task.dataset.bins, known.shape[1], 0.0, 2.0, -4.0, 4.0)
    with torch.random.fork_rng():
        torch.manual_seed(1 + task.seed + task.fold)
        generator = build(task.generator, space)
    run = finished(task, places.runs)
    write_weights(run, generator.average.state_dict())
    ranges = conditions.ranges(known, conditions.names(task.dataset, data.classes))
    digest = fitted_on(task.dataset, [data.names[index] for index in train])
    facts = facts_of(space, ranges, digest, seconds=1.0)
    write_json(run.result_file, {**run.result(), "generator": facts})
    return run


def write_weights(run: RunDir, tensors: dict[str, torch.Tensor]) -> None:
    from safetensors.torch import save_file

    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, run.weights_file)
