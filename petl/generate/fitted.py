"""A finished run of a generator, ready to sample."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from petl import config
from petl.backbones.naming import fill
from petl.backbones.tensor_file import read_tensors
from petl.errors import UserError
from petl.generate.base import Generator, Space
from petl.generate.build import build
from petl.generate.conditions import Ranges
from petl.runs import gpus
from petl.runs.directory import RunDir
from petl.runs.find import read_task
from petl.runs.result import GeneratorFacts

HEADER = 1_000_000
"""The most bytes of a weights file beside its numbers."""
NOT_OF_CLIPS = {
    *("folds", "split", "ratio", "group", "every", "few_shot"),
    *("statistics", "spec_augment"),
}
"""Settings of a dataset that choose clips, which their names say, or change no raw spectrogram."""


def fitted_on(dataset: config.Dataset, clips: Iterable[str]) -> str:
    """A digest of raw spectrograms and labels: the dataset's settings, and which clips train.

    A generator knows these clips and no others. Whoever trains on its samples compares the digest
    with that of the clips that train there.
    """
    settings = dataset.model_dump(mode="json", exclude=NOT_OF_CLIPS, exclude_defaults=True)
    text = json.dumps([settings, sorted(clips)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Fitted:
    run: RunDir
    task: config.Task
    generator: Generator
    """With the averaged weights, on the GPU if there is one."""
    ranges: Ranges
    """Over the training clips, by the name of each condition, in order."""
    fitted_on: str

    @classmethod
    def load(cls, run: RunDir) -> Fitted:
        """Of a run that is done; anything else is refused."""
        task = read_task(run)
        if task.generator is None:
            raise UserError(f"{run.path}: this run is no generator")
        result = run.result()
        if result is None:
            raise UserError(f"{run.path}: this generator is not fitted to its end: {_why(run)}")
        if (facts := result.get("generator")) is None:
            raise UserError(f"{run.result_file}: it does not say what the generator was fitted to")
        space = _space(facts, task, run)
        generator = build(task.generator, space)
        _fill(generator, run)
        ends = {
            name: (float(low), float(high)) for name, (low, high) in facts["conditions"].items()
        }
        return cls(run, task, generator.to(gpus.device()), ends, str(facts["fitted_on"]))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the conditions."""
        return tuple(self.ranges)

    @property
    def space(self) -> Space:
        return self.generator.space

    def sample(self, conditions: Tensor, seed: int, batch: int = 16) -> Tensor:
        """A raw spectrogram (frames, bins) for each row, on the CPU; `batch` changes rounding."""
        return self.generator.sample(conditions, seed, batch)


def _why(run: RunDir) -> str:
    """A run that failed says itself what to do; any other one only has to go on."""
    state = run.state()
    reason = f" ({state.reason})" if state.reason else ""
    again = "" if state.kind == "failed" else "; submit its study to continue it"
    return f"{state.kind}{reason}{again}"


def facts_of(space: Space, ranges: Ranges, digest: str, seconds: float) -> GeneratorFacts:
    """What result.json says of a generator."""
    return {
        "space": {field.name: getattr(space, field.name) for field in fields(space)},
        "conditions": {name: list(ends) for name, ends in ranges.items()},
        "fitted_on": digest,
        "seconds": seconds,
    }


def _space(facts: Mapping[str, Any], task: config.Task, run: RunDir) -> Space:
    """Somebody else may have written result.json: what is not of this task is refused."""
    known, dataset = facts["space"], task.dataset
    sizes = {"frames": dataset.frames, "bins": dataset.bins, "conditions": dataset.outputs}
    numbers = [value for ends in facts["conditions"].values() for value in ends]
    if (
        known.keys() != {field.name for field in fields(Space)}
        or any(known[name] != size for name, size in sizes.items())
        or any(len(ends) != 2 for ends in facts["conditions"].values())
        or len(facts["conditions"]) != dataset.outputs
        or (dataset.targets and tuple(facts["conditions"]) != dataset.targets)
        or not all(map(math.isfinite, [*known.values(), *numbers]))
        or known["deviation"] <= 0
    ):
        raise UserError(f"{run.result_file}: its generator does not fit the task beside it")
    return Space(**{**known, **sizes})


def _fill(generator: Generator, run: RunDir) -> None:
    """Give a new generator the run's averaged weights."""
    own = generator.average.state_dict()
    most = HEADER + sum(tensor.numel() * tensor.element_size() for tensor in own.values())
    with run.at_hand(run.weights_file.name) as file:
        if not file.is_file():
            raise UserError(f"{run.path}: this run kept no weights, so it makes no samples")
        if file.stat().st_size > most:
            raise UserError(f"{file}: larger than the weights of the task beside it")
        tensors = read_tensors(file)
        fill(own, tensors, f"{file}: these weights do not fit the task beside them")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in own.values()):
        raise UserError(f"{file}: these weights are not all finite")
