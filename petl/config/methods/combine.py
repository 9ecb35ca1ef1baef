"""Combinations of methods."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from petl.config.methods.base import Combinable, Method


def _checked(methods: tuple[Combinable, ...]) -> tuple[Combinable, ...]:
    if len(methods) < 2:
        raise ValueError("a combination needs at least 2 methods")
    families = [method.family for method in methods]
    for method in methods:
        if method.only_once and families.count(method.family) > 1:
            raise ValueError(f"a combination can have only one '{method.family}'")
        if conflict := method.conflict(families):
            raise ValueError(conflict)
    return tuple(sorted(methods, key=lambda method: (method.order, method.family)))


class Combine(Method):
    """Several methods at once; the order in which they are given does not matter."""

    family: Literal["combine"]
    methods: Annotated[tuple[Combinable, ...], Field(strict=False), AfterValidator(_checked)]

    @property
    def parts(self) -> tuple[Method, ...]:
        return self.methods

    @property
    def prompt_length(self) -> int:
        return sum(method.prompt_length for method in self.methods)

    @property
    def has_batch_norm(self) -> bool:
        return any(method.has_batch_norm for method in self.methods)
