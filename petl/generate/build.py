"""The generator of a task, by the kind in its settings."""

from __future__ import annotations

from importlib import import_module

from petl import config
from petl.generate.base import Generator, Space


def build(settings: config.Generator, space: Space) -> Generator:
    """With new weights: seed torch's global generator first."""
    made: Generator = import_module(f"petl.generate.{settings.kind}").new(settings, space)
    return made
