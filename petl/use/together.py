"""Runs of a study evaluated as an ensemble: those that have the same clips answer together.

In a cross-validation every fold has its own clips, so the seeds or methods of a fold answer
together, and the clips of all folds are measured as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np
import torch

from petl.config.kinds import ONE_LABEL
from petl.data.corpus import Clip
from petl.errors import UserError
from petl.places import Places
from petl.train.metrics import objective
from petl.use.evaluate import (
    Evaluation,
    Outputs,
    Together,
    Way,
    as_outputs,
    measured,
    outputs_of,
)
from petl.use.load import LoadedRun
from petl.use.predict.combine import Combine, combined
from petl.use.predict.ensemble import Ensemble

DRAWS = 2000
"""Of the bootstrap."""
SameClips = dict[tuple[str, ...], list[int]]
"""The runs, by number, that have these clips."""


def evaluate_together(ensemble: Ensemble, places: Places, part: str, way: Way) -> Evaluation:
    of_runs = [outputs_of(run, places, part, way) for run in ensemble.runs]
    return joined(ensemble, of_runs, part, way)


def both_ways(ensemble: Ensemble, places: Places, part: str, way: Way) -> list[Evaluation]:
    """With the mean probability and with a vote; numbers are only averaged."""
    of_runs = [outputs_of(run, places, part, way) for run in ensemble.runs]
    hows: tuple[Combine, ...] = ("mean", "vote") if ensemble.classes else ("mean",)
    return [joined(ensemble, of_runs, part, replace(way, combine=how)) for how in hows]


def joined(ensemble: Ensemble, of_runs: Sequence[Outputs], part: str, way: Way) -> Evaluation:
    ensemble.check("mean", way.combine)
    same: SameClips = {}
    for number, found in enumerate(of_runs):
        same.setdefault(tuple(clip.name for clip in found.clips), []).append(number)
    _refuse_others(same, ensemble.runs, part)
    first, kind = ensemble.runs[0], ensemble.kind
    answers = [
        combined(of_clip, way.combine, kind)
        for numbers in same.values()
        for of_clip in np.stack([_answers(first, of_runs[i]) for i in numbers], axis=1)
    ]
    parts = [of_runs[numbers[0]] for numbers in same.values()]
    whole = Outputs(
        parts[0].folder,
        [clip for found in parts for clip in found.clips],
        as_outputs(first, torch.from_numpy(np.stack(answers))),
        np.concatenate([found.targets for found in parts]),
        _joined([found.songs for found in parts]),
    )
    alone = fmean(_headline(run, found) for run, found in zip(ensemble.runs, of_runs, strict=True))
    interval = None
    if kind is ONE_LABEL and not way.group:
        right = whole.outputs.argmax(dim=1).cpu().numpy() == whole.targets
        interval = bootstrap(right, whole.clips)
    together = Together(
        tuple(run.task.run_id for run in ensemble.runs), way.combine, alone, interval
    )
    return replace(measured(first, part, whole, way), together=together)


def _answers(first: LoadedRun, found: Outputs) -> np.ndarray:
    return first.answers(found.outputs.double()).cpu().numpy()


def _headline(run: LoadedRun, found: Outputs) -> float:
    truth = torch.from_numpy(found.targets).to(found.outputs.device)
    scores = objective(run.task).measure(found.outputs, truth, found.songs)
    return scores[run.task.kind.headline]


def _joined(songs: Sequence[np.ndarray | None]) -> np.ndarray | None:
    known = [numbers for numbers in songs if numbers is not None]
    return np.concatenate(known) if known else None


def _refuse_others(same: SameClips, runs: Sequence[LoadedRun], part: str) -> None:
    """Two runs have the same clips or none in common, and some two have the same."""
    owner: dict[str, int] = {}
    for clips, numbers in same.items():
        for clip in clips:
            if (other := owner.setdefault(clip, numbers[0])) != numbers[0]:
                raise UserError(
                    f"{runs[other].path} and {runs[numbers[0]].path}: their {part} clips are not "
                    f"the same, and {clip} is in both; choose one fold with --only fold=N"
                )
    if len(same) == len(runs):
        raise UserError(
            f"{runs[0].path}: no other run has its {part} clips, so none answer together; "
            "use --ensemble all for several methods, or train several seeds"
        )


def bootstrap(right: np.ndarray, clips: Sequence[Clip]) -> tuple[float, float]:
    """95 % of the accuracy, if other recordings or speakers had been tested; clips without groups.

    Clips of one recording are right or wrong together, so whole groups are drawn.
    """
    names = [clip.group or clip.name for clip in clips]
    _, group = np.unique(names, return_inverse=True)
    sizes = np.bincount(group)
    hits = np.bincount(group, weights=right)
    drawn = np.random.default_rng(0).integers(len(sizes), size=(DRAWS, len(sizes)))
    shares = hits[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(shares, (0.025, 0.975))
    return float(low), float(high)
