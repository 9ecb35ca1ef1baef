"""Patterns that find groups in paths: what they find, and that none can be slow."""

from __future__ import annotations

import time

import pytest

from petl.config.group_pattern import checked, group_in


@pytest.mark.parametrize(
    ("pattern", "path", "group"),
    [
        ("_([a-z]+)_", "recordings/3_jackson_12.wav", "jackson"),
        (r"^[^/]+/([^/]+)/", "dog/garden/1.wav", "garden"),
        (r"(?P<site>\w{2}\d+)-", "SM04-2021.flac", "SM04"),
        (r"-(\d*)-", "a--b.wav", ""),
        ("_([a-z]+)_", "3.wav", ""),
        ("^(a)", "a" * 301, ""),
    ],
)
def test_the_group_is_what_is_in_parentheses(pattern, path, group):
    assert group_in(checked(pattern), path) == group


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("_[a-z]+_", "one pair of parentheses"),
        ("(a)(b)", "one pair of parentheses"),
        ("(a+)+", "one pair of parentheses"),
        (r"(a)\1", "one pair of parentheses"),
        ("(?=a)(b)", "one pair of parentheses"),
        ("(a|b)", "one pair of parentheses"),
        ("[z-a](b)", "bad character range"),
        ("a?a?a?a?(b)", r"more than 3 of \* \+ \?"),
        ("(b)" + "a" * 198, "at most 200 characters"),
    ],
)
def test_any_other_pattern_is_refused(pattern, why):
    with pytest.raises(ValueError, match=why):
        checked(pattern)


def test_the_slowest_pattern_on_the_worst_path_is_quick():
    started = time.perf_counter()
    group_in(checked(r"(\w+)\w+\w+-"), "a" * 100)
    assert time.perf_counter() - started < 1  # (\w+)+- takes hours
