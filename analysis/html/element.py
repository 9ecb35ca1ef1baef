"""Markup as values: here, and nowhere else in the page, text is escaped."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import Any

VOID = frozenset({"meta", "link", "img", "br"})


class Html(str):
    """Markup already. Any other text is escaped on its way into an element."""

    __slots__ = ()


def el(name: str, /, *children: Any, **attributes: Any) -> Html:
    """`el("td", 3, class_="run", data_value=0.5)`; what is None or False is not there."""
    said = "".join(map(_attribute, attributes, attributes.values()))
    if name in VOID:
        return Html(f"<{name}{said}>")
    return Html(f"<{name}{said}>{join(children)}</{name}>")


def join(children: Iterable[Any], between: str = "") -> Html:
    return Html(between.join(_markup(child) for child in children if child not in (None, False)))


def data(identifier: str, value: Any) -> Html:
    """JSON for the script. A `<` in it could end the element or open a comment: it is \\u003c."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    inside = Html(text.replace("<", "\\u003c"))
    return el("script", inside, type="application/json", id=identifier)


def table(heads: Iterable[Any], rows: Iterable[Iterable[Any]], **attributes: Any) -> Html:
    """Its first column names the row. A table wider than the screen scrolls in a box of its own."""
    head = el("tr", *(el("th", title, scope="col") for title in heads))
    lines = []
    for first, *rest in rows:
        lines.append(el("tr", el("th", first, scope="row"), *(_cell(entry) for entry in rest)))
    whole = el("table", el("thead", head), el("tbody", *lines), **attributes)
    return scrolling(whole)


def commands(lines: Iterable[str]) -> Html:
    return el("pre", el("code", "\n".join(lines)))


def scrolling(content: Html) -> Html:
    """To be reached by keyboard, or nobody without a mouse could scroll it."""
    return el("div", content, class_="scroll", tabindex=0)


def _cell(entry: Any) -> Html:
    return entry if isinstance(entry, Html) and entry.startswith("<td") else el("td", entry)


def _attribute(name: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def _markup(child: Any) -> str:
    return child if isinstance(child, Html) else escape(str(child))
