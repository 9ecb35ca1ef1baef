"""A trained run with its weights, and runs with random ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from made_runs import finished

from petl.config import Task
from petl.config.options import Options
from petl.config.study import load_study
from petl.files import write_json
from petl.model.build import build_model, trained_state
from petl.places import Places
from petl.runs.directory import RunDir
from petl.train.run import run_task

GOLDEN = Path(__file__).parent.parent / "golden"
STUDY = f"""
description: what is done with a trained run
profile: as-run
report: test_last
keep_weights: true
matrix: {{dataset: tiny, backbone: tiny, method: [lora, conformer, linear], fold: [0, 1], seed: 10}}
backbones:
  tiny: {{backbone: {{family: ast, source: "{GOLDEN / "ast_tiny"}", pooling: cls+dist}}}}
datasets:
  tiny:
    dataset: {{corpus: tiny, layout: esc50, classes: 10, folds: 5, frames: 100, split: paper,
      statistics: training-split, spec_augment: null}}
    train: {{epochs: 2, batch_size: 8}}
methods:
  lora: {{method: {{family: lora, targets: [q, v], reduction: 8}}, train: {{lr: 5e-3}}}}
  conformer: {{like: conformer-houlsby, method: {{block: {{reduction: 8, kernel: 8}}}}}}
"""


@pytest.fixture(autouse=True)
def _one_thread():
    """Small models, and the same sums in the same order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def places(tmp_path_factory) -> Places:
    from petl.data.synthetic.quickstart import make_corpus

    root = tmp_path_factory.mktemp("use")
    make_corpus(root / "data" / "tiny", takes=1)
    return Places(root / "runs", root / "data", root / "cache")


@pytest.fixture(scope="session")
def study(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("study") / "tiny.yaml"
    file.write_text(STUDY)
    return file


@pytest.fixture(scope="session")
def trained(places: Places, study: Path) -> Callable[..., RunDir]:
    """`trained("lora", weights="best")`: a run of the study, trained once."""

    def train(method: str, fold: int = 0, **settings: object) -> RunDir:
        tasks = load_study(study).tasks
        task = next(t for t in tasks if (t.names.method, t.fold) == (method, fold))
        given = task.to_json()
        for part, values in settings.items():
            given[part] = given[part] | values if isinstance(values, dict) else values
        if "weights" in settings:  # which are not part of a run's id
            given["names"]["study"] = settings["weights"]
        task = Task.model_validate(given)
        run_task(task, places, Options(threads=1))
        return RunDir.of(task, places.runs)

    return train


@pytest.fixture
def written(study: Path, tmp_path: Path) -> Callable[..., RunDir]:
    """`written(method={...})`: a run as training leaves it, with weights that nobody trained."""
    from safetensors.torch import save_file

    def write(**settings: object) -> RunDir:
        given = load_study(study).tasks[0].to_json()
        for part, values in settings.items():
            if isinstance(values, dict):
                keeps = part == "dataset" or "family" not in values
                values = (given[part] if keeps else {}) | values
            given[part] = values
        task = Task.model_validate(given)
        run = finished(task, tmp_path / "runs")
        torch.manual_seed(0)
        model = build_model(task)
        shake(model)
        save_file(trained_state(model), run.weights_file)
        waves = task.backbone.family == "wav2vec2"
        facts = {
            "classes": [f"kind {i}" for i in range(task.dataset.classes or 0)],
            "statistics": None if waves else {"mean": -5.0, "std": 3.0},
        }
        write_json(run.result_file, (run.result() or {}) | facts)
        return run

    return write


def shake(model: torch.nn.Module) -> None:
    """Away from where training starts, so that nothing is hidden behind a zero or a one."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
