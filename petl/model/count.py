"""How much each method of a study trains, counted on models that take no memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from petl import config
from petl.backbones.known import bare
from petl.model.build import assemble, count_parameters

FACTORIES = (torch.empty, torch.ones, torch.zeros, torch.tensor)


class OnMeta(TorchFunctionMode):
    """New tensors have a shape and no memory, as in PyTorch 2 under its `meta` device."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in FACTORIES:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


@dataclass(frozen=True)
class Row:
    """`printed` is the paper's own figure, `counted` what its released code trains."""

    names: config.Names
    trainable: int
    without_head: int
    total: int
    printed: str
    counted: tuple[int, int, int] | None


def count(tasks: list[config.Task], paper: dict[str, Any]) -> Iterator[Row]:
    """A row for each dataset, backbone and method; `paper` is experiments/paper.yaml."""
    seen = set()
    for task in tasks:
        names = (task.names.dataset, task.names.backbone, task.names.method)
        if names not in seen:
            seen.add(names)
            yield _row(task, paper)


def _row(task: config.Task, paper: dict[str, Any]) -> Row:
    with OnMeta():
        model = assemble(bare(task.backbone, task.dataset.frames), task)
    counts = count_parameters(model)
    on_ast = task.backbone.family == "ast"
    printed = paper["table1"].get(task.names.method_label, [""])[0] if on_ast else ""
    like_theirs = on_ast and (task.dataset.frames, task.dataset.classes) == (500, 50)
    counted = paper["counts_esc50"].get(their_name(task.method)) if like_theirs else None
    return Row(
        task.names,
        counts["trainable"],
        counts["trainable_without_head"],
        counts["total"],
        str(printed),
        tuple(counted) if counted else None,
    )


def their_name(method: config.Method) -> str:
    """What experiments/paper.yaml calls such a method, or nothing."""
    if getattr(method, "layers", "all") != "all":
        return ""
    if isinstance(method, config.Prompt):
        return f"{'SPT' if method.depth == 'shallow' else 'DPT'}-{method.length}"
    if isinstance(method, config.Prefix):
        return f"prefix-{method.length}"
    if isinstance(method, config.LoRA) and method.targets == ("q", "v"):
        return f"LoRA RR{method.reduction}"
    if isinstance(method, config.Adapter):
        block = method.block
        kernel = f" k{block.kernel}" if isinstance(block, config.Conformer) else ""
        return f"{block.kind} {str(method.placement).title()} RR{block.reduction}{kernel}"
    if isinstance(method, config.DenseMoA | config.SoftMoA):
        where = {("attention",): "Pfeiffer MHSA", ("ffn",): "Pfeiffer FFN"}.get(method.placement)
        kind = "Dense-MoA" if isinstance(method, config.DenseMoA) else "Soft-MoA"
        slots = f" slots{method.slots}" if isinstance(method, config.SoftMoA) else ""
        reduction = f"RR{method.block.reduction}"
        return f"{kind} {method.block.kind} {where} {reduction} x{method.experts}{slots}"
    return {"full": "full-FT", "linear": "linear", "bitfit": "BitFit"}.get(method.family, "")
