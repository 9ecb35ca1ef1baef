"""Reading files that a crash, a full disk or somebody else may have damaged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from petl.errors import reason
from petl.files import read_regular


def content_of(path: Path, most: int = -1) -> tuple[bytes | None, str]:
    """The file's first bytes, or why they cannot be read; neither if there is no such file."""
    try:
        return read_regular(path, most), ""
    except FileNotFoundError:
        return None, "a link to a file that is gone" if os.path.lexists(path) else ""
    except (OSError, ValueError) as error:
        return None, reason(error)


def json_mapping(content: bytes | None) -> dict[str, Any] | None:
    """None without content, or if it is not one whole JSON mapping."""
    try:
        found = from_json(content) if content else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def is_named(task: dict[str, Any]) -> bool:
    """Does task.json say which run it is? Its settings may be of another version."""
    names = task.get("names")
    whole = type(task.get("fold")) is int and type(task.get("seed")) is int
    return whole and isinstance(names, dict) and all(isinstance(n, str) for n in names.values())


def epochs_of(content: bytes | None) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of metrics.jsonl in order, each epoch once, and which lines are damaged."""
    rows: list[dict[str, Any]] = []
    problems = []
    for number, line in enumerate((content or b"").split(b"\n")[:-1], 1):
        row = json_mapping(line)
        if row is None or not _is_epoch(row):
            problems.append(f"line {number} is damaged")
        elif rows and row["epoch"] <= rows[-1]["epoch"]:
            problems.append(f"line {number} has epoch {row['epoch']} again")
        else:
            rows.append(row)
    return rows, problems


def _is_epoch(row: dict[str, Any]) -> bool:
    """Numbers only, and none that no float can hold."""
    whole = [value for value in row.values() if type(value) is not float]
    return type(row.get("epoch")) is int and all(
        type(value) is int and abs(value) < 2**53 for value in whole
    )
