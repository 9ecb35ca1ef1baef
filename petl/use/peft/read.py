"""A PEFT adapter of the library's AST as a run: one of `petl export --peft`, or of anybody."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from petl import config
from petl.backbones import ast
from petl.backbones.library import expect, locate, read_config
from petl.backbones.naming import fill
from petl.backbones.patches import grid
from petl.backbones.tensor_file import read_tensors
from petl.config.front_end import BINS
from petl.config.python import model_task
from petl.errors import UserError
from petl.methods.blocks import width
from petl.model.build import Model, build_model
from petl.runs import gpus
from petl.runs.choose import PEFT
from petl.train.seeding import seeded
from petl.use.load import LoadedRun
from petl.use.peft.layout import IA3, LORA, PREFIX, TARGETS, TENSORS, module_names, places
from petl.use.to_library import PROBLEMS

PLAIN = {
    "bias": "none",
    "fan_in_fan_out": False,
    "rank_pattern": {},
    "alpha_pattern": {},
    "layer_replication": None,
    "lora_bias": False,
}
"""Settings of LoRA for which petl has no other value."""
AUDIOSET = {"mean": -4.2677393, "std": 4.5689974}
"""The library's extractor normalises by these if it is not told otherwise."""
MOST = 100_000


def load_peft(folder: Path) -> LoadedRun:
    adapter = read_config(folder / PEFT)
    source = adapter["base_model_name_or_path"]
    if not isinstance(source, str) or not source:
        raise UserError(f"{folder / PEFT}: base_model_name_or_path has to name the AST")
    base = read_config(locate(source)[0])
    expect(base, source, **ast.EXPECTED)
    beside = folder / "config.json"
    model = read_config(beside) if beside.exists() else base
    tensors = Tensors(folder / TENSORS, read_tensors(folder / TENSORS))
    names = _names(model, len(tensors.head["weight"]))
    task = model_task(
        _method(adapter, base["hidden_size"], tensors, folder / PEFT),
        {"backbone": _backbone(source, model, tensors)},
        _dataset(base, model, tensors, names),
        "as-intended",
    )
    with seeded(0, 0, "init"):
        network = build_model(task)
    _fill(network, tensors)
    return LoadedRun(
        path=folder,
        task=task,
        model=network.to(gpus.device()).eval(),
        classes=() if task.dataset.targets else names,
        statistics=_statistics(folder),
        weights="last",
        epoch=None,
        result=None,
    )


@dataclass(frozen=True)
class Tensors:
    """An adapter's tensors; `own` without PEFT's prefix, as the library calls its modules."""

    file: Path
    given: Mapping[str, Tensor]

    @cached_property
    def own(self) -> dict[str, Tensor]:
        ends = {".lora_magnitude_vector.weight": ".lora_magnitude_vector"}  # since peft 0.12
        bare = {name.removeprefix(PREFIX): tensor for name, tensor in self.given.items()}
        for old, new in ends.items():
            bare = {re.sub(f"{re.escape(old)}$", new, name): t for name, t in bare.items()}
        return bare

    @cached_property
    def inside(self) -> str:
        """What is in front of the encoder's names in a model with a classifier."""
        has_classifier = any(name.startswith(ast.NAMING.prefix) for name in self.own)
        return ast.NAMING.prefix if has_classifier else ""

    @cached_property
    def adapted(self) -> dict[tuple[int, str], str]:
        """For each (layer, target) with a method, the name that its module has here."""
        modules = {name.rpartition(end)[0] for name in self.own for end in (".lora_", ".ia3_")}
        found = (re.search(r"layers?\.(\d{1,4})\.", module) for module in modules)
        layers = sorted({int(layer[1]) for layer in found if layer})
        return {
            (layer, target): self.inside + name
            for layer in layers
            for target in (*TARGETS, "down")
            for name in module_names(layer, target)
            if self.inside + name in modules
        }

    @cached_property
    def head(self) -> dict[str, Tensor]:
        """The classifier with its LayerNorm's gain and shift, or the head beside an ASTModel."""
        beside = self.file.with_name("head.safetensors")
        if not self.inside and beside.exists():
            return read_tensors(beside)
        parts = ("layernorm.weight", "layernorm.bias", "dense.weight", "dense.bias")
        missing = [f"classifier.{part}" for part in parts if f"classifier.{part}" not in self.own]
        if missing:
            raise UserError(
                f"{self.file}: it has no {missing[0]}; PEFT saves the classifier with "
                "modules_to_save=['classifier']"
            )
        gain, shift, weight, bias = (self.own[f"classifier.{part}"] for part in parts)
        return {"weight": weight * gain, "bias": bias + weight @ shift}


# --- as a task ------------------------------------------------------------------------------------


def _names(model: Mapping[str, Any], outputs: int) -> tuple[str, ...]:
    """Of the outputs; their numbers if the config has names for another number of them."""
    labels, numbers = model.get("id2label"), tuple(map(str, range(outputs)))
    if not isinstance(labels, dict) or labels.keys() != set(numbers):
        return numbers
    return tuple(str(labels[number]) for number in numbers)


def _backbone(source: str, model: Mapping[str, Any], tensors: Tensors) -> dict[str, Any]:
    pooling = "cls+dist" if tensors.inside else model["pooling"]
    return {"family": "ast", "source": source, "pooling": pooling}


