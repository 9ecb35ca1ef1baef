"""Can every clip of a dataset be decoded to its end?"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from petl.config import Dataset
from petl.config.front_end import RATE
from petl.config.published import PUBLISHED, Published
from petl.data.cache import Progress
from petl.data.corpus import Clip, Corpus
from petl.data.decode import blocks, ends_early, opened, read
from petl.data.features import WINDOW, Recipe, fbank
from petl.errors import UserError

WINDOW_S = WINDOW / RATE


@dataclass(frozen=True)
class Decoded:
    """What decoding a clip showed: either a problem or the rest."""

    clip: Clip
    problem: str = ""
    """Why no run can read it."""
    samples: int = 0
    announced: int = 0
    """Samples, as the header says."""
    rate: int = 0
    channels: int = 0
    format: str = ""
    is_silent: bool = False
    digest: bytes = b""

    @property
    def seconds(self) -> float:
        return self.samples / self.rate

    @property
    def ends_early(self) -> bool:
        return ends_early(self.samples, self.announced)


@dataclass(frozen=True)
class Report:
    dataset: Dataset
    corpus: Corpus
    clips: tuple[Decoded, ...]

    @property
    def broken(self) -> list[Decoded]:
        return [clip for clip in self.clips if clip.problem]

    @property
    def intact(self) -> list[Decoded]:
        return [clip for clip in self.clips if not clip.problem]

    @property
    def published(self) -> Published | None:
        """Of DEAM, the excerpts."""
        deam = self.dataset.deam
        if self.dataset.layout == "deam" and (
            self.dataset.split in ("held-out", "given") or (deam and deam.songs == "all")
        ):
            return None
        return PUBLISHED.get(self.dataset.corpus)

    def cut_and_padded(self) -> tuple[int, int]:
        """How many clips are longer, how many shorter, than a model's input: by over a window."""
        spare = [clip.seconds - self.dataset.seconds for clip in self.intact]
        return sum(s > WINDOW_S for s in spare), sum(s < -WINDOW_S for s in spare)

    def examples(self, most: int) -> list[tuple[str, np.ndarray]]:
        """A clip of each class, as a model sees it before padding; any clips of a regression."""
        chosen: dict[str, Clip] = {}
        for clip in (decoded.clip for decoded in self.intact):
            classes = self.corpus.classes
            labels = self.corpus.labels_of(clip)
            for name in [classes[label] for label in labels] if classes else [clip.file]:
                chosen.setdefault(name, clip)
        recipe = Recipe.of(self.dataset, "spectrogram")
        return [(name, self._example(clip, recipe)) for name, clip in sorted(chosen.items())[:most]]

    def _example(self, clip: Clip, recipe: Recipe) -> np.ndarray:
        if recipe.front_end.kind != "ast":
            return recipe(clip.path)
        return fbank(read(clip.path, recipe.channel, recipe.samples))


def check(dataset: Dataset, corpus: Corpus, progress: Progress | None = None) -> Report:
    """Decode every clip. More threads than cores, because some of them wait for a disk."""
    clips = []
    pool = ThreadPoolExecutor(2 * len(os.sched_getaffinity(0)))
    try:
        for clip in pool.map(decode, corpus.clips):
            clips.append(clip)
            if progress:
                progress(len(clips), len(corpus.clips))
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt does not wait for the clips in the queue
    return Report(dataset, corpus, tuple(clips))


def decode(clip: Clip) -> Decoded:
    """Refuse what a run would refuse, but decode the whole clip, where a run may stop earlier."""
    try:
        with opened(clip.path) as sound:
            rate, channels, kind = sound.samplerate, sound.channels, sound.format
            announced = sound.frames
            samples, silent = 0, True
            for block in blocks(clip.path, sound, dtype="float32"):
                samples, silent = samples + len(block), silent and not block.any()
    except UserError as error:
        return Decoded(clip, problem=str(error).removeprefix(f"{clip.path}: "))
    digest = hashlib.blake2b(clip.path.read_bytes(), digest_size=16).digest()
    return Decoded(clip, "", samples, announced, rate, channels, kind, silent, digest)
