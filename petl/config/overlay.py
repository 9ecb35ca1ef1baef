"""Mappings laid over each other, where every value remembers the file and key that set it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from petl.config.yamlfile import KeyPath, Source

Tree = dict[str, Any]
Fragment = tuple[Source, KeyPath]
"""Part of a source: what is under that key; under no key, the parts of a task at its top."""

TASK_PARTS = ("dataset", "backbone", "method", "head", "train", "objective", "generator", "augment")


@dataclass
class Overlay:
    """Fragments merged in order, later ones over earlier ones."""

    fragments: Sequence[Fragment]
    data: Tree = field(default_factory=dict)
    origins: dict[KeyPath, Fragment] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for source, key in self.fragments:
            tree = value_at(source.data, key) or {}
            if not key or key[0] in ("datasets", "backbones", "methods"):
                tree = {part: tree[part] for part in TASK_PARTS if part in tree}
            self._merge(self.data, tree, (), source, key)

    def _merge(self, under: Tree, over: Any, at: KeyPath, source: Source, key: KeyPath) -> None:
        for name, value in over.items():
            here, origin = (*at, name), (*key, name)
            below: Any = under.get(name)
            if not isinstance(value, Mapping):
                under[name] = value
            elif not isinstance(below, dict) or _other_kind(below, value):
                self._forget(here)
                below = under[name] = {}
            self.origins[here] = (source, origin)
            if isinstance(value, Mapping):
                self._merge(below, value, here, source, origin)

    def put(self, at: tuple[str, ...], value: Any, source: Source, key: KeyPath) -> None:
        """One value over whatever is there; `key` is where the source has it."""
        below = self.data
        for name in at[:-1]:
            if not isinstance(below.get(name), dict):
                below[name] = {}
            below = below[name]
        self._forget(at)
        below[at[-1]] = value
        self.origins[at] = (source, key)

    def _forget(self, at: KeyPath) -> None:
        for key in [key for key in self.origins if key[: len(at)] == at]:
            del self.origins[key]

    def fill_from(self, base: Overlay) -> None:
        """Take from the base what is not set here.

        This differs from merging over the base: when a bottleneck replaces a conformer, it
        inherits nothing from the conformer, but it still gets its defaults from the base.
        """
        fill(self.data, base.data)
        self.origins = base.origins | self.origins

    def where(self, key: KeyPath) -> str | None:
        """The file and line that set the key, or None if nothing did.

        A list is replaced as a whole, so its items come from wherever the list came from.
        """
        items = [i for i, part in enumerate(key) if isinstance(part, int)]
        whole = key[: items[0]] if items else key
        if whole not in self.origins:
            return None
        source, origin = self.origins[whole]
        return source.where((*origin, *key[len(whole) :]))


def _other_kind(below: Mapping[str, Any], over: Mapping[str, Any]) -> bool:
    """A bottleneck over a conformer replaces it: the conformer's kernel size must not stay."""
    tags = ("family", "kind")
    return any(tag in below and tag in over and below[tag] != over[tag] for tag in tags)


def fill(data: Tree, base: Tree) -> None:
    """Copy what is missing from the base."""
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
