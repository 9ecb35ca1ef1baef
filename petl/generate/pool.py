"""Synthetic clips for a run that trains on them: a file of the cache, made once.

There are as many as real clips that train. Their conditions are drawn from those of the same real
clips, and they are the same for all shares and for both kinds of `conditions`: shuffled ones have
the same labels in another order.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import torch
from torch import Tensor

from petl import config
from petl.config.augment import is_run_id
from petl.data.cache import Progress, Wanted, stored
from petl.data.load import Synthetic, TaskData
from petl.errors import UserError
from petl.generate import conditions
from petl.generate.fitted import Fitted, fitted_on
from petl.places import Places
from petl.runs.directory import RunDir
from petl.runs.find import any_run, read_task

VERSION = 1
"""Raise it when a generator makes other clips from the same weights and conditions."""
AT_ONCE = 16


def synthetic_clips(
    task: config.Task, data: TaskData, places: Places, seed: int, progress: Progress | None = None
) -> Synthetic | None:
    """For a task with `augment`; None where none of an epoch's clips would be synthetic."""
    augment, train = task.augment, data.split.train
    assert augment is not None
    if augment.of(len(train)) == 0:
        return None
    fitted = Fitted.load(_run(augment.generator, places))
    _refuse_others(fitted, task, data)
    known = conditions.vectors(task.dataset, data.targets[train])
    asked = conditions.drawn(known, task.dataset, len(train), seed)
    cached = stored(_wanted(fitted, asked, places, seed), progress)
    if not np.isfinite(cached.clips["mean"]).all():
        raise UserError(f"{fitted.run.path}: this generator makes clips that are not finite")
    targets = conditions.as_targets(task.dataset, asked).astype(data.targets.dtype)
    if augment.conditions == "shuffled":
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed + 1))
        targets = targets[order.numpy()]
    return Synthetic(cached.inputs, targets, cached.key)


def _run(generator: str, places: Places) -> RunDir:
    run = any_run(generator, places.runs) if is_run_id(generator) else None
    if run is None:
        raise UserError(
            f"augment.generator: {places.runs} has no run {generator}; fit the generator first: "
            "submit the study that it is of"
        )
    # before networks of the size that somebody may have written there are built
    if (found := read_task(run).run_id) != generator:
        raise UserError(f"augment.generator {_named(run)}: its task.json is of run {found}")
    return run


def _named(run: RunDir) -> str:
    return f"{run.path.parent.name}/{run.path.name}"


def _refuse_others(fitted: Fitted, task: config.Task, data: TaskData) -> None:
    """A generator that knows other clips than those that train here, or makes others."""
    of, run = fitted.task, fitted.run
    at = f"augment.generator {_named(run)}"
    shape, own = (fitted.space.frames, fitted.space.bins), data.inputs.shape[1:]
    if shape != own or of.dataset.front_end != task.dataset.front_end:
        kinds = [one.dataset.front_end.kind for one in (of, task)]
        raise UserError(
            f"{at} makes {shape[0]} frames of {shape[1]} bins for front end '{kinds[0]}'; "
            f"this run reads {own[0]} frames of {own[1]} bins of front end '{kinds[1]}'"
        )
    clips = [data.names[index] for index in data.split.train]
    columns = conditions.names(task.dataset, data.classes)
    if fitted.fitted_on != fitted_on(task.dataset, clips) or fitted.names != columns:
        raise UserError(
            f"{at} is fitted to other clips than those that train here: to those of "
            f"{of.names.dataset}, fold {of.fold}, seed {of.seed}; this run is of "
            f"{task.names.dataset}, fold {task.fold}, seed {task.seed}"
        )


def _wanted(fitted: Fitted, asked: Tensor, places: Places, seed: int) -> Wanted:
    device = next(fitted.generator.parameters()).device
    is_cpu = device.type == "cpu"
    weights = hashlib.sha256()
    for tensor in fitted.generator.average.state_dict().values():
        weights.update(tensor.cpu().contiguous().numpy().tobytes())
    parts = [
        VERSION,
        torch.__version__,
        "cpu" if is_cpu else torch.cuda.get_device_name(device),
        [fitted.run.path.name, weights.hexdigest(), seed, len(asked)],
        hashlib.sha256(asked.numpy().tobytes()).hexdigest(),
    ]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def compute(some: slice) -> np.ndarray:
        made: np.ndarray = fitted.sample(asked[some], seed + some.start, AT_ONCE).numpy()
        return made

    return Wanted(
        places.cache / "synthetic" / f"{key}.npy",
        (len(asked), fitted.space.frames, fitted.space.bins),
        compute,
        at_once=AT_ONCE,
        workers=None if is_cpu else 1,
    )
