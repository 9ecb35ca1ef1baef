"""Small generators and clips, for tests."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from petl import config
from petl.generate.base import Generator, Space
from petl.generate.build import build

SPACE = Space(frames=18, bins=16, conditions=2, mean=-40.0, deviation=20.0, low=-80.0, high=6.5)


def made(settings: config.Generator, space: Space = SPACE, **train: Any) -> Generator:
    torch.manual_seed(0)
    generator = build(settings, space)
    usual = {"lr": 1e-3, "betas": (0.0, 0.99), "eps": 1e-8, "weight_decay": 0.0}
    usual |= {"epochs": 1, "batch_size": 6, "decay": "weights"}
    generator.begin(config.Train(**{**usual, **train}))
    return generator


def batch(clips: int = 6, space: Space = SPACE) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    values = torch.randn(clips, space.frames, space.bins, generator=random)
    conditions = torch.rand(clips, space.conditions, generator=random)
    return space.mean + space.deviation * values, conditions


def draws() -> torch.Generator:
    return torch.Generator().manual_seed(2)


def check_that_pieces_make_the_same_step(settings: config.Generator) -> None:
    """Adam divides gradients by their size, the rounding of zeros too: so in double precision."""
    whole, pieces = made(settings).double(), made(settings, micro_batch=4).double()  # 4 and 2 clips
    clips, conditions = (tensor.double() for tensor in batch())
    for generator in (whole, pieces):
        random = draws()
        told = [generator.fit(clips, conditions, random) for _ in range(2)]
        generator.told = told
    for one, other in zip(whole.told, pieces.told, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.isclose(one[name], other[name], rtol=0, atol=1e-6) for name in one)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(pieces.state_dict()[name], value, rtol=0, atol=1e-9)


def check_that_it_continues(settings: config.Generator) -> None:
    """From saved weights, optimisers and draws, to the same numbers."""
    generator, random = made(settings), draws()
    generator.fit(*batch(), random)
    state = deepcopy(generator.state_dict()), random.get_state()
    adams = {name: deepcopy(adam.state_dict()) for name, adam in generator.optimisers.items()}
    generator.fit(*batch(), random)
    again, later = made(settings), torch.Generator()
    again.load_state_dict(state[0])
    later.set_state(state[1])
    for name, adam in adams.items():
        again.optimisers[name].load_state_dict(adam)
    again.fit(*batch(), later)
    for name, value in generator.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
