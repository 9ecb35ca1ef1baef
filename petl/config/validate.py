"""Validation errors in one plain line: where, what is wrong, and the nearest valid name."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from petl.config.suggest import suggestion
from petl.config.yamlfile import KeyPath
from petl.errors import UserError, nearest

Model = TypeVar("Model", bound=BaseModel)
Where = Callable[[KeyPath], str]
"""Gives the file and line of a key, `table1.yaml:12`."""


def validate(model: type[Model], data: Any, where: Where) -> Model:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = sorted(error.errors(include_url=False), key=_priority)
        mistakes = len({_key_path(data, problem["loc"]) for problem in problems})
        rest = f" (and {mistakes - 1} more)" if mistakes > 1 else ""
        raise UserError(_one_line(model, data, problems[0], where) + rest) from None


def _priority(error: ErrorDetails) -> tuple[bool, bool]:
    """Sorts the most helpful error first.

    A misspelt key explains a missing one. For -1 in place of a number or a word, the error about
    the number helps more than the one about the word.
    """
    no_word = error["type"] == "literal_error" and not isinstance(error["input"], str)
    return error["type"] != "extra_forbidden", no_word


def _one_line(model: type[BaseModel], data: Any, error: ErrorDetails, where: Where) -> str:
    path = _key_path(data, error["loc"])
    name = ".".join(str(part) for part in path)
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"{where(path)}: unknown key '{name}'{suggestion(model, data, path)}"
    if kind == "missing":
        return f"{where(path)}: '{name}' is missing"
    if kind == "too_short":
        least = context["min_length"]
        return f"{where(path)}: {name} should have at least {least}, not {_shown(error['input'])}"
    if kind == "value_error":
        return f"{where(_named(data, str(context['error'])) or path)}: {context['error']}"
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        return (
            f"{where(path)}: {name} cannot be '{error['input']}'{nearest(error['input'], choices)}"
        )
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tag = context["discriminator"].strip("'")
        tags = re.findall(r"'([^']*)'", context.get("expected_tags", ""))
        if kind == "union_tag_not_found":
            return f"{where(path)}: '{name}.{tag}' is missing"
        given = context["tag"]
        return f"{where((*path, tag))}: {name}.{tag} cannot be '{given}'{nearest(given, tags)}"
    problem = error["msg"].replace("Input should", "should")
    problem = problem.replace("a valid dictionary or instance of", "a mapping (key: value) for")
    problem = problem.replace("a valid ", "a ").replace("a integer", "an integer")
    return f"{where(path)}: {name} {problem[0].lower() + problem[1:]}, not {_shown(error['input'])}"


def _named(data: Any, message: str) -> KeyPath | None:
    """The key that a message begins with, `dataset.split 'grouped' needs ...`, if data has it."""
    path = tuple(message.partition(" ")[0].rstrip(":").split("."))
    for part in path:
        if not isinstance(data, dict) or part not in data:
            return None
        data = data[part]
    return path


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _key_path(data: Any, loc: tuple[str | int, ...]) -> KeyPath:
    """pydantic's location without the names of union members, which no file contains."""
    path: list[str | int] = []
    for i, part in enumerate(loc):
        last = i == len(loc) - 1
        if isinstance(data, dict) and (part in data or last):
            path.append(part)
            data = data.get(part)
        elif isinstance(data, list | tuple) and isinstance(part, int) and part < len(data):
            path.append(part)
            data = data[part]
    return tuple(path)
