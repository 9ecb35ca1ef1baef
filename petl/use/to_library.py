"""A run as a checkpoint of Hugging Face's Audio Spectrogram Transformer.

The method is merged into the backbone's weights, so that the encoder is the library's. What remains
is how the head reads the tokens. The library's classifier normalises the mean of CLS and DIST once
more, which is our pooling `cls+dist`: such a run becomes an ASTForAudioClassification. For any
other pooling no weights of that class give the same logits, so the encoder becomes an ASTModel, and
the head a file beside it.
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from petl import config
from petl.backbones import ast
from petl.backbones.encoder import Encoder, Wrapper
from petl.backbones.naming import to_huggingface
from petl.config.front_end import BINS, RATE
from petl.config.kinds import NUMBERS, ONE_LABEL, SEVERAL_LABELS
from petl.errors import UserError
from petl.methods.apply import merge
from petl.model.build import Model
from petl.model.head import Stack
from petl.use.load import LoadedRun

INSTEAD = "use --format adapter"
POOLED = {
    "all": "hidden.mean(dim=1)",
    "cls": "hidden[:, 0]",
    "speech": "hidden[:, 2:].mean(dim=1)",
}
"""How a separate head reads an ASTModel. Poolings of prompts are refused before."""
PROBLEMS = {
    ONE_LABEL: "single_label_classification",
    SEVERAL_LABELS: "multi_label_classification",
    NUMBERS: "regression",
}

CLASSIFIER = """\
```python
import torch
from transformers import ASTForAudioClassification

model = ASTForAudioClassification.from_pretrained(folder).eval()
with torch.no_grad():
    logits = model(input_values).logits
```
"""
ENCODER = """\
The encoder is an `ASTModel`; the head is in `head.safetensors`. `ASTForAudioClassification` would
read these weights and compute something else: it takes the mean of CLS and DIST and normalises it,
while this model was trained with `pooling: {pooling}`.

```python
import torch
from safetensors.torch import load_file
from transformers import ASTModel

model, head = ASTModel.from_pretrained(folder).eval(), load_file(f"{{folder}}/head.safetensors")
with torch.no_grad():
    hidden = {hidden}
    logits = {pooled} @ head["weight"].T + head["bias"]
```
"""


def to_library(run: LoadedRun) -> tuple[dict[str, bytes], str]:
    """The files by name, and a description of them."""
    _refuse_other_models(run.task)
    refuse_other_encoders(run.model.backbone)
    model = deepcopy(run.model).cpu()
    merge(model)
    encoder = model.backbone
    if wrappers := sorted({type(m).__name__ for m in encoder.modules() if isinstance(m, Wrapper)}):
        why = f"petl cannot merge {', '.join(wrappers)}"
        raise UserError(_not_mergeable(run.task.method.family, why))
    _fill_qkv_biases(encoder)
    tensors = to_huggingface(encoder.state_dict(), ast.NAMING)
    classifier = run.task.backbone.pooling == "cls+dist"
    head = head_of(run)
    files = {
        "config.json": as_json(model_config(run, encoder, classifier)),
        "preprocessor_config.json": as_json(preprocessor(run)),
        "README.md": _readme(run, classifier).encode(),
    }
    if classifier:
        tensors = {f"{ast.NAMING.prefix}{name}": t for name, t in tensors.items()}
        tensors |= classifier_tensors(model, head)
        description = "an ASTForAudioClassification"
    else:
        files["head.safetensors"] = save(head)
        pooling = run.task.backbone.pooling
        description = (
            "an ASTModel and its head; README.md shows how to use them. (An ASTForAudio"
            f"Classification needs `pooling: cls+dist`; this run has `pooling: {pooling}`)"
        )
    return files | {"model.safetensors": save(tensors, {"format": "pt"})}, description


def _refuse_other_models(task: config.Task) -> None:
    if not isinstance(task.backbone, config.AST):
        raise UserError(
            f"--format huggingface writes an AST, and this backbone is {task.backbone.family}; "
            f"{INSTEAD}"
        )
    if task.head.pooling == "attentive":
        raise UserError(
            "--format huggingface writes a head that is one linear map, and this run has attentive "
            f"pooling; {INSTEAD}"
        )
    refuse_other_heads(task)
    refuse_other_front_ends(task)
    for part in task.method.parts:
        if part.why_not_merged:
            raise UserError(_not_mergeable(part.family, part.why_not_merged))


def refuse_other_front_ends(task: config.Task) -> None:
    """The library's extractor computes the AST's filter bank only."""
    kind = task.dataset.front_end.kind
    if kind != "ast":
        raise UserError(
            f"this run reads dataset.front_end '{kind}', which the library's feature extractor "
            f"cannot compute; {INSTEAD}"
        )


def refuse_other_encoders(encoder: Encoder) -> None:
    """The library's AST has CLS and DIST, and norms before its branches."""
    if encoder.special != 2 or encoder.shape.norm != "pre":
        assert encoder.origin is not None
        raise UserError(
            f"this backbone's layout, {encoder.origin.layout}, computes what no AST of the library "
            f"does (it has no DIST token); {INSTEAD}"
        )


