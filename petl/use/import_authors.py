"""Convert a checkpoint of the paper's repository to our weights.safetensors and task.json.

It is the state_dict of a whole model, so nothing is downloaded. The trained tensors are kept, under
our names, and the task names the backbone that has the others.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from petl.backbones.families import bare_encoder
from petl.backbones.tensor_file import read_tensors
from petl.config import Task
from petl.config.study import PRESETS, expand
from petl.config.yamlfile import read_yaml
from petl.errors import UserError, nearest, reason
from petl.files import read_json, write_atomic, write_json
from petl.model.build import Model, assemble, trained_state
from petl.model.count import without_memory
from petl.use import released

DATASETS = {
    "ESC-50": "esc50",
    "urbansound8k": "urbansound8k",
    "GSC": "speech-commands",
    "FSC": "fluent-speech-commands",
}
SOURCES = {"ast": "MIT/ast-finetuned-audioset-10-10-0.4593", "wav2vec2": "facebook/wav2vec2-base"}


class Flags(dict[str, Any]):
    """The flags of the released code; it is a mistake if one that is needed is not given."""

    def __missing__(self, name: str) -> Any:
        raise UserError(f"--flags: '{name}' is missing, and the settings depend on it")


def read_flags(text: str) -> Flags:
    """A JSON file, or `method=LoRA,alpha_lora=16,...`; numbers and booleans as in JSON."""
    if "=" not in text:
        flags = read_json(Path(text))
        if not isinstance(flags, dict):
            raise UserError(f"--flags: {text} is no JSON file that maps flags to values")
        return Flags(flags)
    pairs = (item.partition("=") for item in re.split(r",(?=\w+=)", text))
    return Flags({name.strip(): _value(value) for name, _, value in pairs})


def _value(text: str) -> Any:
    try:
        return json.loads(text.lower() if text in ("True", "False", "None") else text)
    except ValueError:
        return text


def import_checkpoint(checkpoint: Path, flags: Flags, out: Path) -> Task:
    from safetensors.torch import save

    state = read_tensors(checkpoint)
    if (head := state.get("classification_head.weight")) is None:
        raise UserError(
            f"{checkpoint}: no classification_head, so the released code did not write it"
        )
    task = task_of(flags, classes=len(head))
    released.fill(without_memory(task), flags, state, complete=True)  # before anything is allocated
    model = assemble(bare_encoder(task.backbone, task.dataset.frames), task)
    released.fill(model, flags, state, complete=True)
    _positions_are_as_run(model)
    kept = {name: tensor.contiguous() for name, tensor in trained_state(model).items()}
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "task.json", task.to_json())
        write_atomic(out / "weights.safetensors", save(kept))
    except OSError as error:
        raise UserError(f"cannot write {out}: {reason(error)}") from None
    return task


def task_of(flags: Flags, classes: int) -> Task:
    """Expand a study of one task, so that everything else is as in the as-run profile."""
    if flags["dataset_name"] not in DATASETS:
        wrong = flags["dataset_name"]
        raise UserError(f"--flags: no dataset_name '{wrong}'{nearest(wrong, DATASETS)}")
    dataset: dict[str, Any] = {"classes": classes}
    if "max_length" in flags:
        dataset["frames"] = flags["max_length"]
    family = released.family_of(flags)
    source = flags.get("model_ckpt_AST", SOURCES[family])
    method = released.method_of(flags)
    study = {
        "description": "a checkpoint of the released code",
        "profile": "as-run",
        "report": "test_last",
        "matrix": {
            "dataset": DATASETS[flags["dataset_name"]],
            "backbone": "imported",
            "method": flags["method"],
            "fold": flags.get("fold", 0),
            "seed": int(flags.get("seed", 10)),
        },
        "backbones": {"imported": {"backbone": _plain(released.backbone_of(flags, source))}},
        "methods": {flags["method"]: {"method": _plain(method)}},
        "set": {"dataset": dataset, "train": {"lr": flags.get("lr") or _rate(method.family)}},
    }
    return expand(study, "imported")[0]


def _plain(part: Any) -> dict[str, Any]:
    return part.model_dump(mode="json", exclude_defaults=True)


def _rate(family: str) -> float:
    """The released code has a learning rate for each method; the first preset of each has it."""
    rates: dict[str, float] = {}
    for preset in read_yaml(PRESETS).data["methods"].values():
        method, train = preset.get("method", {}), preset.get("train", {})
        if "family" in method and "lr" in train:
            rates.setdefault(method["family"], float(train["lr"]))
    return rates[family]


def _positions_are_as_run(model: Model) -> None:
    """Frozen position embeddings are not kept, because as-run they are zero; check that."""
    for name, tensor in model.named_parameters():
        if name.endswith(".position") and not tensor.requires_grad and bool(tensor.any()):
            raise UserError("the checkpoint's position embeddings are not zero, as the as-run ones")
