"""Finished runs of generators, made without fitting: the networks are as new."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import torch
from made_runs import finished
from safetensors.torch import save_file

from petl.config import Task
from petl.config.study import load_study
from petl.files import write_json
from petl.generate.base import Space
from petl.generate.build import build
from petl.generate.conditions import Ranges
from petl.generate.fitted import facts_of
from petl.runs.directory import RunDir

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
OF_NUMBERS: Ranges = {"valence": (-0.75, 0.75), "arousal": (-0.5, 0.5)}


def tasks(file: Path) -> dict[tuple[str, str], Task]:
    """By dataset and method."""
    file.write_text(STUDY)
    return {(one.names.dataset, one.names.method): one for one in load_study(file).tasks}


def fitted_run(of: Task, runs: Path, ranges: Ranges) -> RunDir:
    run = finished(of, runs)
    space = Space(of.dataset.frames, of.dataset.bins, len(ranges), -6.0, 3.0, -15.9, 2.0)
    torch.manual_seed(1)
    assert of.generator is not None
    save_file(build(of.generator, space).average.state_dict(), run.weights_file)
    result = run.result()
    assert result is not None
    write_json(run.result_file, {**result, "generator": facts_of(space, ranges, "0" * 16, 1.0)})
    return run


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