def refuse_other_heads(task: config.Task) -> None:
    if not task.head.is_one_map:
        raise UserError(
            "the library's head is one linear map, and this run's head has hidden layers or a "
            f"sigmoid; {INSTEAD}"
        )


def _not_mergeable(family: str, why: str) -> str:
    return (
        f"--format huggingface merges the method into the AST's weights, and '{family}' cannot be "
        f"merged: {why}; {INSTEAD}"
    )


def _fill_qkv_biases(encoder: Encoder) -> None:
    """Merging SSF adds biases to some layers; the library has them in all layers or in none."""
    maps = [layer.attention.qkv.linear for layer in encoder.bare_layers()]
    if any(linear.bias is not None for linear in maps):
        for linear in maps:
            if linear.bias is None:
                linear.bias = nn.Parameter(torch.zeros(len(linear.weight)))


def head_of(run: LoadedRun) -> dict[str, Tensor]:
    """It answers in the unit of the targets, because the library knows no scale."""
    linear = run.model.head[-1] if isinstance(run.model.head, Stack) else run.model.head
    head = {name: t.detach().cpu().clone() for name, t in linear.state_dict().items()}
    if (scale := run.task.dataset.scale) is not None:
        head = {"weight": head["weight"] * scale.spread, "bias": scale.undone(head["bias"])}
    return head


def classifier_tensors(model: Model, head: dict[str, Tensor]) -> dict[str, Tensor]:
    """The classifier's LayerNorm stays neutral: a gain before a linear map is part of the map."""
    hidden = model.backbone.shape.hidden
    return {
        "classifier.layernorm.weight": torch.ones(hidden),
        "classifier.layernorm.bias": torch.zeros(hidden),
        "classifier.dense.weight": head["weight"],
        "classifier.dense.bias": head["bias"],
    }


def model_config(run: LoadedRun, encoder: Encoder, classifier: bool) -> dict[str, Any]:
    config = ast.config_of(encoder, run.task.dataset.frames)
    return config | {
        "architectures": ["ASTForAudioClassification" if classifier else "ASTModel"],
        "problem_type": PROBLEMS[run.task.kind],
        "id2label": {str(label): name for label, name in enumerate(run.names)},
        "label2id": {name: label for label, name in enumerate(run.names)},
    }


def preprocessor(run: LoadedRun) -> dict[str, Any]:
    assert run.statistics is not None
    statistics = run.statistics
    return ast.extractor_config(run.task.dataset.frames, statistics.mean, statistics.std)


def _readme(run: LoadedRun, classifier: bool) -> str:
    names, pooling = run.task.names, run.task.backbone.pooling
    use = CLASSIFIER
    if not classifier:
        hidden = "model(input_values).last_hidden_state"
        if run.task.head.norm == "twice":
            hidden = f"model.layernorm({hidden})"
        use = ENCODER.format(pooling=pooling, pooled=POOLED[pooling], hidden=hidden)
    return (
        f"# {names.method_label} on {names.dataset_label}\n\n"
        f"An Audio Spectrogram Transformer from `{run.task.backbone.source}`, fine-tuned by "
        f"petl-ast (run {run.task.run_id}, {run.weights} weights) and merged. `config.json` names "
        "its outputs.\n\n"
        f"{use}\n"
        "`input_values` are what `ASTFeatureExtractor.from_pretrained(folder)` makes of a mono "
        f"waveform at {RATE} Hz, `(clips, {run.task.dataset.frames}, {BINS})`.\n"
    )


def as_json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
