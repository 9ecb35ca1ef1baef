"""Is a dataset what its makers published, and can every clip of it be heard to its end?"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from petl.config import Dataset
from petl.config.published import PUBLISHED, Published
from petl.data import features
from petl.data.cache import Progress
from petl.data.corpus import Clip, Corpus, first_few
from petl.errors import UserError

FRAMES_PER_SECOND = features.RATE / features.HOP
WINDOW_S = features.WINDOW / features.RATE


@dataclass(frozen=True)
class Heard:
    """What decoding a clip showed."""

    clip: Clip
    problem: str = ""
    """Why no run can read it."""
    samples: int = 0
    rate: int = 0
    channels: int = 0
    kind: str = ""
    is_silent: bool = False
    digest: bytes = b""

    @property
    def seconds(self) -> float:
        return self.samples / self.rate


@dataclass(frozen=True)
class Checked:
    dataset: Dataset
    corpus: Corpus
    heard: tuple[Heard, ...]

    @property
    def broken(self) -> list[Heard]:
        return [one for one in self.heard if one.problem]

    @property
    def sound(self) -> list[Heard]:
        return [one for one in self.heard if not one.problem]

    @property
    def official(self) -> Published | None:
        return PUBLISHED.get(self.dataset.corpus)

    def cut_and_padded(self) -> tuple[int, int]:
        """How many clips are longer, how many shorter, than what a run takes: by over a window."""
        spare = [one.seconds - self.dataset.frames / FRAMES_PER_SECOND for one in self.sound]
        return sum(s > WINDOW_S for s in spare), sum(s < -WINDOW_S for s in spare)

    def examples(self, most: int) -> list[tuple[str, np.ndarray]]:
        """A clip of each class, as a model sees it before padding; any clips of a regression."""
        chosen: dict[str, Clip] = {}
        for one in self.sound:
            label = one.clip.label
            name = self.corpus.classes[label] if self.corpus.classes else one.clip.file
            chosen.setdefault(name, one.clip)
        frames, channel = self.dataset.frames, self.dataset.channel
        samples = features.WINDOW + (frames - 1) * features.HOP
        return [
            (name, features.fbank(features.read(clip.path, channel, samples)))
            for name, clip in sorted(chosen.items())[:most]
        ]

    def warnings(self) -> list[str]:
        """What a person should know who goes on nevertheless."""
        official = self.official
        return [
            *(differences(self.corpus, official) if official else []),
            *_silence(self.sound),
            *_copies(self.sound),
        ]


def check(dataset: Dataset, corpus: Corpus, progress: Progress | None = None) -> Checked:
    heard = []
    for one in _hear_all(corpus.clips):
        heard.append(one)
        if progress:
            progress(len(heard), len(corpus.clips))
    return Checked(dataset, corpus, tuple(heard))


# --- a clip ---------------------------------------------------------------------------------------


def hear(clip: Clip) -> Heard:
    """Refuses what a run would refuse, and decodes all of it where a run may stop earlier."""
    try:
        with features.opened(clip.path) as sound:
            rate, channels, kind = sound.samplerate, sound.channels, sound.format
            samples = sound.read(dtype="float32", always_2d=True)
        features.refuse_no_sound(clip.path, samples)
    except UserError as error:
        return Heard(clip, problem=str(error).removeprefix(f"{clip.path}: "))
    digest = hashlib.blake2b(clip.path.read_bytes(), digest_size=16).digest()
    return Heard(clip, "", len(samples), rate, channels, kind, not samples.any(), digest)


def _hear_all(clips: Sequence[Clip]) -> Iterator[Heard]:
    """In order. More threads than cores, since some of them will be waiting for a disk."""
    pool = ThreadPoolExecutor(2 * len(os.sched_getaffinity(0)))
    try:
        yield from pool.map(hear, clips)
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt does not wait for a thousand clips


# --- all clips ------------------------------------------------------------------------------------


def by_class(corpus: Corpus) -> dict[str, int]:
    counts = Counter(clip.label for clip in corpus.clips)
    return {name: counts[label] for label, name in enumerate(corpus.classes)}


def by_fold(corpus: Corpus) -> dict[int, int]:
    return dict(sorted(Counter(clip.fold for clip in corpus.clips if clip.fold).items()))


def by_part(corpus: Corpus) -> dict[str, int]:
    counts = Counter(clip.part for clip in corpus.clips)
    return {part: counts[part] for part in ("train", "validation", "test") if counts[part]}


def differences(corpus: Corpus, official: Published) -> list[str]:
    """Each count that is not the published one, in words."""
    found: dict[str, tuple[int, int]] = {"clips": (len(corpus.clips), official.clips)}
    classes, folds, parts = by_class(corpus), by_fold(corpus), by_part(corpus)
    per_class = dict.fromkeys(classes, official.per_class) if official.per_class else {}
    for name, count in {**per_class, **official.classes}.items():
        found[f"clips of {name}"] = (classes.get(name, 0), count)
    for fold, count in enumerate(official.folds, start=1):
        found[f"clips in {official.fold} {fold}"] = (folds.get(fold, 0), count)
    for part, count in official.parts.items():
        found[f"clips to {part}"] = (parts.get(part, 0), count)
    return [
        f"{have:,} {what}, where the published dataset has {should:,}"
        for what, (have, should) in found.items()
        if have != should
    ]


def _silence(sound: Sequence[Heard]) -> list[str]:
    silent = [one.clip.file for one in sound if one.is_silent]
    count = f"{len(silent):,} of {len(sound):,} clips"
    return [f"{count} are digital silence: {first_few(silent)}"] if silent else []


def _copies(sound: Sequence[Heard]) -> list[str]:
    """The same bytes under two names: harmless, unless one is trained on and the other tested."""
    first: dict[bytes, Clip] = {}
    pairs = [
        (original, one.clip)
        for one in sound
        if (original := first.setdefault(one.digest, one.clip)) is not one.clip
    ]
    if not pairs:
        return []
    labels = sum((a.label, a.targets) != (b.label, b.targets) for a, b in pairs)
    places = sum((a.fold, a.part) != (b.fold, b.part) for a, b in pairs)
    shown = first_few([f"{b.file} = {a.file}" for a, b in pairs], 3)
    return [
        f"{len(pairs):,} of {len(sound):,} clips are copies, {labels:,} under another label, "
        f"{places:,} in another fold or part: {shown}"
    ]
