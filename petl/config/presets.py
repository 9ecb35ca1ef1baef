"""A task or a dataset by the names of presets, without a study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from petl.config.dataset import Dataset
from petl.config.study import PRESETS, expand, load_study
from petl.config.task import Task
from petl.config.yamlfile import read_yaml
from petl.errors import UserError, nearest


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


def dataset_of(name: str, study: Path | None = None) -> Dataset:
    """A preset of the suite, or what a study makes of the name."""
    if study is None:
        presets = read_yaml(PRESETS).data["datasets"]
        if name not in presets:
            near = nearest(name, presets)
            raise UserError(f"unknown dataset '{name}'{near} --study FILE names a study's own")
        return task_of("linear", "vit", dataset=name).dataset  # a ViT reads every spectrogram
    datasets = {task.names.dataset: task.dataset for task in load_study(study).tasks}
    if name not in datasets:
        raise UserError(f"{study}: has no dataset '{name}'{nearest(name, datasets)}")
    return datasets[name]
