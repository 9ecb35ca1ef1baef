"""wav2vec 2.0 reads waveforms: the same studies, corpora and trainer, another input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from petl.config.study import load_study
from petl.data.load import load
from petl.data.ready import prepare_all
from petl.data.synthetic import quickstart as sounds
from petl.places import Places
from petl.train.run import run_task

GOLDEN = Path(__file__).parent.parent / "golden"

STUDY = f"""
description: a backbone that sees and one that hears
profile: as-run
report: test_last
matrix:
  dataset: tiny
  backbone: [seeing, hearing]
  method: linear
  fold: 0
  seed: 10
backbones:
  seeing: {{backbone: {{family: ast, source: {GOLDEN / "ast_tiny"}}}}}
  hearing: {{backbone: {{family: wav2vec2, source: {GOLDEN / "wav2vec2_tiny"}}}}}
datasets:
  tiny:
    dataset: {{corpus: tiny, layout: esc50, classes: 10, folds: 5, frames: 60, split: paper,
      spec_augment: null}}
    train: {{epochs: 1, batch_size: 10}}
"""


@pytest.fixture
def places(tmp_path) -> Places:
    sounds.make_corpus(tmp_path / "data" / "tiny", takes=1)
    return Places(tmp_path / "runs", tmp_path / "data", tmp_path / "cache")


@pytest.fixture
def tasks(tmp_path):
    (tmp_path / "study.yaml").write_text(STUDY)
    return load_study(tmp_path / "study.yaml").tasks


def test_a_task_reads_what_its_backbone_does(tasks, places):
    seeing, hearing = (load(task, places) for task in tasks)
    assert seeing.inputs.shape == (50, 60, 128)
    assert hearing.inputs.shape == (50, 9600)
    assert hearing.inputs.dtype == np.float32
    assert seeing.statistics is not None
    assert hearing.statistics is None
    np.testing.assert_allclose(hearing.inputs.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(hearing.inputs.std(axis=1), 1, atol=1e-2)  # of very quiet ones less
    np.testing.assert_array_equal(seeing.split.test, hearing.split.test)


def test_both_inputs_are_prepared_before_the_tasks_begin(tasks, places, monkeypatch):
    prepare_all(tasks, places)
    monkeypatch.setattr("petl.data.cache._compute", None)
    for task in tasks:
        load(task, places)


def test_a_small_wav2vec2_trains_an_epoch_on_made_sounds(tasks, places):
    result = run_task(tasks[1], places)
    assert result["task"]["backbone"]["family"] == "wav2vec2"
    assert np.isfinite(result["metrics"]["test_last"]["loss"])
