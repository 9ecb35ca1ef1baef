"""What a study may say in a word: `spec_augment: mild`, a conformer's kernel by `sound`, a dataset
without its labels by an `objective`, and `{fold}` in the name of a backbone's folder.

They are replaced before a task is validated or made, so a task holds plain values only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from petl.config.dataset import UNLABELLED
from petl.config.overlay import Overlay, Tree, fill, value_at
from petl.config.study_file import Masks, Sound
from petl.config.task import Task
from petl.config.yamlfile import KeyPath, Source
from petl.errors import UserError, nearest

MASKS: dict[Masks, tuple[int, float]] = {"mild": (24, 0.16), "strong": (48, 0.2)}
"""Mel bins, and the share of a clip: 24 and 80 of 500 frames are the paper's, 48 and 20 per cent
are close to what the AST was pre-trained with."""
KERNELS: dict[Sound, int] = {"speech": 31, "other": 8}
"""The paper's kernels of a conformer adapter."""
AT: KeyPath = ("dataset", "spec_augment")
HELD_OUT = {"validation": 0.1, "test": 0.0}
"""The share of the sounds without labels that do not train."""


def replace_masks(tree: Overlay) -> None:
    dataset = tree.data.get("dataset")
    word = dataset.get("spec_augment") if isinstance(dataset, dict) else None
    if not isinstance(dataset, dict) or not isinstance(word, str):
        return
    if word not in MASKS:
        near = nearest(word, get_args(Masks))
        raise UserError(f"{tree.where(AT)}: dataset.spec_augment cannot be '{word}'{near}")
    bins, share = MASKS[word]
    frames = dataset.get("frames")  # not validated yet
    time = round(share * frames) if isinstance(frames, int) else 0
    dataset["spec_augment"] = {"frequency": bins, "time": time}


def fit_kernels(tree: Overlay, sound: Sound | None, presets: Source) -> int | None:
    """Set the kernels that come from the suite's presets; the one set, if any was."""
    if sound is None:
        return None
    blocks = [block for at, block in _blocks(tree.data) if _comes_from(tree, at, presets)]
    for block in blocks:
        block["kernel"] = KERNELS[sound]
    return KERNELS[sound] if blocks else None


def _blocks(task: Tree) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """The conformer blocks of a method or of a combination's methods."""
    method = value_at(task, ("method",))
    parts = value_at(method, ("methods",)) if isinstance(method, Mapping) else None
    for part in parts if isinstance(parts, list) else [method]:
        block = part.get("block") if isinstance(part, Mapping) else None
        if isinstance(block, dict) and block.get("kind") == "conformer":
            yield ("method", "methods" if part is not method else "block"), block


def _comes_from(tree: Overlay, at: KeyPath, presets: Source) -> bool:
    key = at if at[-1] == "methods" else (*at, "kernel")
    source, _ = tree.origins.get(key, (None, ()))
    return source is presets


def leave_out_labels(tree: Overlay) -> None:
    """With an objective, a dataset's labels are not used, and nothing that is for them.

    All sounds of a folder are held out in part as nothing else is asked for.
    """
    dataset = tree.data.get("dataset")
    if not tree.data.get("objective") or not isinstance(dataset, dict):
        return
    for name in ("classes", "targets", "few_shot"):
        dataset.pop(name, None)
    dataset["spec_augment"] = None
    if dataset.get("layout") == UNLABELLED:
        fill(dataset, {"folds": 1})
        if "split" not in dataset:
            fill(dataset, {"split": "ratio", "ratio": dict(HELD_OUT)})


def leave_out_masks(tree: Overlay) -> None:
    """A generator learns whole clips, whatever a preset of the dataset masks for a classifier."""
    dataset = tree.data.get("dataset")
    if tree.data.get("generator") and isinstance(dataset, dict):
        dataset["spec_augment"] = None


def with_its_source(task: Task, fold: int, seed: int) -> dict[str, Any]:
    """The backbone of this fold and seed, if its folder's name has a place for them."""
    source, own = task.backbone.source, {"fold": fold, "seed": seed, "dataset": task.names.dataset}
    for name, value in own.items():
        source = source.replace(f"{{{name}}}", str(value))
    if source == task.backbone.source:
        return {}
    return {"backbone": task.backbone.model_copy(update={"source": source})}
