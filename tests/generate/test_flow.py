"""Rectified flow: its loss by hand, exact Euler steps on a straight way, attention refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from petl import config
from petl.errors import UserError
from petl.generate.base import Space
from tests.generate.small import (
    SPACE,
    batch,
    check_that_it_continues,
    check_that_pieces_make_the_same_step,
    draws,
    made,
)


def flow(**settings: Any) -> config.Flow:
    return config.Flow(**{"kind": "flow", "width": 4, "steps": 3, **settings})


def test_the_loss_is_the_squared_error_of_the_way_from_noise_to_the_clip() -> None:
    generator, (clips, conditions) = made(flow(), lr=1e-12), batch()
    random, real = draws(), generator.from_raw(clips)
    noise = generator.noise(6, (SPACE.frames, SPACE.bins), random)
    time = generator.noise(6, (), random).sigmoid()
    at = (1 - time[:, None, None]) * noise + time[:, None, None] * real
    with torch.no_grad():
        predicted = generator.networks["velocity"](at, time, conditions)
    told = generator.fit(clips, conditions, draws())
    torch.testing.assert_close(told["loss"], F.mse_loss(predicted, real - noise))


class Straight(nn.Module):
    """The right velocity if all clips are one."""

    def __init__(self, clip: Tensor):
        super().__init__()
        self.clip = nn.Parameter(clip)

    def forward(self, at: Tensor, time: Tensor, conditions: Tensor) -> Tensor:
        return (self.clip - at) / (1 - time)[:, None, None]


@pytest.mark.parametrize("steps", [1, 7])
def test_euler_steps_follow_a_straight_way_to_its_end(steps: int) -> None:
    generator = made(flow(steps=steps))
    clip = torch.randn(SPACE.frames, SPACE.bins)
    generator.average = Straight(clip)
    for sample in generator.sample(torch.zeros(2, 2), seed=0):
        torch.testing.assert_close(sample, generator.to_raw(clip), rtol=1e-4, atol=1e-3)


def test_it_starts_with_the_best_guess_for_clips_that_are_normal_noise() -> None:
    """Regression of x - noise on x_t, at each time, where x has the deviation of the details."""
    network = made(flow()).networks["velocity"]
    x, noise = 0.3 * torch.randn(64, 18, 16), torch.randn(64, 18, 16)
    for t in (0.0, 0.3, 0.9, 1.0):
        at = (1 - t) * noise + t * x
        best = ((x - noise) * at).sum() / at.square().sum()
        with torch.no_grad():
            predicted = network(at, torch.full((64,), t), torch.zeros(64, 2))
        torch.testing.assert_close(predicted, best * at, rtol=0, atol=0.1)


def test_pieces_of_a_batch_make_the_step_of_the_whole_batch() -> None:
    check_that_pieces_make_the_same_step(flow(attention="spatial"))


def test_it_continues_from_saved_state_to_the_same_numbers() -> None:
    check_that_it_continues(flow())


def test_a_sample_depends_on_its_condition_its_place_and_the_seed_alone() -> None:
    generator, conditions = made(flow()), torch.rand(3, 2)
    for p in generator.average.parameters():
        nn.init.normal_(p, std=0.2)
    samples = generator.sample(conditions, seed=5)
    one_by_one = generator.sample(conditions, seed=5, batch=1)
    torch.testing.assert_close(samples, one_by_one, rtol=0, atol=1e-2)
    assert not torch.allclose(samples, generator.sample(conditions, seed=6))
    assert not torch.allclose(samples, generator.sample(1 - conditions, seed=5))


def test_attention_above_a_size_is_refused_with_the_figure_before_any_fit() -> None:
    long = Space(9800, 128, 2, 0.0, 1.0, -3.0, 3.0)
    with pytest.raises(UserError, match=r"8 x 613 = 4,904 positions needs 2\.31 GB for 24 clips"):
        made(flow(attention="spatial"), long, batch_size=24)
    made(flow(attention="spatial"), long, batch_size=24, micro_batch=2)
    ten_seconds = Space(1000, 128, 2, 0.0, 1.0, -3.0, 3.0)
    made(flow(attention="spatial"), ten_seconds, batch_size=24)


def test_attention_reaches_every_position() -> None:
    generator = made(flow(attention="spatial"), Space(64, 64, 2, 0.0, 1.0, -3.0, 3.0))
    attention = generator.networks["velocity"].attention
    nn.init.normal_(attention.last.weight)
    maps = torch.randn(1, 16, 4, 4, requires_grad=True)
    attention.norm = nn.Identity()
    attention(maps)[0, :, 0, 0].sum().backward()
    assert maps.grad.abs().sum(1).min() > 0
