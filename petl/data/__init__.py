"""Data for a task: the corpus read, its spectrograms cached, its clips split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from petl.config import Dataset, Statistics, Task
from petl.data import (
    esc50,
    fluent_speech_commands,
    folders,
    iemocap,
    sounds,
    speech_commands,
    table,
    urbansound8k,
)
from petl.data.cache import Progress, spectrograms
from petl.data.corpus import Corpus
from petl.data.splits import Split, split
from petl.errors import UserError
from petl.places import Places

READERS: dict[str, Callable[[Path, Dataset], Corpus]] = {
    "esc50": esc50.read,
    "urbansound8k": urbansound8k.read,
    "speech-commands": speech_commands.read,
    "fluent-speech-commands": fluent_speech_commands.read,
    "iemocap": iemocap.read,
    "folders": folders.read,
    "table": table.read,
}


@dataclass(frozen=True)
class TaskData:
    inputs: np.ndarray
    """Raw spectrograms (clips, frames, 128), or waveforms (clips, samples), ready for the model.

    A read-only memory map: indexing it with an array copies.
    """
    targets: np.ndarray
    """Labels (clips,), or a regression's numbers (clips, targets)."""
    split: Split
    classes: tuple[str, ...]
    """By label; empty for a regression."""
    statistics: Statistics | None
    """For features.normalise(raw, statistics); None for waveforms, which need none."""


def load(task: Task, places: Places, progress: Progress | None = None) -> TaskData:
    corpus, raw = prepare(task.dataset, places, progress)
    parts = split(corpus, task.dataset, task.fold, task.seed)
    statistics = task.dataset.statistics
    if statistics == "training-split":
        statistics = measure(raw, parts.train)
    return TaskData(raw, corpus.targets, parts, corpus.classes, statistics)


def prepare(
    dataset: Dataset, places: Places, progress: Progress | None = None
) -> tuple[Corpus, np.ndarray]:
    """Corpus and spectrograms. Worth calling once before many tasks start at the same time."""
    folder = places.data / dataset.corpus
    if dataset.corpus == sounds.NAME:
        sounds.make_corpus(folder)
    if not folder.is_dir():
        raise UserError(_missing(folder, dataset))
    corpus = READERS[dataset.layout](folder, dataset)
    return corpus, spectrograms(corpus.clips, dataset.frames, places.cache, progress)


def measure(raw: np.ndarray, indices: np.ndarray) -> Statistics:
    """Mean and std over all that the network will see of these clips, their padding included.

    Clip by clip in float64: the training split of a large corpus need not fit in memory.
    """
    clips = (raw[index].astype(np.float64) for index in indices)
    moments = np.array([(clip.mean(), np.square(clip).mean()) for clip in clips])
    mean, square = moments.mean(axis=0)
    return Statistics(mean=float(mean), std=float(np.sqrt(square - mean**2)))


def _missing(folder: Path, dataset: Dataset) -> str:
    nearest = next(parent for parent in folder.parents if parent.is_dir())
    folders = sorted(entry.name for entry in nearest.iterdir() if entry.is_dir())
    inside = ", ".join([name for name in folders if not name.startswith(".")][:8])
    return (
        f"{folder}: no such folder; {dataset.corpus} in its {dataset.layout} layout belongs there, "
        f"--data or PETL_DATA moves it. {nearest} holds {inside or 'no folder'}"
    )
