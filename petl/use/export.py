"""A trained run for others: what it trained with a description, or whole, as the library's AST.

The folder appears when it is complete, and never in the place of another.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import save
from torch import Tensor, nn

import petl
from petl.backbones import families as backbones
from petl.backbones.encoder import Wrapper
from petl.config.dataset import BINS, RATE
from petl.errors import UserError, reason
from petl.files import staging, write_atomic
from petl.model.build import trained_state
from petl.use.load import ADAPTER, LoadedRun
from petl.use.to_library import to_library

Format = Literal["adapter", "huggingface"]
Files = dict[str, bytes]

NOTE = (
    "adapter.safetensors holds what training changed. Everything else is the backbone as its "
    "source publishes it, its position embeddings fitted to `frames` as `backbone` says. Under "
    "`tensors`, `library` is what transformers calls a tensor of the backbone (queries, keys and "
    "values are stacked in one of ours); null marks what the method or the head brought along. "
    "`petl predict FOLDER FILE...` uses this folder as it is."
)


def export(run: LoadedRun, out: Path, format: Format) -> str:
    """Write the folder; the sentence says what it is."""
    if format == "adapter":
        files, told = as_adapter(run), "what was trained, described in adapter.json"
    else:
        files, told = to_library(run)
    write_folder(out, files)
    return told


def as_adapter(run: LoadedRun) -> Files:
    kept = {name: t.contiguous().cpu() for name, t in trained_state(run.model).items()}
    facts = {"run_id": run.task.run_id, "weights": run.weights, "epoch": run.epoch}
    said = json.dumps(_described(run, kept), indent=1, ensure_ascii=False) + "\n"
    return {ADAPTER: said.encode(), "adapter.safetensors": save(kept, {"petl": json.dumps(facts)})}


def _described(run: LoadedRun, kept: dict[str, Tensor]) -> dict[str, Any]:
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
    sound = {"sampling_rate": RATE, "channel": run.task.dataset.channel}
    seconds = run.task.dataset.frames / 100
    if run.statistics is None:
        return sound | {"kind": "waveform", "seconds": seconds}
    return sound | {
        "kind": "Kaldi's log-mel filter bank, 25 ms windows every 10 ms",
        "mel_bins": BINS,
        "frames": run.task.dataset.frames,
        "normalisation": "(x - mean) / (2 * std), padding of 0 included",
    }


def library_names(run: LoadedRun, name: str) -> list[str] | None:
    """What the library calls a tensor of the backbone; none for what a method or the head added."""
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
    naming = backbones.family(run.task.backbone.family).NAMING
    return list(naming.theirs(".".join(own[1:])))


def write_folder(out: Path, files: Files) -> None:
    """All files or none; a folder with something in it stays as it is."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f"{out}: exists already; name a new folder")
    try:
        with staging(out) as temporary:
            for name, data in files.items():
                write_atomic(temporary / name, data)
            temporary.replace(out)
    except OSError as error:
        raise UserError(f"{out}: cannot write there: {reason(error)}") from None