def _dataset(
    base: Mapping[str, Any], model: Mapping[str, Any], tensors: Tensors, names: tuple[str, ...]
) -> dict[str, Any]:
    frames = _whole(model, "max_length", tensors.file)
    _check_positions(base, frames, tensors)
    kinds = {problem: kind for kind, problem in PROBLEMS.items()}
    dataset = {"frames": frames, "statistics": AUDIOSET}
    kind = kinds.get(model.get("problem_type") or "single_label_classification")
    if kind is None:
        raise UserError(f"{tensors.file}: petl does not know its problem_type")
    if PROBLEMS[kind] == "single_label_classification":
        return dataset | {"classes": len(names)}
    table = {"file": "table.csv", "path": "path"}
    dataset |= {"layout": "table", "split": "ratio", "ratio": {"validation": 0.1, "test": 0.1}}
    if PROBLEMS[kind] == "regression":
        return dataset | {"targets": list(names), "table": table}
    labels = {"label": "labels", "separator": ";"}
    return dataset | {"classes": len(names), "table": table | labels}


def _check_positions(base: Mapping[str, Any], frames: int, tensors: Tensors) -> None:
    """Before anything of that size is made."""
    position = tensors.own.get(f"{tensors.inside}embeddings.position_embeddings")
    if position is None:
        fits = frames == base["max_length"]
    else:
        strides = (base["frequency_stride"], base["time_stride"])
        rows, columns = grid((BINS, frames), base["patch_size"], strides)
        fits = position.shape[1:2] == (2 + rows * columns,)
    if not fits:
        raise UserError(
            f"{tensors.file}: its position embeddings are not those of {frames} frames; put the "
            "config.json of the model that was trained beside it"
        )


def _method(
    adapter: Mapping[str, Any], hidden: int, tensors: Tensors, file: Path
) -> dict[str, Any]:
    layers = sorted({layer for layer, _ in tensors.adapted})
    have = {target for _, target in tensors.adapted}
    targets = [target for target in (*TARGETS, "down") if target in have]
    kind = adapter["peft_type"]
    if len(tensors.adapted) != len(layers) * len(targets):
        raise UserError(f"{file}: not the same targets in each layer, which petl cannot compute")
    if kind == IA3 and targets == ["k", "v", "down"]:
        return {"family": "ia3", "layers": layers}
    if kind != LORA or not targets or "down" in targets:
        raise UserError(
            f"{file}: petl reads LORA on query, key, value and attention.output of an AST, and IA3 "
            f"on key, value and output.dense; this is {kind} on {', '.join(targets) or 'others'}"
        )
    for name, plain in PLAIN.items():
        if adapter.get(name, plain) != plain:
            raise UserError(f"{file}: {name} is {adapter[name]}, and petl has only {plain}")
    rank = _whole(adapter, "r", file)
    if type(alpha := adapter["lora_alpha"]) not in (int, float):
        raise UserError(f"{file}: lora_alpha is no number")
    return {
        "family": "dora" if adapter.get("use_dora") else "lora",
        "reduction": _reduction(rank, hidden, file),
        "targets": targets,
        "scale": alpha / (rank**0.5 if adapter.get("use_rslora") else rank),
        "init": "zero-up",
        "layers": layers,
    }


def _reduction(rank: int, hidden: int, file: Path) -> int:
    """Our rank is hidden / reduction, rounded."""
    for reduction in range(1, hidden + 1):
        if width(hidden, reduction) == rank:
            return reduction
    raise UserError(f"{file}: r is {rank}; petl has ranks of {hidden} / n, rounded")


def _whole(facts: Mapping[str, Any], key: str, file: Path) -> int:
    number = facts[key]
    if type(number) is not int or not 0 < number < MOST:
        raise UserError(f"{file}: {key} is {number!s:.40}, not a whole number under {MOST:,}")
    return number


def _statistics(folder: Path) -> config.Statistics:
    file = folder / "preprocessor_config.json"
    said = read_config(file) if file.exists() else {}
    if not said.get("do_normalize", True):
        raise UserError(f"{file}: do_normalize is false, and petl's AST reads normalised input")
    mean, std = (said.get(name, usual) for name, usual in AUDIOSET.items())
    try:
        return config.Statistics(mean=mean, std=std)
    except ValueError:
        raise UserError(f"{file}: mean and std have to be numbers, std above 0") from None


# --- its weights ----------------------------------------------------------------------------------


def _fill(model: Model, tensors: Tensors) -> None:
    refusal = f"{tensors.file}: these tensors do not fit"
    whole = tuple(f"{tensors.inside}{module}." for module in ("layernorm", "embeddings"))
    own, again = {}, []
    for place in places(model.backbone):
        module = tensors.adapted[place.layer, place.target]
        own |= {f"{module}.{name}": tensor for name, tensor in place.tensors.items()}
        again += [f"{tensors.inside}{name}." for name in place.modules if name not in module]
    fill(own, tensors.own, refusal, unused=(*whole, "classifier.", *again))
    replaced = {
        tensors.inside + theirs: tensor
        for ours, tensor in model.backbone.state_dict().items()
        for theirs in ast.NAMING.theirs(ours)
        if ours.startswith(("norm.", "tokens."))
    }
    given = {name: t for name, t in tensors.own.items() if name.startswith(whole)}
    fill(replaced, given, refusal, partly=True)
    fill(model.head.state_dict(), tensors.head, refusal)
