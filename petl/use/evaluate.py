"""Measure a trained run again on a part of its split, from the dataset's files to the metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from petl.config import Dataset
from petl.config.kinds import NUMBERS, ONE_LABEL, SEVERAL_LABELS
from petl.data.corpus import Clip
from petl.data.load import load, read, songs_of, targets_of
from petl.data.ranking import roc_auc
from petl.data.splits import split
from petl.errors import UserError
from petl.places import Places
from petl.runs.confusion import per_class
from petl.train.metrics import objective
from petl.use.load import LoadedRun
from petl.use.predict.combine import Combine, combined
from petl.use.predict.ensemble import Ensemble
from petl.use.predict.groups import by_column, groups_of
from petl.use.predict.predict import How, predict

RECORDED = {"test": "test_{weights}", "validation": "val_{weights}", "train": ""}
"""Where result.json has the metrics of each part."""


@dataclass(frozen=True)
class Together:
    """What is known of an ensemble beside its metrics."""

    runs: tuple[str, ...]
    combine: Combine
    alone: float
    """The mean of the headline metric over its runs, each alone on its clips."""
    interval: tuple[float, float] | None
    """Of the accuracy, 95 %."""

    def to_json(self) -> dict[str, Any]:
        return {"runs": list(self.runs), "combine": self.combine, "alone": self.alone} | (
            {"interval": list(self.interval)} if self.interval else {}
        )


@dataclass(frozen=True)
class Outputs:
    """A row of outputs and of targets for each clip."""

    folder: Path
    """The corpus's."""
    clips: list[Clip]
    outputs: Tensor
    targets: np.ndarray
    songs: np.ndarray | None


@dataclass(frozen=True)
class Evaluation:
    """`confusion` has a row for each true class and a column for each predicted class."""

    run: LoadedRun
    part: str
    clips: int
    metrics: dict[str, float]
    confusion: list[list[int]] | None
    recorded: dict[str, float] | None
    """The metrics that training recorded for the same weights and clips."""
    auc: tuple[float | None, ...] = ()
    """The area under the ROC curve of each class against all others."""
    precision: tuple[tuple[float | None, int], ...] = ()
    """Of each class its average precision and clips, where a clip can have several labels."""
    top: tuple[int, float] | None = None
    """k, and the accuracy among the k most probable classes."""
    groups: int | None = None
    together: Together | None = None
    """Of an ensemble; `run` is then the first of its runs."""

    @property
    def mean_auc(self) -> float | None:
        known = [area for area in self.auc if area is not None]
        return fmean(known) if known else None

    def per_class(self) -> list[dict[str, float]]:
        return per_class(self.confusion) if self.confusion else []

    def to_json(self, with_classes: bool) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "run_id": self.run.task.run_id,
            "split": self.part,
            "weights": self.run.weights,
            "epoch": self.run.epoch,
            "clips": self.clips,
            "metrics": self.metrics,
            "recorded": self.recorded,
        }
        if self.together is not None:
            facts = self.together.to_json() | {n: facts[n] for n in ("split", "clips", "metrics")}
        if self.groups is not None:
            facts["groups"] = self.groups
        if self.auc:
            facts["roc_auc"] = self.mean_auc
        if self.top:
            facts[f"top_{self.top[0]}_accuracy"] = self.top[1]
        if with_classes and self.auc and not self.confusion:
            of_classes = zip(self.run.names, self.auc, self.precision, strict=True)
            facts["classes"] = [
                {"class": name, "average_precision": mean, "roc_auc": area, "support": clips}
                for name, area, (mean, clips) in of_classes
            ]
        if with_classes and self.confusion:
            scores = zip(self.run.names, self.per_class(), self.auc, strict=True)
            facts["classes"] = [
                {"class": name} | row | {"roc_auc": area} for name, row, area in scores
            ]
            facts["confusion"] = self.confusion
        return facts


@dataclass(frozen=True)
class Way:
    """How to evaluate, other than in training."""

    whole: How | None = None
    """Hear all of each file, in windows."""
    group: str = ""
    """One answer for several files: a pattern, TABLE.csv:COLUMN, or a column of the dataset."""
    combine: Combine = "mean"
    top: int | None = None


def evaluate(run: LoadedRun, places: Places, part: str, way: Way | None = None) -> Evaluation:
    """Without a `way` as in training: on the same machine, the bits are the same."""
    way = way or Way()
    found = measured(run, part, outputs_of(run, places, part, way), way)
    name = RECORDED[part].format(weights=run.weights)
    recorded = run.result["metrics"].get(name) if run.result and not way.group else None
    return replace(found, recorded=recorded)


def outputs_of(run: LoadedRun, places: Places, part: str, way: Way) -> Outputs:
    dataset = _of_whole_files(run.task.dataset) if way.whole else run.task.dataset
    corpus = read(dataset, places)
    indices = getattr(split(corpus, dataset, run.task.fold, run.task.seed), part)
    clips = [corpus.clips[index] for index in indices]
    outputs = _whole(run, clips, way.whole) if way.whole else _as_in_training(run, indices, places)
    targets, songs = targets_of(corpus, dataset)[indices], songs_of(corpus)
    return Outputs(
        corpus.folder, clips, outputs, targets, None if songs is None else songs[indices]
    )


