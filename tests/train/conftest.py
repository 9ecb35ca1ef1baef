"""A study small enough to train in a second: made sounds, the golden backbone, two epochs."""

from pathlib import Path

import pytest

from petl.config.study import load_study
from petl.places import Places

GOLDEN = Path(__file__).parent.parent / "golden"

STUDY = f"""
description: tiny
profile: as-run
report: test_last
matrix:
  dataset: tiny
  backbone: tiny
  method: [full, linear, bitfit, spt-3, prefix-4, lora, bottleneck, conformer, convpass]
  fold: [0, 1]
  seed: 10
backbones:
  tiny: {{backbone: {{family: ast, source: {GOLDEN / "ast_tiny"}}}}}
datasets:
  tiny:
    dataset: {{corpus: tiny, layout: esc50, classes: 10, folds: 5, frames: 100, split: paper,
      spec_augment: {{frequency: 24, time: 80}}}}
    train: {{epochs: 2, batch_size: 8}}
methods:
  spt-3: {{like: spt-300, method: {{length: 3}}}}
  prefix-4: {{like: prefix-24, method: {{length: 4}}}}
  lora: {{method: {{family: lora, targets: [q, v], reduction: 8}}, train: {{lr: 5e-3}}}}
  bottleneck: {{like: bottleneck-pfeiffer, method: {{block: {{reduction: 8}}}}}}
  convpass: {{like: convpass-pfeiffer, method: {{block: {{reduction: 8, dropout: 0.5}}}}}}
  conformer: {{like: conformer-houlsby, method: {{block: {{reduction: 8, kernel: 8}}}}}}
"""


@pytest.fixture(scope="session")
def places(tmp_path_factory) -> Places:
    from petl.data.synthetic.quickstart import make_corpus

    root = tmp_path_factory.mktemp("places")
    make_corpus(root / "data" / "tiny", takes=1)
    return Places(root / "runs", root / "data", root / "cache")


@pytest.fixture
def own_runs(places, tmp_path) -> Places:
    """Data and cache shared, runs this test's own."""
    return Places(tmp_path / "runs", places.data, places.cache)


@pytest.fixture(scope="session")
def tasks(tmp_path_factory):
    file = tmp_path_factory.mktemp("study") / "tiny.yaml"
    file.write_text(STUDY)
    return load_study(file).tasks


GENERATORS = f"""
description: generators small enough to train in a second
matrix: {{dataset: tiny, backbone: tiny, method: [gan, r3gan, short], fold: 0, seed: 10}}
backbones:
  tiny: {{backbone: {{family: ast, source: {GOLDEN / "ast_tiny"}}}}}
datasets:
  tiny:
    dataset: {{corpus: tiny, layout: esc50, classes: 10, folds: 5, frames: 16, split: paper,
      spec_augment: null}}
    train: {{epochs: 3, batch_size: 12}}
methods:
  short: {{like: flow, generator: {{steps: 3}}}}
set:
  generator: {{width: 2, look_every: 2}}
  train: {{epochs: 3, batch_size: 12}}
"""


@pytest.fixture(scope="session")
def generators(tmp_path_factory):
    """A task of each kind."""
    file = tmp_path_factory.mktemp("generators") / "tiny.yaml"
    file.write_text(GENERATORS)
    return {task.generator.kind: task for task in load_study(file).tasks}


@pytest.fixture
def few_resamples(monkeypatch):
    """Intervals take most of the time of so small a run."""
    monkeypatch.setattr("petl.generate.measures.measured.RESAMPLES", 3)
