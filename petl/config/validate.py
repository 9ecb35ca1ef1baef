"""Validation errors in one plain line: where, what is wrong, and the nearest valid name."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from petl.config.methods.base import Method
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
        known = list(_fields_at(model, data, path[:-1]))
        return f"{where(path)}: unknown key '{name}'{nearest(path[-1], known)}"
    if kind == "missing":
        return f"{where(path)}: '{name}' is missing"
    if kind == "too_short":
        least = context["min_length"]
        return f"{where(path)}: {name} should have at least {least}, not {_shown(error['input'])}"
    if kind == "value_error":
        return f"{where(path)}: {context['error']}"
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


def _fields_at(model: type[BaseModel], data: Any, path: KeyPath) -> Iterator[str]:
    annotation: Any = model
    for part in path:
        members = list(_models(annotation, data))
        if members and isinstance(part, str):
            annotation = _field(members[0], part)
        else:
            annotation = (get_args(_bare(annotation)) or (None,))[-1]
        data = data[part]
    for member in _models(annotation, data):
        yield from (field.alias or name for name, field in member.model_fields.items())


def _field(model: type[BaseModel], key: str) -> Any:
    for name, field in model.model_fields.items():
        if key in (name, field.alias):
            return field.annotation
    return None


def _models(annotation: Any, data: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation allows, narrowed by the discriminator in the data."""
    annotation = _bare(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Method):
        family = data.get("family") if isinstance(data, dict) else None
        yield annotation.members().get(str(family), annotation)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, types.UnionType):
        members = [m for arg in get_args(annotation) for m in _models(arg, data)]
        for tag in ("family", "kind"):
            given = data.get(tag) if isinstance(data, dict) else None
            narrowed = [m for m in members if tag in m.model_fields and _literal(m, tag) == given]
            members = narrowed or members
        yield from members


def _literal(model: type[BaseModel], field: str) -> Any:
    return (get_args(model.model_fields[field].annotation) or (None,))[0]


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
