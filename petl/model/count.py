"""How much each method of a study trains, counted on models without memory for weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from petl import config
from petl.backbones.families import OnMeta, bare_encoder
from petl.errors import UserError
from petl.model.build import Model, assemble, count_parameters


def without_memory(task: config.Task) -> Model:
    if task.generator is not None:
        raise UserError(
            f"{task.names.method} is a generator, whose networks depend on the dataset; "
            "the result.json of its run has the number of its parameters"
        )
    dataset = task.dataset
    with OnMeta():
        return assemble(bare_encoder(task.backbone, dataset.frames, dataset.front_end), task)


@dataclass(frozen=True)
class Counts:
    """`printed` is the paper's own figure, `counted` what its released code trains."""

    names: config.Names
    trainable: int
    without_head: int
    total: int
    printed: str
    counted: tuple[int, int, int] | None


def count(tasks: list[config.Task], paper: dict[str, Any]) -> Iterator[Counts]:
    """A row for each dataset, backbone and method; `paper` is experiments/paper.yaml."""
    seen = set()
    for task in tasks:
        names = (task.names.dataset, task.names.backbone, task.names.method)
        if names not in seen:
            seen.add(names)
            yield _row(task, paper)


def _row(task: config.Task, paper: dict[str, Any]) -> Counts:
    model = without_memory(task)
    counts = count_parameters(model)
    on_ast = task.backbone.family == "ast"
    printed = paper["table1"].get(task.names.method_label, [""])[0] if on_ast else ""
    like_theirs = on_ast and (task.dataset.frames, task.dataset.classes) == (500, 50)
    counted = _released(task.method, paper) if like_theirs else None
    return Counts(
        task.names,
        counts["trainable"],
        counts["trainable_without_head"],
        counts["total"],
        str(printed),
        counted,
    )


def _released(method: config.Method, paper: dict[str, Any]) -> tuple[int, int, int] | None:
    """What the released code trains, if it has the method: `counted` names the settings of each."""
    settings = method.model_dump(mode="json")
    if settings.get("layers", "all") != "all":
        return None
    for name, wanted in paper.get("counted", {}).items():
        if _fits(wanted, settings):
            trainable, without_head, total = paper["counts_esc50"][name]
            return trainable, without_head, total
    return None


def _fits(wanted: Any, settings: Any) -> bool:
    if not isinstance(wanted, dict):
        return bool(wanted == settings)
    return all(_fits(value, settings.get(key)) for key, value in wanted.items())
