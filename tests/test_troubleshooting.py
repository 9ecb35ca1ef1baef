"""The messages of docs/troubleshooting.md are those that petl prints."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from import_graph import ROOT, modules

PAGE = ROOT / "docs" / "troubleshooting.md"
MESSAGES = re.findall(r"\*\*`(.+?)`\*\*", PAGE.read_text())
GAP = "\0"


def texts(file: Path) -> Iterator[str]:
    """Every string of a module, with a gap for each expression of an f-string."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else GAP for part in node.values)
            yield "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.fixture(scope="module")
def source() -> str:
    return "\n\n".join(text for file in modules().values() for text in texts(file))


def test_the_page_has_many_messages_each_once() -> None:
    assert len(set(MESSAGES)) == len(MESSAGES) >= 20


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_of_the_page_stands_in_the_source(message: str, source: str) -> None:
    """In one string, its constant parts in their order, with an expression for each `...`."""
    parts = [re.escape(part) for part in message.split("...") if part]
    assert len("".join(parts)) > 12, "too short to search for"
    assert re.search(f"[^\n]*?{GAP}[^\n]*?".join(parts), source), message
