"""Recordings as windows, each as long as a clip in training: a corpus's, or those of one file.

A file is decoded, resampled and cut a block at a time: an hour of sound takes no more memory than
a minute.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from petl.config.songs import Windows
from petl.data.corpus import Clip, Corpus
from petl.data.decode import blocks, mixed, opened
from petl.data.features import Recipe
from petl.data.resample import resample, resample_blocks, samples_needed
from petl.errors import UserError


class Window(NamedTuple):
    input: np.ndarray
    """As the recipe gives it, not normalised."""
    start: float
    end: float
    """In seconds. A clip that is shorter than a window ends where it ends."""
    position: float
    """The part of the file that has been heard, from 0 to 1."""


def windows(path: Path, recipe: Recipe, hop: int) -> Iterator[Window]:
    """A window every `hop` frames. The last one ends with the file.

    A clip that is no longer than a window is one window, with the same bits as in training.
    """
    with opened(path) as sound:
        rate, length = sound.samplerate, recipe.samples
        to, frame = recipe.rate, recipe.front_end.hop
        mono = (mixed(block, recipe.channel) for block in blocks(path, sound))
        head: list[np.ndarray] = []
        for block in mono:
            head.append(block)
            if sum(map(len, head)) > samples_needed(length + frame, rate, to):
                break
        else:
            clip = np.concatenate(head)
            samples = -(-len(clip) * to // rate)
            if samples < length + frame:
                waveform = resample(clip[: samples_needed(length, rate, to)], rate, to)[:length]
                seconds = min(samples, recipe.length) / to
                yield Window(recipe.input(waveform.astype(np.float32)), 0.0, seconds, 1.0)
                return
        total = max(1, sound.frames) / rate
        pieces = resample_blocks(chain(head, mono), rate, to)
        for first, waveform in _cut(pieces, length, hop * frame, frame):
            start = first / to
            end = start + recipe.length / to
            yield Window(recipe.input(waveform), start, end, min(1.0, end / total))


def _cut(
    pieces: Iterator[np.ndarray], length: int, hop: int, frame: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Where each window begins, at a whole frame, and its samples."""
    kept, at, start, last = np.zeros(0, dtype=np.float32), 0, 0, -1
    for piece in pieces:
        kept = np.concatenate([kept, piece.astype(np.float32)])
        while start + length <= at + len(kept):
            yield start, kept[start - at : start - at + length]
            last, start = start, start + hop
        # the end of the file may need a window that begins up to a hop before `start`
        keep = min(len(kept), max(length + frame, at + len(kept) - start))
        kept, at = kept[len(kept) - keep :], at + len(kept) - keep
    final = (at + len(kept) - length) // frame * frame
    if final > last:
        yield final, kept[final - at : final - at + length]


# --- the windows of a corpus ----------------------------------------------------------------------


def cut(corpus: Corpus, windows: Windows) -> Corpus:
    """Each recording as clips, with the labels, part and group of the recording."""
    with ThreadPoolExecutor(2 * len(os.sched_getaffinity(0))) as pool:
        lengths = pool.map(_seconds, (clip.path for clip in corpus.clips))
        clips = [
            replace(clip, start=start, seconds=windows.length)
            for clip, seconds in zip(corpus.clips, lengths, strict=True)
            for start in starts(clip, seconds, windows)
        ]
    return replace(corpus, clips=tuple(clips))


def _seconds(path: Path) -> float:
    """As the header says: to decode all recordings would take minutes."""
    with opened(path) as sound:
        return float(sound.frames / sound.samplerate)


def starts(clip: Clip, seconds: float, windows: Windows) -> list[float]:
    spare = seconds - windows.length
    if spare < 0:
        if windows.shorter == "padded":
            return [0.0]
        raise UserError(
            f"{clip.path}: {seconds:.1f} s long, shorter than a window of {windows.length:g} s; "
            "choose a smaller dataset.windows.length, or pad with 'shorter: padded'"
        )
    if windows.take == "middle":
        return [round(spare / 2, 2)]
    hop = windows.hop or windows.length
    return [round(number * hop, 6) for number in range(int(spare / hop + 1e-9) + 1)]
