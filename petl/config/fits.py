"""Which parts of a task fit together: each check raises a ValueError that says what to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from petl.config.dataset import NEEDS
from petl.config.head import HeadSettings
from petl.config.kinds import NO_LABELS, NUMBERS, SEVERAL_LABELS
from petl.config.objective import Reconstruct

if TYPE_CHECKING:
    from petl.config.task import Task


def check(task: Task) -> None:
    _fold(task)
    _backbone(task)
    _head(task)
    _front_end(task)
    _best_by(task)
    _windows(task)
    _train(task)
    if task.objective is not None:
        _objective(task)
    elif task.dataset.kind is NO_LABELS:
        raise ValueError(f"{NEEDS}, or an 'objective' to pre-train without labels")
    if task.generator is not None:
        _generator(task)
    if task.augment is not None:
        _augment(task)


def _fold(task: Task) -> None:
    folds = task.dataset.folds
    if task.fold >= folds:
        have = f"folds 0-{folds - 1}" if folds > 1 else "only fold 0"
        raise ValueError(f"fold {task.fold}: {task.dataset.corpus} has {have}")


def _backbone(task: Task) -> None:
    family, pooling, method = task.backbone.family, task.backbone.pooling, task.method
    if "prompts" in pooling and not method.prompt_length:
        raise ValueError(
            f"backbone.pooling '{pooling}' needs a prompt method, not '{method.family}'"
        )
    if pooling == "cls+dist" and (family != "ast" or method.prompt_length):
        raise ValueError(
            "backbone.pooling 'cls+dist' needs a distillation token: only the AST has one, "
            "and prompts replace it"
        )
    if family == "wav2vec2" and method.prompt_length:
        raise ValueError("prompts are inserted after the CLS token, and wav2vec 2.0 has none")
    if family == "wav2vec2" and task.dataset.spec_augment is not None:
        raise ValueError(
            "dataset.spec_augment masks spectrograms and wav2vec 2.0 reads waveforms: "
            "set it to null"
        )


def _head(task: Task) -> None:
    head, backbone, train = task.head, task.backbone, task.train
    if head.output == "sigmoid" and task.dataset.kind is not NUMBERS:
        raise ValueError("head.output 'sigmoid' is for the targets of a regression")
    if head.norm == "twice" and backbone.family == "wav2vec2":
        raise ValueError("head.norm 'twice': wav2vec 2.0 ends without a LayerNorm")
    if head.norm == "twice" and backbone.pooling == "cls+dist":
        raise ValueError(
            "head.norm 'twice': backbone.pooling 'cls+dist' has a second LayerNorm of its own"
        )
    if head.pooling == "attentive" and "cls" in backbone.pooling:
        raise ValueError(
            f"head.pooling 'attentive' needs the tokens of the clip, and backbone.pooling "
            f"'{backbone.pooling}' leaves them out: choose 'all' or 'speech'"
        )
    if head.trained:
        return
    if head.pooling == "attentive":
        raise ValueError("head.pooling 'attentive' is for a head that trains")
    if task.method.family == "head":
        raise ValueError("head.trained is false, and method 'head' trains nothing else")
    for name, value in (("head_lr", train.head_lr), ("head_first", train.head_first)):
        if value:
            raise ValueError(f"train.{name} is for a head that trains: head.trained is false")


def _front_end(task: Task) -> None:
    front_end, family = task.dataset.front_end, task.backbone.family
    if front_end.kind != "ast" and family == "wav2vec2":
        raise ValueError(
            f"dataset.front_end '{front_end.kind}' makes spectrograms and wav2vec 2.0 reads "
            "waveforms: leave it out"
        )
    if front_end.is_image and family == "ast":
        raise ValueError(
            "dataset.front_end 'image' makes pictures for a ViT; the AST reads 'ast' and 'mel'"
        )


def _best_by(task: Task) -> None:
    wanted, have = task.train.best_by, list(task.dataset.kind.metrics)
    if task.dataset.kind is NUMBERS:
        targets = task.dataset.targets
        have += [f"{name}_{target}" for name in have if name != "loss" for target in targets]
    if wanted is not None and wanted not in have:
        raise ValueError(f"train.best_by '{wanted}': this task has {', '.join(have)}")


def _windows(task: Task) -> None:
    windows, heard = task.dataset.windows, task.dataset.seconds
    if windows and windows.length > heard + 0.005:
        raise ValueError(
            f"dataset.windows.length is {windows.length:g} s, and a model hears {heard:g} s of "
            "a clip: set dataset.frames so that it hears all of a window"
        )


def _train(task: Task) -> None:
    train, kind, targets = task.train, task.dataset.kind, task.dataset.targets
    if kind is NUMBERS and train.label_smoothing:
        raise ValueError("train.label_smoothing is for classes; a regression has none")
    if kind is SEVERAL_LABELS and train.label_smoothing:
        raise ValueError("train.label_smoothing is for clips with one label each")
    if kind is NUMBERS and train.sampling == "balanced":
        raise ValueError("train.sampling 'balanced' is for classes; a regression has none")
    weights = train.target_weights
    if kind is not NUMBERS and weights is not None:
        raise ValueError("train.target_weights is for the targets of a regression")
    if weights is not None and sorted(weights) != sorted(targets):
        raise ValueError(
            f"train.target_weights has {', '.join(weights) or 'nothing'}; "
            f"the targets are {', '.join(targets)}"
        )
    if kind is not NUMBERS and train.loss != "mse":
        raise ValueError(
            f"train.loss '{train.loss}' is for a regression; a classification minimises {kind.loss}"
        )
    if train.micro_batch is not None and task.method.has_batch_norm:
        raise ValueError(
            "train.micro_batch would give a conformer's BatchNorm other statistics; "
            "'layer_checkpointing: on' saves more memory and changes no result"
        )


def _objective(task: Task) -> None:
    dataset = task.dataset
    others = {
        "'classes' and 'targets'": dataset.kind is not NO_LABELS,
        "dataset.few_shot": dataset.few_shot is not None,
        "dataset.front_end": dataset.front_end.kind != "ast",
        "'augment'": task.augment is not None,
    }
    _refuse_beside("an 'objective'", others | _of_answers(task))
    if task.backbone.family != "ast":
        raise ValueError(f"an 'objective' needs an AST, not '{task.backbone.family}'")
    if task.method.family != "full":
        raise ValueError(
            f"an 'objective' trains the whole encoder: use 'method: full', not "
            f"'{task.method.family}'"
        )
    if isinstance(task.objective, Reconstruct) and task.objective.time > dataset.frames:
        raise ValueError(
            f"objective.time: a stretch of {task.objective.time} frames is longer than a clip's "
            f"{dataset.frames}"
        )


def _generator(task: Task) -> None:
    train = task.train
    others = {
        "an 'objective'": task.objective is not None,
        "'augment'": task.augment is not None,
        "dataset.front_end 'image'": task.dataset.front_end.is_image,
        "train.best_by": train.best_by is not None,
        "train.patience": train.patience is not None,
        "train.min_improvement": train.min_improvement > 0,
        "train.later_batches": bool(train.later_batches),
        "train.layer_checkpointing": train.layer_checkpointing == "on",
        "train.frozen": train.frozen == "cached",
        "train.precision": train.precision != "float32",
        "train.head_lr": train.head_lr is not None,
        "train.loss": train.loss != "mse",
        "train.target_weights": train.target_weights is not None,
        "train.curve": train.curve != "cosine",  # its learning rate stays as it is
        "train.warm_up": train.warm_up > 0,
        "train.warm_up_steps": train.warm_up_steps is not None,
    }
    _refuse_beside("a 'generator'", others | _of_answers(task))
    if task.backbone.form == "waveform":
        raise ValueError("a 'generator' makes spectrograms, and wav2vec 2.0 reads waveforms")
    if task.method.family != "full":
        raise ValueError(
            f"a 'generator' trains all of its own weights: use 'method: full', not "
            f"'{task.method.family}'"
        )


def _augment(task: Task) -> None:
    if task.backbone.form == "waveform":
        raise ValueError("'augment' adds spectrograms, and wav2vec 2.0 reads waveforms")
    others = {
        "train.sampling 'balanced'": task.train.sampling == "balanced",
        "dataset.front_end 'image'": task.dataset.front_end.is_image,
    }
    _refuse_beside("'augment'", others)


def _of_answers(task: Task) -> dict[str, bool]:
    """What only a model that answers has, and whether it is set."""
    train = task.train
    return {
        "dataset.spec_augment": task.dataset.spec_augment is not None,
        "head": task.head != HeadSettings(),
        "train.mixup": train.mixup is not None,
        "train.sampling 'balanced'": train.sampling == "balanced",
        "train.label_smoothing": train.label_smoothing > 0,
        "train.head_first": train.head_first > 0,
    }


def _refuse_beside(what: str, others: dict[str, bool]) -> None:
    for setting, is_set in others.items():
        if is_set:
            raise ValueError(f"{setting} cannot be combined with {what}; leave it out")
