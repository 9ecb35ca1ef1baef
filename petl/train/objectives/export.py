"""A finished pre-training as a checkpoint: the encoder, as transformers' ASTModel reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from petl import config
from petl.backbones import ast
from petl.backbones.families import bare_encoder
from petl.backbones.naming import fill, to_huggingface
from petl.backbones.tensor_file import read_tensors
from petl.errors import UserError
from petl.files import read_json, refuse_taken, write_folder
from petl.runs.directory import RunDir
from petl.runs.result import Result

ABOUT = "pretraining.json"
"""Says which run a checkpoint is of."""
PLACES = ("dataset", "backbone", "method", "fold", "seed")


def export_encoder(run: RunDir, task: config.Task, out: Path) -> None:
    """Write the encoder of the best epoch to a new folder, for `backbone.source`."""
    if is_of(task, out):  # written before
        return
    if (result := run.result()) is None:
        raise UserError(f"{run.path}: this run is not finished: {run.state().kind}")
    with run.at_hand(run.weights_file.name) as weights:
        if not weights.is_file():
            raise UserError(
                f"{run.path}: this run kept no weights; leave `keep_weights` out of its study, and "
                f"`petl submit {task.names.study}.yaml --retrain {task.run_id}` trains it again"
            )
        write_folder(out, _files(weights, task, result))


def folders(tasks: Sequence[config.Task], out: str | None) -> dict[config.Task, Path]:
    """Where each run's checkpoint goes. Refuse what would fail after a long training."""
    written: dict[Path, config.Task] = {}
    for task in tasks if out else ():
        own = {**task.names.model_dump(), "fold": task.fold, "seed": task.seed}
        name = str(out)
        for key in PLACES:
            name = name.replace(f"{{{key}}}", str(own[key]))
        folder = Path(name)
        if written.setdefault(folder, task) is not task:
            raise UserError(
                f"--out {out} is one folder for {len(tasks)} runs; put "
                f"{' or '.join(f'{{{key}}}' for key in PLACES)} into its name"
            )
        if not is_of(task, folder):
            refuse_taken(folder)
    return {task: folder for folder, task in written.items()}


def is_of(task: config.Task, out: Path) -> bool:
    about = read_json(out / ABOUT)
    return isinstance(about, dict) and about.get("run_id") == task.run_id


def _files(weights: Path, task: config.Task, result: Result) -> dict[str, bytes]:
    from safetensors.torch import save

    encoder, begin = bare_encoder(task.backbone, task.dataset.frames), "backbone."
    given = {k[len(begin) :]: t for k, t in read_tensors(weights).items() if k.startswith(begin)}
    fill(encoder.state_dict(), given, f"{weights}: these weights do not fit the task beside them")
    statistics = result.get("statistics") or {}
    assert task.objective is not None
    about = {
        "run_id": task.run_id,
        "objective": task.objective.model_dump(mode="json"),
        "epoch": result["best_epoch"],
        "held_out_loss": result["metrics"]["val_best"]["held_out_loss"],
        "task": task.to_json(),
    }
    return {
        "config.json": _json(ast.config_of(encoder, task.dataset.frames)),
        "preprocessor_config.json": _json(ast.extractor_config(task.dataset.frames, **statistics)),
        ABOUT: _json(about),
        "model.safetensors": save(
            to_huggingface(encoder.state_dict(), ast.NAMING), {"format": "pt"}
        ),
    }


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
