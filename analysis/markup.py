"""HTML as values: every page is built here, and here alone text is escaped."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import Any

VOID = frozenset({"meta", "link", "img", "br"})


class Html(str):
    """Markup already. Any other text is escaped when it becomes part of an element."""

    __slots__ = ()


def el(name: str, /, *children: Any, **attributes: Any) -> Html:
    """`el("td", 3, class_="run", data_value=0.5)`; None and False are left out."""
    start = f"<{name}{''.join(map(_attribute, attributes, attributes.values()))}>"
    return Html(start if name in VOID else f"{start}{join(children)}</{name}>")


def join(children: Iterable[Any]) -> Html:
    return Html("".join(_markup(child) for child in children if child not in (None, False)))


def document(
    title: str, style: str, *body: Any, generator: str = "petl-ast", head: Iterable[Html] = ()
) -> str:
    """A whole page that needs no other file; what goes into its head comes first there."""
    top = el(
        "head",
        el("meta", charset="utf-8"),
        *head,
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="generator", content=generator),
        el("title", title),
        el("style", Html(style)),
    )
    return f"<!doctype html>\n{el('html', top, el('body', *body), lang='en')}\n"


def json_script(identifier: str, value: Any) -> Html:
    r"""JSON for a script. A `<` in it could end the element or open a comment: it is \u003c."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    inside = Html(text.replace("<", "\\u003c"))
    return el("script", inside, type="application/json", id=identifier)


def grid(heads: Iterable[Any], rows: Iterable[Iterable[Any]], **attributes: Any) -> Html:
    """A table whose first column names the row; a cell that is a `<td>` already stays."""
    head = el("tr", *(el("th", title, scope="col") for title in heads))
    lines = []
    for first, *rest in rows:
        lines.append(el("tr", el("th", first, scope="row"), *(_cell(value) for value in rest)))
    return scrolling(el("table", el("thead", head), el("tbody", *lines), **attributes))


def facts(pairs: Iterable[tuple[Any, Any]]) -> Html:
    """A list of names with their values."""
    rows = (join([el("dt", name), el("dd", value)]) for name, value in pairs)
    return el("dl", *rows, class_="facts")


def code_block(lines: Iterable[str]) -> Html:
    return el("pre", el("code", "\n".join(lines)))


def scrolling(content: Html) -> Html:
    """A box of its own for what is wider than the screen; `tabindex` makes it scroll by keys."""
    return el("div", content, class_="scroll", tabindex=0)


def details(summary: str, *content: Any, **attributes: Any) -> Html:
    """Closed until it is clicked."""
    return el("details", el("summary", summary), *content, **attributes)


def _cell(value: Any) -> Html:
    return value if isinstance(value, Html) and value.startswith("<td") else el("td", value)


def _attribute(name: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def _markup(child: Any) -> str:
    return child if isinstance(child, Html) else escape(str(child))
