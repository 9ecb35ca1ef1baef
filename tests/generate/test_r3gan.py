"""R3GAN: its losses and penalties against closed forms, its networks, a step in pieces."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from petl import config
from petl.generate.base import Space
from petl.generate.networks.layers import Residual, sizes
from tests.generate.small import (
    SPACE,
    batch,
    check_that_it_continues,
    check_that_pieces_make_the_same_step,
    draws,
    made,
)


def r3gan(**settings: Any) -> config.R3GAN:
    return config.R3GAN(**{"kind": "r3gan", "width": 4, "latent": 6, **settings})


def test_the_losses_compare_each_real_clip_with_a_synthetic_one() -> None:
    gan, (clips, conditions) = made(r3gan(), lr=1e-12), batch()
    maker, judge = gan.networks["generator"], gan.networks["discriminator"]
    random = draws()
    with torch.no_grad():
        of_real = judge(gan.from_raw(clips), conditions)
        first, second = (judge(maker(gan.latents(6, random), conditions), conditions) for _ in "ab")
    told = gan.fit(clips, conditions, draws())
    torch.testing.assert_close(told["loss_discriminator"], F.softplus(first - of_real).mean())
    torch.testing.assert_close(told["loss_generator"], F.softplus(of_real - second).mean())
    assert told["right_real"] == (of_real > first).float().mean()


class Linear(nn.Module):
    """A discriminator with a gradient that is known."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((SPACE.frames, SPACE.bins), 0.01))

    def forward(self, clips: Tensor, conditions: Tensor) -> Tensor:
        return (clips * self.weight).sum((1, 2)) * (1 + conditions[:, 0])


@pytest.mark.parametrize("micro_batch", [None, 4])
def test_the_penalties_are_squared_gradients_at_real_and_at_synthetic_clips(
    micro_batch: int | None,
) -> None:
    gan, (clips, conditions) = made(r3gan(), micro_batch=micro_batch), batch()
    gan.networks["discriminator"] = Linear()
    gan.begin(gan.train_settings)
    told = gan.fit(clips, conditions, draws())
    by_hand = (SPACE.frames * SPACE.bins * 0.01**2 * (1 + conditions[:, 0]) ** 2).mean()
    torch.testing.assert_close(told["r1"], by_hand)
    torch.testing.assert_close(told["r2"], by_hand)


def test_a_penalty_of_some_steps_counts_as_often_as_that_of_all() -> None:
    gradients = []
    for settings in ({"gamma": 3.0}, {"gamma": 1.0, "penalty_every": 3}):
        gan = made(r3gan(**settings))
        told = [gan.fit(*batch(), draws())]
        gradients.append([p.grad.clone() for p in gan.networks["discriminator"].parameters()])
        told += [gan.fit(*batch(), draws()) for _ in range(3)]
        every = settings.get("penalty_every", 1)
        assert ["r1" in each for each in told] == [step % every == 0 for step in range(4)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_pieces_of_a_batch_make_the_step_of_the_whole_batch() -> None:
    check_that_pieces_make_the_same_step(r3gan(penalty_every=2))


def test_the_generators_step_leaves_the_discriminators_gradients_alone() -> None:
    gan, (clips, conditions) = made(r3gan(), micro_batch=4), batch()
    judge = gan.networks["discriminator"]
    gan._discriminator_step(gan.from_raw(clips), conditions, gan.latents(6, draws()))
    before = {name: p.grad.clone() for name, p in judge.named_parameters()}
    gan._generator_step(gan.from_raw(clips), conditions, gan.latents(6, draws()))
    assert all(torch.equal(p.grad, before[name]) for name, p in judge.named_parameters())
    assert all(p.requires_grad for p in judge.parameters())


def test_it_continues_from_saved_state_to_the_same_numbers() -> None:
    check_that_it_continues(r3gan(penalty_every=2))


def test_no_layer_normalises_and_residual_blocks_start_as_the_identity() -> None:
    gan = made(r3gan())
    kinds = {type(module).__name__ for module in gan.modules()}
    assert not [kind for kind in kinds if "Norm" in kind]
    x = torch.randn(1, 4, 5, 5)
    assert torch.equal(Residual(4)(x), x)


def test_the_discriminator_reads_the_condition_by_a_dot_product() -> None:
    judge, (clips, _) = made(r3gan()).networks["discriminator"], batch(1)
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    with torch.no_grad():
        scores = [judge(clips, c) for c in (a, b, 0.3 * a + 0.7 * b)]
    assert not torch.isclose(scores[0], scores[1])
    torch.testing.assert_close(scores[2], 0.3 * scores[0] + 0.7 * scores[1])


@pytest.mark.parametrize("kind", ["r3gan", "flow"])
@pytest.mark.parametrize("frames, bins", [(16, 16), (37, 23), (16, 128)])
def test_sizes_need_not_be_multiples_of_the_patches(frames: int, bins: int, kind: str) -> None:
    space = Space(frames, bins, 1, 0.0, 1.0, -3.0, 3.0)
    settings = r3gan() if kind == "r3gan" else config.Flow(kind="flow", width=4, steps=2)
    generator = made(settings, space)
    told = generator.fit(*batch(2, space), draws())
    assert all(torch.isfinite(value) for value in told.values())
    assert generator.sample(torch.zeros(3, 1), seed=0).shape == (3, frames, bins)


def test_at_ten_seconds_the_widest_maps_have_32_x_250_positions() -> None:
    space = Space(1000, 128, 2, 0.0, 1.0, -3.0, 3.0)
    assert sizes(space) == [(32, 250), (16, 125), (8, 63)]


def test_a_sample_depends_on_its_condition_its_place_and_the_seed_alone() -> None:
    gan, conditions = made(r3gan()), torch.rand(3, 2)
    samples = gan.sample(conditions, seed=5)
    torch.testing.assert_close(samples, gan.sample(conditions, seed=5, batch=1))
    assert not torch.allclose(samples, gan.sample(conditions, seed=6))
    assert not torch.allclose(samples, gan.sample(1 - conditions, seed=5))
