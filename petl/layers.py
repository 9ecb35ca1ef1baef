"""Mappings laid over each other, where every value remembers the file and key that set it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from petl.yamlfile import KeyPath, YamlFile

TASK_PARTS = ("dataset", "backbone", "method", "train")


@dataclass
class Layers:
    """Trees laid over each other; remembers which file and key each value came from."""

    layers: Sequence[tuple[YamlFile, KeyPath]]
    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, tuple[YamlFile, KeyPath]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for file, key in self.layers:
            tree = value_at(file.data, key) or {}
            if key[0] in ("datasets", "backbones", "methods"):
                tree = {part: tree[part] for part in TASK_PARTS if part in tree}
            self._lay(self.data, tree, (), file, key)

    def _lay(self, under: dict[str, Any], over: Mapping[str, Any], at: KeyPath, file: YamlFile, key: KeyPath) -> None:
        for name, value in over.items():
            self.origins[(*at, name)] = (file, (*key, name))
            below = under.get(name)
            if isinstance(value, Mapping) and isinstance(below, dict) and not _other_kind(below, value):
                self._lay(below, value, (*at, name), file, (*key, name))
            elif isinstance(value, Mapping):
                under[name] = {}
                self._lay(under[name], value, (*at, name), file, (*key, name))
            else:
                under[name] = value

    def where(self, key: KeyPath, study: YamlFile) -> str:
        for end in range(len(key), 0, -1):
            if key[:end] in self.origins:
                file, origin = self.origins[key[:end]]
                return file.where(origin)
        return study.where(())


def _other_kind(below: Mapping[str, Any], over: Mapping[str, Any]) -> bool:
    """A bottleneck laid over a conformer replaces it: a kernel size must not shine through."""
    return any(tag in below and tag in over and below[tag] != over[tag] for tag in ("family", "kind"))


def value_at(data: Any, key: KeyPath) -> Any:
    for part in key:
        if isinstance(data, Mapping) and part not in data:
            return {}
        data = data[part]
    return data
