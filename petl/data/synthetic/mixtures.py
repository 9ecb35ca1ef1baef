"""Synthetic clips with several labels: one to four of the quickstart's sounds at once.

`made-mixtures` has FSD50K's layout, `made-segments` AudioSet's. Classes are from frequent to rare,
as in both.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.random import Generator

from petl.data.synthetic.quickstart import CLASSES, RATE, appear, clip

SEED = 13
PARTS = {"train": 500, "val": 120, "test": 180}
"""How many clips there are in each."""
SHARES = np.geomspace(0.45, 0.08, len(CLASSES))
"""Of the clips, for each class."""
MOST = 4
NAMES = [recipe.__name__.capitalize() for recipe in CLASSES]
MIDS = [f"/t/petl{number:02}" for number in range(len(CLASSES))]

Made = tuple[str, list[int], np.ndarray]
"""A part, labels, and samples."""
Row = Sequence[object]


def made_clips(parts: dict[str, int], seed: int) -> list[Made]:
    """Each clip has its own random generator, so none depends on the others."""
    clips = []
    for number, (part, count) in enumerate(parts.items()):
        for take in range(count):
            rng = np.random.default_rng((seed, number, take))
            labels = _labels(rng)
            sounds = sum(clip(rng, CLASSES[label]) for label in labels)
            samples = sounds / np.abs(sounds).max() * 10 ** (rng.uniform(-24, -6) / 20)
            clips.append((part, labels, np.round(samples * 32767).astype(np.int16)))
    return clips


def _labels(rng: Generator) -> list[int]:
    labels = rng.permutation(np.flatnonzero(rng.random(len(CLASSES)) < SHARES))[:MOST]
    return sorted(labels.tolist() or [int(rng.integers(len(CLASSES)))])


def like_fsd50k(folder: Path, parts: dict[str, int] = PARTS, seed: int = SEED) -> None:
    appear(folder, lambda new: _fsd50k(new, made_clips(parts, seed)))


def like_audioset(folder: Path, parts: dict[str, int] = PARTS, seed: int = SEED) -> None:
    appear(folder, lambda new: _audioset(new, made_clips(parts, seed)))


MADE = {"made-mixtures": like_fsd50k, "made-segments": like_audioset}


def _fsd50k(folder: Path, clips: list[Made]) -> None:
    tables: dict[str, list[Row]] = {"dev": [], "eval": []}
    for number, (part, labels, samples) in enumerate(clips, start=1000):
        name = "eval" if part == "test" else "dev"
        names, mids = (",".join(known[n] for n in labels) for known in (NAMES, MIDS))
        tables[name].append([number, names, mids, part][: 3 + (name == "dev")])
        _sound(folder / f"FSD50K.{name}_audio" / f"{number}.wav", samples)
    truth = folder / "FSD50K.ground_truth"
    truth.mkdir()
    columns = ["fname", "labels", "mids", "split"]
    _table(truth / "dev.csv", [columns, *tables["dev"]])
    _table(truth / "eval.csv", [columns[:3], *tables["eval"]])
    _table(truth / "vocabulary.csv", list(zip(range(len(NAMES)), NAMES, MIDS, strict=True)))


def _audioset(folder: Path, clips: list[Made]) -> None:
    """Its tables have comments, spaces after commas, and all labels of a clip in quotes."""
    lines: dict[str, list[str]] = {"balanced_train": [], "eval": []}
    for number, (part, labels, samples) in enumerate(clips):
        name, video = "eval" if part == "test" else "balanced_train", f"made-{number:06}"
        mids = ",".join(MIDS[label] for label in labels)
        lines[name].append(f'{video}, 0.000, 1.000, "{mids}"')
        _sound(folder / f"{name}_segments" / f"{video}.wav", samples)
    for name, of in lines.items():
        head = ["# Segments csv created by petl-ast", f"# num_ytids={len(of)}, num_segs={len(of)}"]
        head.append("# YTID, start_seconds, end_seconds, positive_labels")
        (folder / f"{name}_segments.csv").write_text("\n".join([*head, *of, ""]))
    rows = zip(range(len(NAMES)), MIDS, NAMES, strict=True)
    _table(folder / "class_labels_indices.csv", [["index", "mid", "display_name"], *rows])


def _sound(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    soundfile.write(path, samples, RATE)


def _table(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
