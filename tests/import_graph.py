"""The imports of petl, slurm and analysis, read from the source without running it.

    python tests/import_graph.py      the files that mypy judges: all that load no arrays

`make lint` passes that list to mypy.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("petl", "slurm", "analysis")
ARRAYS = {"torch", "numpy", "scipy", "pandas", "matplotlib", "seaborn", "librosa", "resampy"}
ARRAYS |= {"soundfile", "safetensors", "transformers", "huggingface_hub", "PIL"}
"""Libraries of arrays: what a login node lacks."""


class Import(NamedTuple):
    name: str
    """A module, of ours or of a library."""
    line: int
    when_loaded: bool
    """Run when the module is imported: neither inside a function nor for the type checker alone."""


@cache
def modules() -> dict[str, Path]:
    paths = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return {_name(path): path for path in paths}


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(module: str) -> tuple[Import, ...]:
    """All imports of a module, lazy ones and `import_module("a.constant")` included."""
    return tuple(_walk(ast.parse(modules()[module].read_text()), True))


def _walk(node: ast.AST, when_loaded: bool) -> Iterator[Import]:
    for name in _names(node):
        yield Import(name, node.lineno, when_loaded)  # type: ignore[attr-defined]
    lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        lazy = True
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, when_loaded and not lazy)


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.module and not node.level, f"line {node.lineno}: a relative import"
        for alias in node.names:  # a module, or something in it
            inside = f"{node.module}.{alias.name}"
            yield inside if inside in modules() else node.module
    elif isinstance(node, ast.Call):
        called = ast.unparse(node.func).rpartition(".")[2]
        constant = node.args and isinstance(node.args[0], ast.Constant)
        if called in ("import_module", "__import__") and constant:
            yield node.args[0].value  # type: ignore[attr-defined]


def room(module: str) -> str:
    """`petl.data` for `petl.data.layouts.esc50`; the package for a module at its top."""
    package = module if modules()[module].name == "__init__.py" else module.rpartition(".")[0]
    return ".".join(package.split(".")[:2])


@cache
def loads_arrays(module: str) -> bool:
    """Does importing it import a library of arrays, itself or through other modules of ours?"""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name.partition(".")[0] in ARRAYS:
            return True
        if name in modules() and name not in seen:
            seen.add(name)
            waiting += [found.name for found in imports(name) if found.when_loaded]
            waiting += [name.rpartition(".")[0]] if "." in name else []  # its package comes first
    return False


def light_modules() -> list[str]:
    return [module for module in modules() if not loads_arrays(module)]


if __name__ == "__main__":
    print(*(modules()[module].relative_to(ROOT) for module in light_modules()))
