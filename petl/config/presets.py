"""A task or a dataset by the names of presets, where there is no study to take it from."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from petl.config.dataset import Dataset
from petl.config.study import EXPERIMENTS, load_study
from petl.config.task import Task
from petl.config.yamlfile import read_yaml
from petl.errors import UserError, nearest


def task_of(
    method: str, backbone: str = "ast", profile: str = "as-run", dataset: str = "esc50"
) -> Task:
    presets = read_yaml(EXPERIMENTS / "presets.yaml").data
    names = {"dataset": dataset, "backbone": backbone, "method": method}
    for kind, name in names.items():
        if name not in presets[f"{kind}s"]:
            raise UserError(f"unknown {kind} '{name}'{nearest(name, presets[f'{kind}s'])}")
    matrix = names | {"fold": 0, "seed": 0}
    study = {"description": "", "profile": profile, "report": "test_last", "matrix": matrix}
    if backbone.startswith("wav2vec2"):  # it reads waveforms, which ESC-50's masks do not fit
        study["set"] = {"dataset": {"spec_augment": None}}
    with TemporaryDirectory() as folder:  # a study like any other, JSON being YAML
        path = Path(folder) / "study.yaml"
        path.write_text(json.dumps(study))
        try:
            return load_study(path).tasks[0]
        except UserError as error:  # of a file that nobody wrote there is no line to name
            raise UserError(str(error).removeprefix(f"{path}:1: ")) from None


def dataset_of(name: str, study: Path | None = None) -> Dataset:
    """A preset of the suite, or what a study makes of the name."""
    if study is None:
        presets = read_yaml(EXPERIMENTS / "presets.yaml").data["datasets"]
        if name not in presets:
            near = nearest(name, presets)
            raise UserError(f"unknown dataset '{name}'{near} --study FILE names a study's own")
        return task_of("linear", dataset=name).dataset
    datasets = {task.names.dataset: task.dataset for task in load_study(study).tasks}
    if name not in datasets:
        raise UserError(f"{study}: no dataset '{name}' in it{nearest(name, datasets)}")
    return datasets[name]
