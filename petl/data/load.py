"""Data for a task: the corpus read, a model's inputs cached, the clips split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from petl.config import Dataset, Statistics, Task
from petl.config.dataset import Form
from petl.config.kinds import NO_LABELS
from petl.data import layouts, windows
from petl.data.cache import Progress, cached_inputs
from petl.data.corpus import Corpus
from petl.data.downloads import DOWNLOADS
from petl.data.features import Recipe
from petl.data.layouts.reading import holds
from petl.data.splits import Split, split
from petl.data.synthetic import deam, mixtures, quickstart
from petl.errors import UserError
from petl.places import Places

MADE = {
    quickstart.NAME: quickstart.make_corpus,
    quickstart.RECORDINGS: quickstart.make_recordings,
    deam.NAME: deam.make_corpus,
    **mixtures.MADE,
}
"""The synthetic corpora by name, and what writes each into a folder."""


@dataclass(frozen=True)
class Synthetic:
    """Clips that a generator made. They train, and do nothing else."""

    inputs: np.ndarray
    """(clips, frames, bins), raw, as those of `TaskData`; a read-only memory map too."""
    targets: np.ndarray
    key: str
    """The name of their file in the cache."""


@dataclass(frozen=True)
class TaskData:
    inputs: np.ndarray
    """Raw spectrograms (clips, frames, bins), or waveforms (clips, samples), ready for the model.

    A read-only memory map: indexing it with an array copies.
    """
    targets: np.ndarray
    """As `Corpus.targets`; numbers as `dataset.scale` says."""
    split: Split
    classes: tuple[str, ...]
    """By label; empty for a regression."""
    statistics: Statistics | None
    """For features.normalise(raw, statistics); None for inputs that are ready as they are:
    waveforms, and those of a front end that normalises each clip by itself."""
    songs: np.ndarray | None = None
    """The number of each clip's song; None if each song is one clip."""
    key: str = ""
    """A digest of all that the inputs depend on: the name of their file in the cache."""
    names: tuple[str, ...] = ()
    """As `Clip.name`."""
    synthetic: Synthetic | None = None

    def __post_init__(self) -> None:
        """Only clips of the corpus are split: a synthetic one would validate or test some model,
        if not this one, and is told by having no name."""
        clips = len(self.names) or len(self.inputs)
        last = max(part.max(initial=-1) for part in vars(self.split).values())
        if not len(self.inputs) == len(self.targets) == clips or last >= clips:
            raise ValueError(
                f"{len(self.inputs)} inputs and {len(self.targets)} targets of {clips} clips: "
                "what is no clip of the corpus may not be split"
            )

    def songs_of(self, clips: np.ndarray) -> np.ndarray | None:
        return None if self.songs is None else self.songs[clips]


def load(task: Task, places: Places, progress: Progress | None = None) -> TaskData:
    dataset, form = task.dataset, task.backbone.form
    corpus = read(dataset, places)
    clips = split(corpus, dataset, task.fold, task.seed)  # if it fails, then before a long wait
    cached = cached_inputs(corpus.clips, Recipe.of(dataset, form), places.cache, progress)
    statistics: Statistics | None
    if form == "waveform" or dataset.statistics == "clip":
        statistics = None
    elif dataset.statistics == "training-split":
        statistics = pooled(cached.clips[clips.train])
    else:
        statistics = dataset.statistics
    targets, songs = targets_of(corpus, dataset), songs_of(corpus)
    classes = () if dataset.kind is NO_LABELS else corpus.classes
    names = tuple(clip.name for clip in corpus.clips)
    return TaskData(cached.inputs, targets, clips, classes, statistics, songs, cached.key, names)


def songs_of(corpus: Corpus) -> np.ndarray | None:
    songs = corpus.songs
    return None if len(np.unique(songs)) == len(songs) else songs


def targets_of(corpus: Corpus, dataset: Dataset) -> np.ndarray:
    """What the model learns."""
    if (scale := dataset.scale) is None:
        return corpus.targets
    return np.asarray(scale.of(corpus.targets.astype(np.float64)), dtype=np.float32)


def prepare(
    dataset: Dataset,
    places: Places,
    progress: Progress | None = None,
    form: Form = "spectrogram",
) -> tuple[Corpus, np.memmap]:
    """Corpus and inputs. Call it once before many tasks start at the same time."""
    corpus = read(dataset, places)
    split(corpus, dataset, 0, seed=0)  # what it refuses, it refuses before hours of computing
    recipe = Recipe.of(dataset, form)
    return corpus, cached_inputs(corpus.clips, recipe, places.cache, progress).inputs


def read(dataset: Dataset, places: Places) -> Corpus:
    """With the windows of its recordings as clips, if the dataset asks for them."""
    corpus = layouts.read(folder_of(dataset, places), dataset)
    return windows.cut(corpus, dataset.windows) if dataset.windows else corpus


def folder_of(dataset: Dataset, places: Places) -> Path:
    """The corpus's folder, which must exist; only synthetic ones are made here."""
    folder = places.data / dataset.corpus
    if make := MADE.get(dataset.corpus):
        make(folder)
    if not folder.is_dir():
        can = dataset.corpus in DOWNLOADS
        download = f"run `petl data fetch {dataset.corpus}`, or " if can else ""
        raise UserError(
            f"{folder}: no such folder; {download}put {dataset.corpus} there in its "
            f"{dataset.layout} layout, or choose another folder with --data or PETL_DATA; "
            f"{holds(folder)}"
        )
    return folder


def pooled(clips: np.ndarray) -> Statistics:
    """Mean and std of all that the network will see of these clips, their padding included."""
    mean, square = clips["mean"].mean(), clips["square"].mean()
    if square <= mean**2:
        raise UserError("no training clip holds sound: all their spectrograms are one number")
    return Statistics(mean=float(mean), std=float(np.sqrt(square - mean**2)))
