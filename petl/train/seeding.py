"""Every random draw has a name, (seed, fold, purpose, epoch), and depends on nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(seed: int, fold: int, purpose: str, epoch: int = 0) -> int:
    name = f"{seed}/{fold}/{purpose}/{epoch}".encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "little") >> 1


def generator(seed: int, fold: int, purpose: str, epoch: int = 0) -> torch.Generator:
    """On the CPU, so that draws do not depend on the device."""
    return torch.Generator().manual_seed(derive(seed, fold, purpose, epoch))


@contextmanager
def seeded(seed: int, fold: int, purpose: str) -> Iterator[None]:
    """For code that draws from torch's global generator, which is restored afterwards."""
    with torch.random.fork_rng():
        torch.manual_seed(derive(seed, fold, purpose))
        yield
