"""YAML read safely, with the line of every key and without the surprises of YAML 1.1.

PyYAML follows YAML 1.1, where `5e-5` is a string, `010` is eight and `no` is false. A learning rate
that silently becomes text costs a day. So numbers and booleans follow YAML 1.2's core schema here,
and a key given twice is an error instead of the last one winning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from petl.errors import UserError, reason
from petl.files import read_regular

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Source:
    """Settings that stand in no file."""

    name: str
    data: dict[str, Any]

    def where(self, key: KeyPath) -> str:
        """How a message points at a key: `my study, train.lr`."""
        return ", ".join(filter(None, (self.name, ".".join(map(str, key)))))


@dataclass(frozen=True)
class YamlFile(Source):
    path: Path
    lines: dict[KeyPath, int] = field(repr=False)

    def where(self, key: KeyPath) -> str:
        """`table1.yaml:12` for a key, or for its nearest parent that is in the file."""
        while key and key not in self.lines:
            key = key[:-1]
        return f"{self.path}:{self.lines.get(key, 1)}"


class _Loader(yaml.SafeLoader):
    pass


MAX_BYTES = 256 * 1024
"""Of a file. table1.yaml has 3 kB; a file of megabytes would take a login node minutes to parse."""
MAX_VALUES = 50_000
"""Of a file, after its aliases (*name) are replaced by what they stand for: they multiply."""
SCALARS = tuple(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null"))
_OURS = (":bool", ":int", ":float", ":timestamp", ":merge", ":value")


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(_OURS)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9]\d*)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\d+\.\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+)$"),
    list("-+.0123456789"),
)


def read_yaml(path: Path) -> YamlFile:
    """The file's mapping and the line of each key; anything wrong with it is a UserError."""
    try:
        content = read_regular(path)
        text = content.decode("utf-8") if len(content) <= MAX_BYTES else ""
    except FileNotFoundError:
        raise UserError(f"{path}: no such file{_similar_files(path)}") from None
    except IsADirectoryError:
        raise UserError(
            f"{path}: this is a folder; name a YAML file in it{_yaml_files(path)}"
        ) from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file (a study is YAML in UTF-8)") from None
    except OSError as error:
        raise UserError(f"{path}: {reason(error)}") from None
    if len(content) > MAX_BYTES:
        raise UserError(
            f"{path}: {len(content):,} bytes; a study or profile has at most {MAX_BYTES:,}: "
            "split it into several files"
        )
    try:
        node = _compose(text)
        builder = _Builder(path)
        data = builder.build(node, ()) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise UserError(f"{path}:{line}: {_yaml_problem(error, text, line)}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise UserError(f"{path}: nested too deeply") from None
    if data is None:
        raise UserError(f"{path}: the file is empty; experiments/quickstart.yaml is an example")
    if not isinstance(data, dict):
        kind = "a list" if isinstance(data, list) else "a single value"
        raise UserError(f"{path}:1: should be a mapping (key: value), not {kind}")
    return YamlFile(path.stem, data, path, builder.lines)


@lru_cache(maxsize=2)
def _compose(text: str) -> yaml.Node | None:
    """Kept for equal texts: it takes nearly all of the time, and each study reads the presets."""
    return yaml.compose(text, Loader=_Loader)


def parse_value(text: str) -> Any:
    """A value from the command line, parsed as it would be in a file."""
    try:
        node = yaml.compose(text, Loader=_Loader)
        return _Builder(Path("--set")).build(node, ()) if node is not None else None
    except yaml.YAMLError:
        return text
    except RecursionError:
        raise UserError(f"{text[:40]}...: nested too deeply") from None


class _Builder:
    """Turns nodes into plain dicts and lists, and notes the line of each key."""

    def __init__(self, path: Path):
        self.path = path
        self.lines: dict[KeyPath, int] = {}
        self.open: list[yaml.Node] = []
        self.values = 0

    def build(self, node: yaml.Node, key: KeyPath) -> Any:
        self.lines.setdefault(key, _line(node))
        self.values += 1
        if self.values > MAX_VALUES:
            raise self._error(node, f"over {MAX_VALUES:,} values, with aliases (*name) replaced")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if node in self.open:
            raise self._error(node, "this anchor contains itself")
        if not node.tag.endswith((":map", ":seq")):
            raise self._unsupported(node)
        self.open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, key)
            return [self.build(child, (*key, i)) for i, child in enumerate(node.value)]
        finally:
            self.open.pop()

    def _mapping(self, node: yaml.MappingNode, key: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for name_node, value_node in node.value:
            if not isinstance(name_node, yaml.ScalarNode):
                raise self._error(name_node, "a key must be plain text, not a list or a mapping")
            name = name_node.value
            here = (*key, name)
            if name in mapping:
                first = self.lines[here]
                raise self._error(name_node, f"'{name}' is given twice (first on line {first})")
            self.lines[here] = _line(name_node)
            mapping[name] = self.build(value_node, here)
        return mapping

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        if node.tag not in SCALARS:
            raise self._unsupported(node)
        loader = _Loader("")
        try:
            return loader.construct_object(node)
        except (ValueError, LookupError):  # `!!int many`, `!!bool x`, thousands of digits
            raise self._error(node, f"not a number: {node.value[:40]}") from None
        finally:
            loader.dispose()

    def _unsupported(self, node: yaml.Node) -> UserError:
        tag = node.tag.replace("tag:yaml.org,2002:", "!!")
        return self._error(node, f"the tag {tag} is not supported")

    def _error(self, node: yaml.Node, problem: str) -> UserError:
        return UserError(f"{self.path}:{_line(node)}: {problem}")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _yaml_problem(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    rows = text.splitlines()
    if any("\t" in row[: len(row) - len(row.lstrip())] for row in rows[max(0, line - 2) : line]):
        return "tab in the indentation; YAML allows spaces only"
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