def measured(run: LoadedRun, part: str, found: Outputs, way: Way) -> Evaluation:
    outputs, targets, songs = found.outputs, found.targets, found.songs
    if way.group:
        outputs, targets = _grouped(run, found.folder, found.clips, outputs, targets, way)
        songs = None
    measure, truth = objective(run.task), torch.from_numpy(targets).to(run.device)
    outputs = outputs.to(run.device)
    of_classes = measure.per_class(outputs, truth) or {"average_precision": [], "clips": []}
    return Evaluation(
        run,
        part,
        len(found.clips),
        measure.measure(outputs, truth, songs),
        measure.confusion(outputs, truth),
        recorded=None,
        auc=_auc(run, outputs, targets),
        precision=tuple(zip(of_classes["average_precision"], of_classes["clips"], strict=True)),
        top=_top(run, outputs, targets, way.top),
        groups=len(targets) if way.group else None,
    )


def _of_whole_files(dataset: Dataset) -> Dataset:
    """Each recording is heard once, not once for each of its windows."""
    if dataset.split == "windows-at-random":
        raise UserError(
            "--whole hears whole recordings, and 'split: windows-at-random' has windows of each on "
            "all sides; leave --whole out"
        )
    return dataset.model_copy(update={"windows": None})


def _as_in_training(run: LoadedRun, indices: np.ndarray, places: Places) -> Tensor:
    """From the cache, in batches of the same size."""
    inputs, size = load(run.task, places).inputs, run.task.train.batch_size
    batches = (indices[start : start + size] for start in range(0, len(indices), size))
    return torch.cat([run.outputs(inputs[batch]) for batch in batches])


def _whole(run: LoadedRun, clips: Sequence[Clip], how: How) -> Tensor:
    answers = []
    for prediction in predict(Ensemble((run,)), [clip.path for clip in clips], how):
        if prediction.error:
            raise UserError(f"{prediction.file}: {prediction.error}")
        answers.append(prediction.values)
    return as_outputs(run, torch.tensor(answers, dtype=torch.float64))


def as_outputs(run: LoadedRun, answers: Tensor) -> Tensor:
    """Outputs of a model that would give these answers."""
    if run.task.kind is SEVERAL_LABELS:
        return answers.logit(eps=1e-12)
    if not run.classes:
        scale = run.task.dataset.scale
        return scale.of(answers) if scale else answers
    return answers.clamp_min(1e-12).log()


def _grouped(
    run: LoadedRun,
    folder: Path,
    clips: Sequence[Clip],
    outputs: Tensor,
    targets: np.ndarray,
    way: Way,
) -> tuple[Tensor, np.ndarray]:
    """An answer and a target for each group of clips."""
    files, table = [clip.path for clip in clips], run.task.dataset.table
    if table and not {"(", ":"} & set(way.group):
        groups = by_column(folder / table.file, way.group, table.path, folder, files)
    else:
        groups = groups_of(way.group, files)
    members: dict[str, list[int]] = {}
    for index, file in enumerate(files):
        members.setdefault(groups[file], []).append(index)
    answers = run.answers(outputs.double()).cpu().numpy()
    kind = run.task.kind
    for name, of_group in members.items():
        if kind is not NUMBERS and (targets[of_group] != targets[of_group[0]]).any():
            raise UserError(f"--group {way.group!r}: the clips of {name!r} have different labels")
    together = [combined(answers[of_group], way.combine, kind) for of_group in members.values()]
    if kind is NUMBERS:
        truth = [targets[of_group].mean(axis=0) for of_group in members.values()]
    else:
        truth = [targets[of_group[0]] for of_group in members.values()]
    return as_outputs(run, torch.from_numpy(np.stack(together))), np.stack(truth)


def _auc(run: LoadedRun, outputs: Tensor, targets: np.ndarray) -> tuple[float | None, ...]:
    """Of each class against all others; None where one side has no clips."""
    if not run.classes:
        return ()
    answers = run.answers(outputs.double()).cpu().numpy()
    several = run.task.kind is SEVERAL_LABELS
    truth = targets if several else targets[:, None] == np.arange(len(run.classes))
    areas = [roc_auc(*pair) for pair in zip(truth.T, answers.T, strict=True)]
    return tuple(None if math.isnan(area) else area for area in areas)


def _top(
    run: LoadedRun, outputs: Tensor, targets: np.ndarray, k: int | None
) -> tuple[int, float] | None:
    """The share of clips whose class is among the k most probable, equal ones by label."""
    if k is None:
        return None
    if run.task.kind is not ONE_LABEL:
        raise UserError("--top counts clips with one label each; this dataset is another kind")
    best = np.argsort(-outputs.cpu().numpy(), axis=1, kind="stable")[:, :k]
    return k, float((best == targets[:, None]).any(axis=1).mean())
