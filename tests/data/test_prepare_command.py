"""petl data prepare: what it computes is what runs find."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from petl.cli import app
from petl.config.study import load_study
from petl.data.load import load
from petl.places import Places

STUDY = """\
description: two backbones, one of which reads waveforms
profile: as-run
report: test_last
matrix: {dataset: tiny, backbone: [ast, wav2vec2], method: linear, fold: all, seed: 1}
datasets:
  tiny:
    dataset:
      {corpus: tiny, layout: esc50, classes: 2, folds: 5, frames: 20, split: paper,
       spec_augment: null}
    train: {epochs: 1, batch_size: 2}
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


def prepare(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["data", "prepare", *map(str, arguments)])


def cached(tmp_path: Path) -> set[Path]:
    return set((tmp_path / "cache" / "features").iterdir())


def test_what_is_prepared_is_what_runs_find(tiny, study, tmp_path):
    told = prepare(study, "--data", tiny.parent, "--cache", tmp_path / "cache")
    assert told.exit_code == 0, told.output
    made = cached(tmp_path)
    assert len(made) == 2  # spectrograms, and waveforms for wav2vec 2.0
    assert all(str(file) in told.stdout for file in made)
    places = Places(tmp_path / "runs", tiny.parent, tmp_path / "cache")
    for task in load_study(study).tasks[::3]:
        load(task, places, lambda *_: pytest.fail("computed again"))
    assert cached(tmp_path) == made


def test_it_says_what_was_there_before(tiny, study, tmp_path):
    options = (study, "--data", tiny.parent, "--cache", tmp_path / "cache")
    first, second = prepare(*options).stdout, prepare(*options).stdout
    assert "tiny: 10 clips, " in first
    assert "clips per second" in first
    assert second.count("tiny: 10 clips, already cached") == 2
    assert "clips per second" not in second


def test_a_broken_clip_is_named_and_nothing_is_left(tiny, study, tmp_path):
    broken = sorted((tiny / "audio").iterdir())[4]
    broken.write_bytes(b"")
    told = prepare(study, "--data", tiny.parent, "--cache", tmp_path / "cache")
    assert told.exit_code == 2
    assert f"1 of 10 clips could not be decoded: {broken}: the file is empty" in told.stderr
    assert cached(tmp_path) == set()


def test_a_name_that_is_neither_is_told_the_nearest(tmp_path):
    assert "did you mean 'esc50'" in prepare("esc500").stderr
    told = prepare(tmp_path / "studdy.yaml")
    assert (told.exit_code, told.stdout) == (2, "")
    assert "studdy.yaml: no such file" in told.stderr
