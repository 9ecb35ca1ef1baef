"""Data for a task: the corpus read, what a model reads of it cached, its clips split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from petl.config import Dataset, Statistics, Task
from petl.data.cache import Progress, cached_inputs
from petl.data.corpus import Corpus
from petl.data.downloads import DOWNLOADS
from petl.data.features import Form, Recipe, form_of
from petl.data.layouts import (
    esc50,
    fluent_speech_commands,
    folders,
    iemocap,
    speech_commands,
    table,
    urbansound8k,
)
from petl.data.made import quickstart as sounds
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
    """For features.normalise(raw, statistics); None for waveforms, which are ready as they are."""


def load(task: Task, places: Places, progress: Progress | None = None) -> TaskData:
    dataset, form = task.dataset, form_of(task.backbone)
    corpus = read(dataset, places)
    parts = split(corpus, dataset, task.fold, task.seed)  # its complaints come before the waiting
    cached = cached_inputs(corpus.clips, _recipe(dataset, form), places.cache, progress)
    statistics: Statistics | None
    if form == "waveform":
        statistics = None
    elif dataset.statistics == "training-split":
        statistics = pooled(cached.clips[parts.train])
    else:
        statistics = dataset.statistics
    return TaskData(cached.inputs, corpus.targets, parts, corpus.classes, statistics)


def prepare(
    dataset: Dataset,
    places: Places,
    progress: Progress | None = None,
    form: Form = "spectrogram",
) -> tuple[Corpus, np.ndarray]:
    """Corpus and inputs. Worth calling once before many tasks start at the same time."""
    corpus = read(dataset, places)
    recipe = _recipe(dataset, form)
    return corpus, cached_inputs(corpus.clips, recipe, places.cache, progress).inputs


def read(dataset: Dataset, places: Places) -> Corpus:
    return READERS[dataset.layout](folder_of(dataset, places), dataset)


def folder_of(dataset: Dataset, places: Places) -> Path:
    """Where the corpus is. Made sounds are made, all others are asked for."""
    folder = places.data / dataset.corpus
    if dataset.corpus == sounds.NAME:
        sounds.make_corpus(folder)
    if not folder.is_dir():
        raise UserError(_missing(folder, dataset))
    return folder


def pooled(clips: np.ndarray) -> Statistics:
    """Mean and std over all that the network will see of these clips, their padding included."""
    mean, square = clips["mean"].mean(), clips["square"].mean()
    return Statistics(mean=float(mean), std=float(np.sqrt(square - mean**2)))


def _recipe(dataset: Dataset, form: Form) -> Recipe:
    return Recipe(dataset.frames, form, dataset.channel)


def _missing(folder: Path, dataset: Dataset) -> str:
    nearest = next(parent for parent in folder.parents if parent.is_dir())
    folders = sorted(entry.name for entry in nearest.iterdir() if entry.is_dir())
    inside = ", ".join([name for name in folders if not name.startswith(".")][:8])
    get = f", petl data fetch {dataset.corpus} downloads it" if dataset.corpus in DOWNLOADS else ""
    return (
        f"{folder}: no such folder; {dataset.corpus} in its {dataset.layout} layout belongs there, "
        f"--data or PETL_DATA moves it{get}. {nearest} holds {inside or 'no folder'}"
    )
