"""`train.frozen: cached`: what no epoch changes is computed once for each clip, and kept.

It is a file of the cache (petl/data/cache.py), named by a digest of the backbone's weights and
settings, the inputs' key, their statistics and the versions. So every epoch, fold, seed and method
with the same frozen part reads one file. It does not depend on the batch size or the number of
cores: always the same clips go together, on a CPU through one thread.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from petl import config
from petl.data.cache import Progress, Wanted, stored
from petl.data.features import normalise
from petl.data.load import TaskData
from petl.errors import UserError
from petl.model.build import Model, Reads
from petl.model.frozen import digest, frozen_up_to, output
from petl.train.loop import autocast

VERSION = 1
"""Raise it when an encoder computes something else with the same weights and settings."""
GIGABYTES = 20.0
AT_ONCE = {"cpu": 4, "cuda": 16}
"""Always as many clips together, because another number rounds differently."""


def compute_once(
    model: Model, data: TaskData, task: config.Task, cache: Path, progress: Progress
) -> tuple[TaskData, str]:
    """The data that the rest of the model reads, and a line on what was done, for log and result.

    If something is in the way, the data is as before, and the line says what.
    """
    if task.objective is not None:
        return data, "off: pre-training trains the whole encoder"
    reads = frozen_up_to(model)
    if why := _in_the_way(task, reads):
        return data, f"off: {why}"
    model.eval()
    device = next(model.parameters()).device
    shape = tuple(_compute(model, data, task, reads, slice(0, 1)).shape)
    wanted = Wanted(
        cache / "frozen" / f"{_key(model, data, task, reads)}.npy",
        (len(data.inputs), *shape[1:]),
        lambda some: _compute(model, data, task, reads, some),
        at_once=AT_ONCE[device.type],
        workers=None if device.type == "cpu" else 1,
    )
    if not wanted.file.exists() and (why := _no_room(wanted)):
        return data, f"off: {why}"
    cached = stored(wanted, progress)
    model.reads = reads
    what = "the mean of the last tokens" if reads == "mean" else _tokens(reads, model)
    own = ""
    if data.statistics is not None and task.dataset.statistics == "training-split":
        own = "; for this fold alone, because dataset.statistics is training-split"
    line = f"{what} of {len(cached.inputs)} clips, {wanted.megabytes:,.1f} MB, {cached.key}{own}"
    return replace(data, inputs=cached.inputs, statistics=None, key=cached.key), line


def told(progress: Progress, log: Callable[[str], None]) -> Progress:
    """The same, and a line for each tenth: a large encoder takes a while on a CPU."""

    def both(done: int, clips: int) -> None:
        progress(done, clips)
        if 0 < done < clips and done * 10 // clips > (done - 1) * 10 // clips:
            log(f"train.frozen: {done} of {clips} clips computed")

    return both


def _tokens(layer: int, model: Model) -> str:
    count = len(model.backbone.layers)
    return f"the tokens before layer {layer}" if layer < count else "the tokens after all layers"


def _in_the_way(task: config.Task, reads: Reads) -> str:
    if task.dataset.spec_augment is not None:
        return "dataset.spec_augment masks other parts in each epoch"
    if task.train.mixup is not None:
        return "train.mixup mixes other clips in each epoch"
    if task.augment is not None:
        return "augment.generator's clips are other ones in each run"
    if reads == "clips" and getattr(task.backbone, "dropout", "none") != "none":
        return "backbone.dropout drops other parts in each step"
    if reads == "clips":
        return "the method trains from the embeddings on"
    if reads == 0 and task.backbone.form == "spectrogram":
        return "the method trains from the first layer on; the embeddings below it cost little"
    return ""


def _compute(
    model: Model, data: TaskData, task: config.Task, reads: Reads, some: slice
) -> np.ndarray:
    device = next(model.parameters()).device
    x = torch.from_numpy(np.array(data.inputs[some])).to(device)
    with autocast(task.train.precision, device):
        h = output(model, x if data.statistics is None else normalise(x, data.statistics), reads)
    return h.float().cpu().numpy()


def _key(model: Model, data: TaskData, task: config.Task, reads: Reads) -> str:
    device = next(model.parameters()).device
    settings = [
        VERSION,
        [torch.__version__, np.__version__],
        torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        [task.backbone.family, task.train.precision],
        data.key,
        data.statistics.model_dump() if data.statistics else None,
        digest(model, reads),
    ]
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:32]


def _no_room(wanted: Wanted) -> str:
    """Why the file may not be written: a cache of tokens can be far larger than its clips."""
    folder = wanted.file.parent
    have = sum(file.stat().st_size for file in folder.glob("*.npy")) / 1e6 if folder.exists() else 0
    limit = _limit()
    if have + wanted.megabytes > 1000 * limit:
        return (
            f"{wanted.megabytes:,.1f} MB more would be over PETL_FROZEN_GB={limit:g} for {folder}, "
            f"which has {have:,.1f} MB"
        )
    there = next(path for path in folder.parents if path.exists())
    free = shutil.disk_usage(there).free / 1e6
    if free < wanted.megabytes:
        return f"{folder}: {free:,.1f} MB free, {wanted.megabytes:,.1f} MB needed"
    return ""


def _limit() -> float:
    text = os.environ.get("PETL_FROZEN_GB", "")
    try:
        limit = float(text or GIGABYTES)
    except ValueError:
        limit = math.nan
    if not limit >= 0:
        raise UserError(f"PETL_FROZEN_GB should be a number of gigabytes, not '{text}'")
    return limit
