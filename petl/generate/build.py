"""The generator that a task's settings describe."""

from __future__ import annotations

from petl import config
from petl.generate.base import Generator, Space
from petl.generate.flow import Flow
from petl.generate.gan import GAN
from petl.generate.r3gan import R3GAN

KINDS = {"gan": GAN, "r3gan": R3GAN, "flow": Flow}


def build(settings: config.Generator, space: Space) -> Generator:
    """With new weights, drawn from torch's global generator: seed it first."""
    return KINDS[settings.kind](space, settings)
