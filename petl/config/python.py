"""What Python code asks for without a file: a study's tasks, a method, a task for its model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from petl.config.methods.base import Method
from petl.config.study import load_study, study_of
from petl.config.task import Task

Profile = Literal["as-run", "as-intended"]


def expand(study: Mapping[str, Any] | str | Path, name: str = "python") -> list[Task]:
    """The tasks of a study: of its file, or of a mapping with what the file would contain.

    A mapping has no lines, so an error names the key alone. `name` is the study's, and so that of
    the folder of its runs.
    """
    return (study_of(study, name) if isinstance(study, Mapping) else load_study(study)).tasks


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
    return study_of(study, "model").tasks[0]
