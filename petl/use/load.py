"""A trained model from its run directory, or from what `petl export` made of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from petl import config
from petl.backbones.tensor_file import read_tensors
from petl.data.features import normalise
from petl.errors import UserError
from petl.files import read_json
from petl.model.build import Model, build_model, restore, trained_state
from petl.places import Places
from petl.runs.directory import RunDir
from petl.runs.find import find_run, read_task, task_in
from petl.runs.result import Result
from petl.train.loop import autocast
from petl.train.seeding import seeded

ADAPTER = "adapter.json"
LISTED = 4


@dataclass(frozen=True)
class LoadedRun:
    """`classes` are names by label, none for a regression; `statistics` None for waveforms."""

    path: Path
    task: config.Task
    model: Model
    classes: tuple[str, ...]
    statistics: config.Statistics | None
    weights: str
    """Which were kept: last or best."""
    epoch: int | None
    result: Result | None
    """None for an exported adapter."""

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def names(self) -> tuple[str, ...]:
        """What each number that the model puts out is of."""
        return self.classes or self.task.dataset.targets

    @torch.no_grad()
    def outputs(self, raw: np.ndarray) -> Tensor:
        """Of a batch of spectrograms or waveforms as they come from the files."""
        x = torch.from_numpy(np.ascontiguousarray(raw)).to(self.device)
        if self.statistics is not None:
            x = normalise(x, self.statistics)
        precision = self.task.train.precision
        if precision == "fp16" and self.device.type == "cpu":  # which cannot
            precision = "float32"
        with autocast(precision, self.device):
            return self.model(x).float()


def load_run(said: str | Path, places: Places) -> LoadedRun:
    """The model in eval mode, on the GPU where there is one."""
    if (Path(said) / ADAPTER).is_file():
        return _load_adapter(Path(said))
    run = find_run(str(said), places.runs)
    task = read_task(run)
    result = _finished(run, task)
    with run.at_hand(run.weights_file.name) as weights:
        if not weights.is_file():
            raise UserError(_no_weights(run, task))
        return _assemble(
            run.path, weights, task, result, result.get("classes"), result.get("statistics")
        )


def _finished(run: RunDir, task: config.Task) -> Result:
    if (result := run.result()) is not None:
        return result
    state = run.state()
    reason = f" ({state.reason})" if state.reason else ""
    raise UserError(
        f"{run.path}: this run is not finished: {state.kind}{reason}; "
        f"`petl submit {task.names.study}.yaml` goes on with it"
    )


def _no_weights(run: RunDir, task: config.Task) -> str:
    if task.weights != "none":
        return f"{run.weights_file}: is not there, though the study asked to keep it"
    study = f"{task.names.study}.yaml"
    return (
        f"{run.path}: its weights were not kept. Put `keep_weights: true` into {study}, move this "
        f"folder away and train again: `petl submit {study}` runs only what has no result"
    )


def _load_adapter(folder: Path) -> LoadedRun:
    said = read_json(folder / ADAPTER)
    if not isinstance(said, dict) or "task" not in said:
        raise UserError(f"{folder / ADAPTER}: is damaged, or not made by petl export")
    task = task_in(said["task"], folder / ADAPTER)
    weights = folder / "adapter.safetensors"
    return _assemble(folder, weights, task, None, said["classes"], said["statistics"])


def _assemble(
    path: Path,
    weights: Path,
    task: config.Task,
    result: Result | None,
    classes: Any,
    numbers: Any,
) -> LoadedRun:
    tensors, facts = read_tensors(weights), _facts(weights)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with seeded(task.seed, task.fold, "init"):
        model = build_model(task)
    _check(model, tensors, weights)
    restore(model, tensors)
    return LoadedRun(
        path=path,
        task=task,
        model=model.to(device).eval(),
        classes=tuple(classes or ()),
        statistics=_statistics(task, numbers, weights),
        weights=facts.get("weights", task.weights),
        epoch=facts.get("epoch"),
        result=result,
    )


def _facts(file: Path) -> dict[str, Any]:
    """What training wrote beside the tensors: which weights, of which epoch."""
    from safetensors import safe_open

    with safe_open(str(file), "pt") as opened:
        found: dict[str, Any] = json.loads((opened.metadata() or {}).get("petl", "{}"))
    return found


def _check(model: Model, tensors: dict[str, Tensor], file: Path) -> None:
    """All that training changes, and nothing else: half-restored, a model would guess quietly."""
    wanted = {name: tensor.shape for name, tensor in trained_state(model).items()}
    problems = [f"{name} is missing" for name in wanted if name not in tensors]
    problems += [f"{name} is unexpected" for name in tensors if name not in wanted]
    problems += [
        f"{name} is {tuple(tensors[name].shape)}, not {tuple(shape)}"
        for name, shape in wanted.items()
        if name in tensors and tensors[name].shape != shape
    ]
    if problems:
        more = f" (and {len(problems) - LISTED} more)" if len(problems) > LISTED else ""
        raise UserError(
            f"{file}: does not fit the task beside it: {'; '.join(problems[:LISTED])}{more}"
        )


def _statistics(task: config.Task, numbers: Any, weights: Path) -> config.Statistics | None:
    """As measured at training, so that no dataset is needed to predict."""
    if isinstance(numbers, dict):
        return config.Statistics(mean=numbers["mean"], std=numbers["std"])
    if isinstance(task.backbone, config.Wav2Vec2):
        return None
    if isinstance(task.dataset.statistics, config.Statistics):
        return task.dataset.statistics
    raise UserError(
        f"{weights.parent}: its statistics were measured on the training split and not written "
        "down; a run of this version keeps them: train it again"
    )
