"""YAML read safely, with the line of every key, and without YAML 1.1's surprises.

PyYAML follows YAML 1.1, where `5e-5` is a string and `no` is false. A learning rate that silently
becomes text costs a day, so numbers and booleans follow YAML 1.2's core schema here, and a key
given twice is an error instead of the last one winning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from petl.errors import UserError

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class YamlFile:
    path: Path
    data: dict[str, Any]
    lines: dict[KeyPath, int] = field(repr=False)

    def where(self, key: KeyPath) -> str:
        """`table1.yaml:12` for a key, or for the nearest of its parents that is in the file."""
        while key and key not in self.lines:
            key = key[:-1]
        return f"{self.path}:{self.lines.get(key, 1)}"


class _Loader(yaml.SafeLoader):
    pass


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":float"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\d+\.\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+)$"),
    list("-+.0123456789"),
)


def read_yaml(path: Path) -> YamlFile:
    """The file's mapping and where each key stands in it; whatever is wrong is a UserError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file{_similar_files(path)}") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; name a YAML file in it{_yaml_files(path)}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file (a study is YAML in UTF-8)") from None
    except OSError as error:
        raise UserError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    try:
        node = yaml.compose(text, Loader=_Loader)
        lines: dict[KeyPath, int] = {}
        data = _build(node, (), lines, path) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise UserError(f"{path}:{line}: {_yaml_problem(error, text, line)}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {error}") from None
    if data is None:
        raise UserError(f"{path}: the file is empty; see experiments/quickstart.yaml for a start")
    if not isinstance(data, dict):
        raise UserError(f"{path}:1: should be a mapping (key: value), not a {type(data).__name__}")
    return YamlFile(path, data, lines)


def _build(node: yaml.Node, key: KeyPath, lines: dict[KeyPath, int], path: Path) -> Any:
    lines.setdefault(key, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            name, line = str(key_node.value), key_node.start_mark.line + 1
            if name in mapping:
                first = lines[(*key, name)]
                raise UserError(f"{path}:{line}: '{name}' is given twice (first on line {first})")
            lines[(*key, name)] = line
            mapping[name] = _build(value_node, (*key, name), lines, path)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_build(child, (*key, i), lines, path) for i, child in enumerate(node.value)]
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    loader = _Loader("")
    try:
        return loader.construct_object(node)
    finally:
        loader.dispose()


def _yaml_problem(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    rows = text.splitlines()
    if any("\t" in row[: len(row) - len(row.lstrip())] for row in rows[max(0, line - 2) : line]):
        return "a tab in the indentation; YAML takes spaces only"
    return f"not YAML: {error.problem}"


def _similar_files(path: Path) -> str:
    import difflib

    folder = path.parent
    if not folder.is_dir():
        return f" (and no folder {folder})"
    names = [p.name for p in folder.glob("*.y*ml")]
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.4)
    return f"; did you mean {folder / close[0]}?" if close else ""


def _yaml_files(path: Path) -> str:
    names = sorted(p.name for p in path.glob("*.y*ml"))[:5]
    return f", such as {', '.join(names)}" if names else ""
