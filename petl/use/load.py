"""Load a trained model from its run directory, or from a folder that `petl export` wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from petl import config
from petl.backbones.hub import COMMIT, Hub
from petl.backbones.naming import fill
from petl.backbones.tensor_file import read_tensors
from petl.config.kinds import ONE_LABEL, SEVERAL_LABELS
from petl.config.task import SMALL_MB
from petl.config.validate import validate
from petl.data.features import normalise
from petl.errors import UserError
from petl.files import read_json
from petl.model.build import Model, build_model, trained_state
from petl.places import Places
from petl.runs import gpus
from petl.runs.choose import ADAPTER, PEFT
from petl.runs.directory import RunDir
from petl.runs.find import find_run, read_task, task_in
from petl.runs.result import Result
from petl.train.loop import autocast
from petl.train.seeding import seeded


@dataclass(frozen=True)
class LoadedRun:
    path: Path
    task: config.Task
    model: Model
    """In eval mode, on the GPU if there is one."""
    classes: tuple[str, ...]
    """Names by label; empty for a regression."""
    statistics: config.Statistics | None
    """None for waveforms, and for a front end that normalises each clip by itself."""
    weights: str
    """Which weights were kept: last or best."""
    epoch: int | None
    result: Result | None
    """None for an exported adapter."""

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each output: a class or a target."""
        return self.classes or self.task.dataset.targets

    def answers(self, outputs: Tensor) -> Tensor:
        """Probabilities of the classes, which add up to 1 only if a clip has one label; a
        regression's numbers, in the unit of its targets."""
        kind, scale = self.task.kind, self.task.dataset.scale
        if scale is not None:
            return scale.undone(outputs)
        if kind is SEVERAL_LABELS:
            return outputs.sigmoid()
        return outputs.softmax(dim=1) if kind is ONE_LABEL else outputs

    @torch.no_grad()
    def outputs(self, raw: np.ndarray) -> Tensor:
        """The model's outputs for a batch of spectrograms or waveforms, not normalised yet."""
        x = torch.from_numpy(np.ascontiguousarray(raw)).to(self.device)
        if self.statistics is not None:
            x = normalise(x, self.statistics)
        precision = self.task.train.precision
        if precision == "fp16" and self.device.type == "cpu":  # a CPU has no fp16
            precision = "float32"
        with autocast(precision, self.device):
            return self.model(x).float()


def load_run(name: str | Path, places: Places) -> LoadedRun:
    """Load a run by its folder or id, or a folder of `petl export` or of PEFT."""
    folder = Path(name)
    if (folder / PEFT).is_file():
        from petl.use.peft.read import load_peft

        return load_peft(folder)
    if (folder / ADAPTER).is_file():
        facts = read_json(folder / ADAPTER)
        if not isinstance(facts, dict) or "task" not in facts:
            raise UserError(f"{folder / ADAPTER}: damaged, or not written by petl export")
        task = task_in(facts["task"], folder / ADAPTER)
        return _load(folder, folder / "adapter.safetensors", task, facts, None, Hub.of(places))
    run = find_run(str(name), places.runs)
    task = read_task(run)
    if task.objective is not None:
        raise UserError(
            f"{run.path}: a pre-training has no answers; `petl export {task.run_id} FOLDER` makes "
            "a checkpoint of it, to fine-tune with `backbone.source: FOLDER`"
        )
    if task.generator is not None:
        raise UserError(
            f"{run.path}: a generator has no answers; `petl generate {task.run_id} FOLDER` makes "
            "clips with it"
        )
    result = _finished(run, task)
    with run.at_hand(run.weights_file.name) as weights:
        if not weights.is_file():
            raise UserError(_no_weights(run, task))
        return _load(run.path, weights, task, result, result, _hub(task, result, places))


def is_pretraining(path: Path) -> bool:
    task = RunDir(path).task()
    return task is not None and task.get("objective") is not None


def _hub(task: config.Task, result: Result, places: Places) -> Hub:
    """With the commit of the backbone that the run was trained on."""
    commit = str(result["environment"].get("backbone_revision"))
    return Hub.of(places, {task.backbone.source: commit} if COMMIT.fullmatch(commit) else {})


def _finished(run: RunDir, task: config.Task) -> Result:
    if (result := run.result()) is not None:
        return result
    state = run.state()
    reason = f" ({state.reason})" if state.reason else ""
    raise UserError(
        f"{run.path}: this run is not finished: {state.kind}{reason}; "
        f"`petl submit {task.names.study}.yaml` continues it"
    )


def _no_weights(run: RunDir, task: config.Task) -> str:
    again = f"`petl submit {task.names.study}.yaml --retrain {task.run_id}` trains it again"
    if task.weights in ("last", "best"):
        return f"{run.weights_file}: no such file, though its study keeps weights; {again}"
    why = "" if task.weights == "none" else f": what it trained is over {SMALL_MB} MB"
    return f"{run.path}: this run kept no weights{why}; {again} and keeps them"


def _load(
    path: Path,
    weights: Path,
    task: config.Task,
    facts: Mapping[str, Any],
    result: Result | None,
    hub: Hub,
) -> LoadedRun:
    """`facts` are those of result.json or adapter.json."""
    tensors, about = read_tensors(weights), _metadata(weights)
    device = gpus.device()
    with seeded(task.seed, task.fold, "init"):
        model = build_model(task, hub)
    # all that training changes, and nothing else: half a model would give wrong answers
    fill(trained_state(model), tensors, f"{weights}: these weights do not fit the task beside them")
    return LoadedRun(
        path=path,
        task=task,
        model=model.to(device).eval(),
        classes=tuple(facts.get("classes") or ()),
        statistics=_statistics(task, facts.get("statistics"), path),
        weights=about.get("weights", task.weights.removesuffix("-if-small")),
        epoch=about.get("epoch"),
        result=result,
    )


def _metadata(file: Path) -> dict[str, Any]:
    """What training wrote beside the tensors: last or best weights, and their epoch."""
    from safetensors import safe_open

    with safe_open(str(file), "pt") as opened:
        text = (opened.metadata() or {}).get("petl", "{}")
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise UserError(f"{file}: damaged; its metadata is not a JSON object")
    return facts


def _statistics(task: config.Task, recorded: Any, path: Path) -> config.Statistics | None:
    """As measured in training, so that a prediction does not need the dataset."""
    if isinstance(recorded, dict):
        return validate(config.Statistics, recorded, lambda key: str(path))
    if isinstance(task.backbone, config.Wav2Vec2) or task.dataset.statistics == "clip":
        return None
    if isinstance(task.dataset.statistics, config.Statistics):
        return task.dataset.statistics
    raise UserError(
        f"{path}: an older version trained this run and did not record the statistics of its "
        "training split; train it again"
    )
