"""The switches of a profile, as-run or as-intended: for all tasks, and for those of a layout,
backbone, method, block, objective or preset of a method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from petl.config.overlay import Fragment, Overlay, Tree, fill, value_at
from petl.config.yamlfile import KeyPath, Source


def fill_from_profile(tree: Overlay, presets: Source, profile: str, like: Sequence[str]) -> None:
    """What the task does not set; `like` are the suite's presets that its method comes from.

    Each method of a combination gets what it would get alone.
    """
    task, root = tree.data, ("profiles", profile)
    switches = _switches(task, presets, root, like)
    tree.fill_from(Overlay([(presets, ("defaults",)), *switches]))
    method = task.get("method")
    if isinstance(method, dict) and isinstance(method.get("methods"), list):
        for part in filter(lambda part: isinstance(part, dict), method["methods"]):
            alone = Overlay([*_switches(task | {"method": part}, presets, root)])
            fill(part, alone.data.get("method", {}))


def _switches(
    task: Tree, presets: Source, root: KeyPath, like: Sequence[str] = ()
) -> Iterator[Fragment]:
    layout, backbone, family, kind, objective = (
        _text_at(task, key)
        for key in (
            ("dataset", "layout"),
            ("backbone", "family"),
            ("method", "family"),
            ("method", "block", "kind"),
            ("objective", "kind"),
        )
    )
    dataset = task.get("dataset")
    few = "few-shot" if isinstance(dataset, Mapping) and dataset.get("few_shot") else ""
    both = [f"{kind} in {family}", *(f"{method} on {backbone}" for method in (family, kind))]
    recipes = (f"like {name}" for name in like)
    for key in ("every", layout, few, backbone, family, kind, objective, *both, *recipes):
        if key in value_at(presets.data, root):
            yield presets, (*root, key)


def _text_at(tree: Any, key: KeyPath) -> str:
    """The text under a key of a tree that is not validated yet, or an empty string."""
    for part in key:
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree if isinstance(tree, str) else ""
