"""For a key that does not exist: the one that was probably meant."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from petl.config.methods.base import Method
from petl.config.yamlfile import KeyPath
from petl.errors import nearest

OTHER_NAMES = {
    "lr": "learning_rate max_lr base_lr",
    "head_lr": "head_learning_rate lr_head classifier_lr",
    "epochs": "num_epochs n_epochs max_epochs num_train_epochs",
    "batch_size": "batch bs train_batch_size per_device_train_batch_size",
    "weight_decay": "wd l2",
    "betas": "adam_betas beta",
    "eps": "epsilon adam_eps adam_epsilon",
    "warm_up": "warmup warmup_epochs warmup_ratio",
    "warm_up_steps": "warmup_steps num_warmup_steps",
    "best_by": "metric_for_best_model monitor",
    "clip_norm": "clip grad_clip gradient_clip gradient_clip_val max_grad_norm",
    "patience": "early_stopping early_stop early_stopping_patience",
    "min_improvement": "min_delta early_stopping_threshold",
    "micro_batch": "grad_accumulation accumulate_grad_batches gradient_accumulation_steps",
    "layer_checkpointing": "checkpointing grad_checkpointing gradient_checkpointing",
    "precision": "amp fp16 bf16 mixed_precision dtype",
    "label_smoothing": "smoothing label_smoothing_factor",
    "spec_augment": "specaug spec_aug specaugment augmentation",
    "every": "subsample subsample_every stride take_every",
    "few_shot": "shots k_shot n_shot num_shots",
    "frames": "target_length max_length num_frames",
    "classes": "num_classes n_classes num_labels n_class",
    "source": "checkpoint pretrained pretrained_model model_name model_name_or_path",
    "reduction": "rank r lora_r lora_rank bottleneck_dim",
    "alpha": "lora_alpha",
    "targets": "target_modules",
    "layers": "layers_to_transform",
    "kernel": "kernel_size conv_kernel",
    "length": "num_prompts num_tokens num_virtual_tokens prompt_length prefix_length",
    "experts": "num_experts n_experts",
}
"""What other libraries and papers call our keys."""
OURS = {other: ours for ours, others in OTHER_NAMES.items() for other in others.split()}


def suggestion(model: type[BaseModel], data: Any, path: KeyPath) -> str:
    """`; did you mean 'lr'?`: by its other name, its place in another part, or its spelling."""
    key, here = str(path[-1]), list(_fields_at(model, data, path[:-1]))
    meant = _ours(key) if _ours(key) in here else place_of(key, model, data)
    return did_you_mean(key, meant) if meant else nearest(key, here)


def did_you_mean(key: str, meant: str) -> str:
    note = " (the rank is the hidden size divided by it)" if _ours(key) == "reduction" else ""
    return f"; did you mean '{meant}'?{note}"


def place_of(key: str, model: type[BaseModel], data: Any) -> str | None:
    """`train.lr` for `lr` and for `learning_rate`."""
    places = (".".join(at) for at in _settings(model, data) if at[-1] in (key, _ours(key)))
    return next(places, None)


def _ours(key: str) -> str | None:
    return OURS.get(key.lower().replace("-", "_"))


def _settings(annotation: Any, data: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The keys of all settings that the data could hold."""
    for model in _models(annotation, data):
        for name, field in model.model_fields.items():
            key = field.alias or name
            yield (*at, key)
            below = data.get(key) if isinstance(data, dict) else None
            yield from _settings(field.annotation, below, (*at, key))


def _fields_at(model: type[BaseModel], data: Any, path: KeyPath) -> Iterator[str]:
    annotation: Any = model
    for part in path:
        members = list(_models(annotation, data))
        if members and isinstance(part, str):
            annotation = _field(members[0], part)
        else:
            annotation = (get_args(_bare(annotation)) or (None,))[-1]
        data = data[part]
    for member in _models(annotation, data):
        yield from (field.alias or name for name, field in member.model_fields.items())


def _field(model: type[BaseModel], key: str) -> Any:
    for name, field in model.model_fields.items():
        if key in (name, field.alias):
            return field.annotation
    return None


def _models(annotation: Any, data: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation allows, narrowed by the discriminator in the data."""
    annotation = _bare(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Method):
        family = data.get("family") if isinstance(data, dict) else None
        every = annotation.members()
        yield from [every[str(family)]] if str(family) in every else every.values()
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, types.UnionType):
        members = [m for arg in get_args(annotation) for m in _models(arg, data)]
        for tag in ("family", "kind"):
            given = data.get(tag) if isinstance(data, dict) else None
            narrowed = [m for m in members if tag in m.model_fields and _literal(m, tag) == given]
            members = narrowed or members
        yield from members


def _literal(model: type[BaseModel], field: str) -> Any:
    return (get_args(model.model_fields[field].annotation) or (None,))[0]


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
