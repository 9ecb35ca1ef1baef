"""Two small corpora, of classes and of two targets, and tasks of generators for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from petl.config import Task
from petl.config.study import load_study

RATE = 16_000
GOLDEN = Path(__file__).parent.parent / "golden"
STUDY = f"""
description: generators that are as new
profile: as-run
report: test_last
keep_weights: true
matrix: {{dataset: [own, numbers], backbone: tiny, method: [small, linear], fold: 0, seed: 10}}
backbones:
  tiny: {{backbone: {{family: ast, source: "{GOLDEN / "ast_tiny"}", pooling: cls+dist}}}}
datasets:
  own:
    dataset: {{corpus: own, layout: folders, classes: 2, folds: 3, frames: 16, split: k-fold,
      statistics: training-split, spec_augment: null}}
  numbers:
    dataset: {{corpus: numbers, layout: table, table: {{file: clips.csv, path: file}}, folds: 3,
      targets: [valence, arousal], scale: {{centre: 5, spread: 4}}, frames: 16, split: k-fold,
      statistics: training-split, spec_augment: null}}
methods:
  small: {{like: flow, generator: {{width: 4, steps: 2}}}}
set: {{train: {{epochs: 2, batch_size: 4}}}}
"""


def tasks(file: Path) -> dict[tuple[str, str], Task]:
    """By dataset and method."""
    file.write_text(STUDY)
    return {(one.names.dataset, one.names.method): one for one in load_study(file).tasks}


def write_clips(data: Path, classes: tuple[str, str]) -> None:
    """Two corpora of noise: a folder for each class, and a table of valence and arousal."""
    draws = np.random.default_rng(0)
    rows = ["file,valence,arousal"]
    for number in range(12):
        noise = 0.05 * draws.standard_normal(3200)
        for file in (f"own/{classes[number % 2]}/{number}.wav", f"numbers/{number}.wav"):
            (data / file).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(data / file, noise, RATE)
        rows.append(f"{number}.wav,{2 + number / 2},{8 - number / 2}")
    (data / "numbers" / "clips.csv").write_text("\n".join(rows) + "\n")
