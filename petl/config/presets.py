"""A task or a dataset by the names of presets, without a study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from petl.config.dataset import Dataset
from petl.config.methods.base import Method
from petl.config.study import PRESETS, expand, load_study
from petl.config.task import Task
from petl.config.yamlfile import read_yaml
from petl.errors import UserError, nearest

Profile = Literal["as-run", "as-intended"]


def task_of(
    method: str, backbone: str = "ast", profile: str = "as-run", dataset: str = "esc50"
) -> Task:
    presets = read_yaml(PRESETS).data
    names = {"dataset": dataset, "backbone": backbone, "method": method}
    for kind, name in names.items():
        if name not in presets[f"{kind}s"]:
            raise UserError(f"unknown {kind} '{name}'{nearest(name, presets[f'{kind}s'])}")
    study: dict[str, Any] = {
        "description": "one task",
        "profile": profile,
        "report": "test_last",
        "matrix": names | {"fold": 0, "seed": 0},
    }
    if backbone.startswith("wav2vec2"):  # reads waveforms, which ESC-50's masks do not fit
        study["set"] = {"dataset": {"spec_augment": None}}
    return expand(study, "presets")[0]


def method_of(
    method: str | Mapping[str, Any] | Method, profile: Profile = "as-intended", **settings: Any
) -> Method:
    """A preset's method on an AST, or settings as in a study; `settings` go over either."""
    if isinstance(method, Method):
        method = method.model_dump(mode="json")
    return model_task(method, {"like": "ast"}, {"classes": 2}, profile, **settings).method


def model_task(
    method: str | Mapping[str, Any],
    backbone: Mapping[str, Any],
    dataset: Mapping[str, Any],
    profile: Profile,
    **settings: Any,
) -> Task:
    """A task for its model alone: what concerns data and training is made up."""
    data = {"corpus": "sounds", "layout": "folders", "folds": 1, "frames": 500, "split": "given"}
    train = {"epochs": 1, "batch_size": 1, "lr": 1e-3}
    own = {} if isinstance(method, str) else {"method": {"method": dict(method)}}
    study: dict[str, Any] = {
        "description": "one model",
        "profile": profile,
        "report": "test_last",
        "matrix": {
            **{"dataset": "sounds", "backbone": "backbone", "fold": 0, "seed": 0},
            "method": "method" if own else method,
        },
        "datasets": {
            "sounds": {"dataset": {**data, "spec_augment": None, **dataset}, "train": train}
        },
        "backbones": {"backbone": dict(backbone)},
        "methods": own,
        "set": {"method": settings},
    }
    return expand(study, "model")[0]


def dataset_of(name: str, study: Path | None = None) -> Dataset:
    """A preset of the suite, or what a study makes of the name."""
    if study is None:
        presets = read_yaml(PRESETS).data["datasets"]
        if name not in presets:
            near = nearest(name, presets)
            raise UserError(f"unknown dataset '{name}'{near} --study FILE names a study's own")
        return task_of("linear", dataset=name).dataset
    datasets = {task.names.dataset: task.dataset for task in load_study(study).tasks}
    if name not in datasets:
        raise UserError(f"{study}: has no dataset '{name}'{nearest(name, datasets)}")
    return datasets[name]
