"""What a generator's training ends with: its samples, measured beside real clips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from petl import config
from petl.backbones.families import build_encoder
from petl.backbones.hub import Hub
from petl.data.load import TaskData
from petl.data.ridge import mel_statistics
from petl.generate.conditions import drawn, vectors
from petl.generate.fitted import facts_of
from petl.generate.measures import distances
from petl.generate.measures.embeddings import encoders
from petl.generate.measures.measured import CLIPS, Clips, Measured, measure
from petl.runs.result import Environment, Result, Scores, Timing, new_result
from petl.train.outcome import Outcome, loaded, peak_memory_mb
from petl.train.seeding import derive

if TYPE_CHECKING:
    from petl.train.generators.fit import GeneratorFit

PIECE = 50
"""Samples that are made at a time."""


class Measuring:
    """The clips that no generator is fitted to, and the frozen encoders.

    The backbone is loaded at once, so that one that cannot be loaded ends the run at its start.
    """

    def __init__(self, data: TaskData, task: config.Task, hub: Hub | None):
        self.data, self.task, self.hub = data, task, hub
        dataset = task.dataset
        self.origin = build_encoder(task.backbone, dataset.frames, hub, dataset.front_end).origin
        validation = self.clips("validation")
        validation = validation.drawn(CLIPS, np.random.default_rng(0))
        self.real = mel_statistics(self.data.inputs[validation.rows])

    def clips(self, part: str) -> Clips:
        rows = getattr(self.data.split, part)
        conditions = vectors(self.task.dataset, self.data.targets[rows])
        return Clips(self.data.inputs, rows, conditions.numpy())

    def cheap(self, made: Tensor) -> float:
        """The kernel distance to the validation clips on means and deviations of mel bins."""
        pairs = distances.Pairs.of(self.real, mel_statistics(made.numpy()))
        return distances.kernel_distance(pairs, distances.bandwidth(pairs))

    def whole(self, synthetic: Clips, part: str, device: torch.device) -> Measured:
        statistics, bins = self.data.statistics, self.data.inputs.shape[2]
        judges = encoders(self.task, statistics, bins, device, self.hub)
        known, held_out = self.clips("train"), self.clips(part)
        return measure(synthetic, known, held_out, judges, self.task.dataset, statistics)


def outcome_of(fit: GeneratorFit) -> Outcome:
    """Of the last averaged weights: as many samples as training clips, up to a number."""
    synthetic = _samples(fit, min(CLIPS, len(fit.clips.indices)))
    found = {}
    for name, part in (("test_last", "test"), ("val_best", "validation")):
        found[name] = fit.measuring.whole(synthetic, part, fit.device)
        fit.watcher.batch()
    test = found["test_last"]
    scores: Scores = test.scores
    outcome = Outcome(
        {"test_last": scores, "test_best": scores, "val_best": found["val_best"].scores},
        best_epoch=fit.epoch - 1,
        epochs=fit.epoch - 1,
        confusion={},
        per_class={},
        weights=dict(fit.generator.average.state_dict()),
        outputs={},
    )
    outcome.floors = {"real": test.floor}
    outcome.intervals = {
        "test_last": {name: list(ends) for name, ends in test.intervals.items()},
        "real": {name: list(ends) for name, ends in test.floor_intervals.items()},
    }
    return outcome


def _samples(fit: GeneratorFit, number: int) -> Clips:
    task, made = fit.task, []
    seed = derive(task.seed, task.fold, "conditions")
    conditions = drawn(fit.clips.conditions, task.dataset, number, seed)
    for piece, asked in enumerate(conditions.split(PIECE)):
        made.append(fit.generator.sample(asked, derive(task.seed, task.fold, "samples", piece)))
        fit.watcher.batch()
    return Clips.of(torch.cat(made).numpy(), conditions.numpy())


def result_of(
    fit: GeneratorFit, outcome: Outcome, *, frozen: str, timing: Timing, environment: Environment
) -> Result:
    statistics, clips = fit.data.statistics, fit.clips
    trained = sum(p.numel() for p in fit.generator.networks.parameters())
    return new_result(
        fit.task,
        classes=fit.data.classes,
        statistics=statistics.model_dump() if statistics else None,
        clips={part: len(found) for part, found in vars(fit.data.split).items()},
        floors=outcome.floors,
        intervals=outcome.intervals,
        generator=facts_of(clips.space, clips.ranges, clips.digest, fit.trained_s),
        params={"trainable": trained, "trainable_without_head": trained, "total": trained},
        metrics=outcome.metrics,
        confusion=outcome.confusion,
        best_epoch=outcome.best_epoch,
        epochs=outcome.epochs,
        timing=timing,
        peak_memory_mb=peak_memory_mb(fit.device),
        backbone=loaded(fit.measuring.origin),
        environment=environment,
    )
