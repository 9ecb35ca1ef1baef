"""A pattern that finds a clip's group in its path: `_([a-z]+)_` finds jackson in 3_jackson_12.wav.

A part of Python's regular expressions that is never slow: a repetition within a repetition, such as
`(a+)+`, can take hours for one path.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

LONGEST_PATTERN, LONGEST_PATH = 200, 300
MOST = 3
"""Repetitions: each multiplies the time by the length of a path."""

_ESCAPE = r"\\(?:[dDwWsS]|[^\w\s])"
_ATOM = rf"(?:{_ESCAPE}|\[\^?(?:{_ESCAPE}|[^\]\[\\])+\]|[^\\\[\](){{}}*+?|^$])"
_COUNT = r"(?:[*+?]|\{\d{1,3}(?:,\d{0,3})?\})\??"
_ITEMS = rf"(?:{_ATOM}(?:{_COUNT})?)*"
_ALLOWED = re.compile(rf"\^?{_ITEMS}\((?:\?P<[A-Za-z]\w*>)?{_ITEMS}\){_ITEMS}\$?")
_REPEATED = re.compile(rf"{_ATOM}(?P<count>{_COUNT})?|[()^$]|\?P<\w+>")


def checked(pattern: str) -> str:
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"a group's pattern has at most {LONGEST_PATTERN} characters")
    if _ALLOWED.fullmatch(pattern) is None:
        raise ValueError(
            f"{pattern!r} is no pattern for groups: it needs one pair of parentheses around the "
            r"group's name, as in '_([a-z]+)_', and can have characters, . [a-z] \d \w \s ^ $ and "
            "* + ? {2} after one of these"
        )
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    counts = [found["count"] for found in _REPEATED.finditer(pattern)]
    if sum(_varies(count) for count in counts) > MOST:
        raise ValueError(
            f"{pattern!r} has more than {MOST} of * + ? and {{1,2}}: it could be too slow"
        )
    return pattern


def _varies(count: str | None) -> bool:
    return count is not None and (count[0] in "*+?" or "," in count)


GroupPattern = Annotated[str, AfterValidator(checked)]


def group_in(pattern: str, path: str) -> str:
    """Empty if the pattern does not match, or the path is too long to look."""
    found = re.search(pattern, path) if len(path) <= LONGEST_PATH else None
    return found[1] or "" if found else ""
