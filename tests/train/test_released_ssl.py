"""Fine-tuning as released notebooks do it: recorded steps, through the presets and `Fit` itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden_cases import GOLDEN, deviation
from test_released_loop import shuffled_back

from petl.config import Task
from petl.config.study import expand
from petl.model.build import build_model, count_parameters
from petl.train import loop
from petl.train.loop import Fit, Watcher

SHARED = GOLDEN.parents[2] / "shared" / "golden_ssl"
OURS = GOLDEN / "ssl"
PRESETS = {
    "head": ("ssl-head", True),
    "last-2": ("ssl-last-2", False),
    "last-2-and-head": ("ssl-last-2", True),
    "full": ("ssl-full", True),
}
"""By what a case trains: the preset, and whether the head trains."""
TWO_BATCHES = 2


def index(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "index.json").read_text())


@cache
def arrays(folder: Path) -> dict[str, torch.Tensor]:
    found = {name: torch.from_numpy(a) for name, a in np.load(folder / "arrays.npz").items()}
    return found | {"x": found["x"] / index(folder).get("scale", 1)}


def cases() -> Iterator[Any]:
    """The larger recording is slow, and not everywhere."""
    for folder in filter(Path.is_dir, (OURS, SHARED)):
        marks = [] if folder is OURS else [pytest.mark.slow]
        for case in index(folder)["cases"]:
            if case.startswith("classify/"):
                yield pytest.param(folder, case, marks=marks, id=f"{folder.name}-{case}")


def task_of(folder: Path, case: str) -> Task:
    """The profile sets norm and head as the notebooks do; the recording has them apart too."""
    _, norm, trained = case.split("/")
    preset, head_trains = PRESETS[trained]
    said = index(folder)
    batch, shape = said["batch"], {name: said["config"][name] for name in ("frames", "classes")}
    train = {"epochs": 1, "lr": 1e-3, "warm_up_steps": 2}
    as_run = norm == "norm-twice"
    study: dict[str, Any] = {
        "profile": "as-run" if as_run else "as-intended",
        "matrix": {"dataset": "d", "backbone": "b", "method": preset, "fold": 0, "seed": 0},
        "datasets": {"d": {"like": "esc50", "dataset": shape | {"spec_augment": None}}},
        "backbones": {"b": {"backbone": {"family": "ast", "source": str(folder)}}},
        "set": {"train": train | {"batch_size": TWO_BATCHES * batch, "micro_batch": batch}},
    }
    if preset == "ssl-last-2" and head_trains == as_run:
        study["set"]["head"] = {"trained": head_trains}
    return expand(study, "study")[0]


@pytest.mark.parametrize(("folder", "case"), list(cases()))
def test_the_recorded_losses_gradient_norms_and_outputs(folder, case, monkeypatch) -> None:
    recorded, task = arrays(folder), task_of(folder, case)
    model = build_model(task).eval()
    head = {"head.weight": recorded["head_weight"], "head.bias": recorded["head_bias"]}
    model.load_state_dict(head, strict=False)
    assert count_parameters(model)["trainable"] == index(folder)["cases"][case]["trainable"]
    with torch.no_grad():
        before = model(recorded["x"][0])
    data = shuffled_back(task, recorded["x"].flatten(0, 1), recorded["labels"].flatten())
    losses, norms, clip = [], [], loop.clip

    class Recorder(Watcher):
        def step(self, fit: Fit) -> None:
            losses.append(fit.losses[-1] / task.train.batch_size)

    monkeypatch.setattr(loop, "clip", lambda *given: norms.append(clip(*given)))
    Fit(model, data, task).run(Recorder())
    with torch.no_grad():
        after = model.eval()(recorded["x"][0])
    assert deviation(before, recorded[f"{case}/before"]) < 1e-5
    assert deviation(torch.stack(losses), recorded[f"{case}/losses"]) < 1e-5
    assert deviation(torch.stack(norms), recorded[f"{case}/grad_norms"]) < 1e-5
    assert deviation(after, recorded[f"{case}/after"]) < 1e-4
