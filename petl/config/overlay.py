"""Mappings laid over each other, where every value remembers the file and key that set it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from petl.config.yamlfile import KeyPath, YamlFile

Tree = dict[str, Any]
Layer = tuple[YamlFile, KeyPath]
"""A tree in a file, by the key under which it stands."""

TASK_PARTS = ("dataset", "backbone", "method", "train")


@dataclass
class Layers:
    """Trees laid over each other; remembers which file and key each value came from."""

    layers: Sequence[Layer]
    data: Tree = field(default_factory=dict)
    origins: dict[KeyPath, Layer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for file, key in self.layers:
            tree = value_at(file.data, key) or {}
            if key[0] in ("datasets", "backbones", "methods"):
                tree = {part: tree[part] for part in TASK_PARTS if part in tree}
            self._lay(self.data, tree, (), file, key)

    def _lay(self, under: Tree, over: Any, at: KeyPath, file: YamlFile, key: KeyPath) -> None:
        for name, value in over.items():
            here, origin = (*at, name), (*key, name)
            below: Any = under.get(name)
            if not isinstance(value, Mapping):
                under[name] = value
            elif not isinstance(below, dict) or _other_kind(below, value):
                self._forget(here)
                below = under[name] = {}
            self.origins[here] = (file, origin)
            if isinstance(value, Mapping):
                self._lay(below, value, here, file, origin)

    def _forget(self, at: KeyPath) -> None:
        for key in [key for key in self.origins if key[: len(at)] == at]:
            del self.origins[key]

    def fill_from(self, base: Layers) -> None:
        """Take from the base what is not set here.

        Not the same as lying on it: what a bottleneck does not inherit from the conformer that it
        replaces, it still gets from the base.
        """
        fill(self.data, base.data)
        self.origins = base.origins | self.origins

    def where(self, key: KeyPath) -> str | None:
        """The file and line that set it; what is missing was set nowhere.

        A list is laid as a whole: what stands in it came from where the list did.
        """
        items = [i for i, part in enumerate(key) if isinstance(part, int)]
        whole = key[: items[0]] if items else key
        if whole not in self.origins:
            return None
        file, origin = self.origins[whole]
        return file.where((*origin, *key[len(whole) :]))


def _other_kind(below: Mapping[str, Any], over: Mapping[str, Any]) -> bool:
    """A bottleneck laid over a conformer replaces it: a kernel size must not shine through."""
    tags = ("family", "kind")
    return any(tag in below and tag in over and below[tag] != over[tag] for tag in tags)


def fill(data: Tree, base: Tree) -> None:
    """Take from the base what is not there."""
    for name, value in base.items():
        if name not in data:
            data[name] = value
        elif isinstance(data[name], dict) and isinstance(value, dict):
            fill(data[name], value)


def value_at(data: Any, key: KeyPath) -> Any:
    for part in key:
        if isinstance(data, Mapping) and part not in data:
            return {}
        data = data[part]
    return data
