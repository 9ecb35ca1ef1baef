"""Export a trained run: its trained tensors with a description, or a whole AST of the library.

The folder appears when it is complete, and never replaces another.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import save
from torch import Tensor, nn

import petl
from petl.backbones.encoder import Wrapper
from petl.backbones.families import naming_of
from petl.files import write_folder
from petl.model.build import trained_state
from petl.runs.choose import ADAPTER
from petl.use.load import LoadedRun
from petl.use.peft.write import to_peft
from petl.use.to_library import to_library

Format = Literal["adapter", "huggingface", "peft"]
Files = dict[str, bytes]

NOTE = (
    "adapter.safetensors holds the trained tensors. All others are those of the backbone's source, "
    "its position embeddings fitted to `frames` as `backbone` says. Under `tensors`, `library` is "
    "the name that transformers has for a tensor of the backbone (petl stacks queries, keys and "
    "values in one); null means a tensor of the method or of the head. "
    "`petl predict FOLDER FILE...` works with this folder."
)


def export(run: LoadedRun, out: Path, format: Format) -> str:
    """Write the folder and return a description of it."""
    if format == "adapter":
        files, description = as_adapter(run), "the trained tensors, described in adapter.json"
    elif format == "peft":
        files, description = to_peft(run)
    else:
        files, description = to_library(run)
    write_folder(out, files)
    return description


def as_adapter(run: LoadedRun) -> Files:
    kept = {name: t.contiguous().cpu() for name, t in trained_state(run.model).items()}
    facts = {"run_id": run.task.run_id, "weights": run.weights, "epoch": run.epoch}
    text = json.dumps(_description(run, kept), indent=1, ensure_ascii=False) + "\n"
    return {ADAPTER: text.encode(), "adapter.safetensors": save(kept, {"petl": json.dumps(facts)})}


def _description(run: LoadedRun, kept: dict[str, Tensor]) -> dict[str, Any]:
    task = run.task
    environment = run.result["environment"] if run.result else {}
    return {
        "format": "petl-ast adapter",
        "note": NOTE,
        "run_id": task.run_id,
        "weights": run.weights,
        "epoch": run.epoch,
        "backbone": task.backbone.model_dump(mode="json"),
        "method": task.method.model_dump(mode="json"),
        "classes": list(run.classes),
        "targets": list(task.dataset.targets),
        "input": _input(run),
        "statistics": None if run.statistics is None else run.statistics.model_dump(),
        "metrics": run.result["metrics"] if run.result else {},
        "versions": {"exported by petl": petl.__version__}
        | {f"trained by {name}": environment.get(name) for name in ("petl", "git_commit", "torch")},
        "tensors": {
            name: {"shape": list(tensor.shape), "library": library_names(run, name)}
            for name, tensor in kept.items()
        },
        "task": task.to_json(),
    }


def _input(run: LoadedRun) -> dict[str, Any]:
    dataset = run.task.dataset
    front_end = dataset.front_end
    audio = {"sampling_rate": front_end.rate, "channel": dataset.channel}
    if run.task.backbone.form == "waveform":
        return audio | {"kind": "waveform", "seconds": dataset.seconds}
    if front_end.kind != "ast":
        return audio | front_end.model_dump(mode="json") | {"frames": dataset.frames}
    return audio | {
        "kind": "Kaldi's log-mel filter bank, 25 ms windows every 10 ms",
        "mel_bins": dataset.bins,
        "frames": dataset.frames,
        "normalisation": "(x - mean) / (2 * std), padding of 0 included",
    }


def library_names(run: LoadedRun, name: str) -> list[str] | None:
    """The library's names for a tensor of the backbone; None for one of a method or the head."""
    module: nn.Module = run.model
    own: list[str] = []
    for part in name.split("."):
        if not isinstance(module, Wrapper):
            own.append(part)
        elif part != "inner":
            return None
        module = getattr(module, part)
    if own[0] != "backbone":
        return None
    naming = naming_of(run.task.backbone.family)
    return list(naming.theirs(".".join(own[1:])))
