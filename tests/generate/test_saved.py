"""Bytes that a training step of a generator keeps for its backward passes."""

from __future__ import annotations

import pytest
import torch

from benchmarks.generators import ready, saved, step
from benchmarks.saved import most_saved
from petl.generate.build import KINDS


def test_what_a_backward_pass_has_used_no_longer_counts() -> None:
    x, weight = torch.rand(1000), torch.rand(1000, requires_grad=True)

    def step() -> None:
        for _ in range(3):
            (weight * x).exp().sum().backward()  # keeps x and the exponential

    assert most_saved(step, [weight]) == 2 * 4000


def test_graphs_that_live_together_add_up_and_shared_storages_count_once() -> None:
    weight = torch.rand(1000, requires_grad=True)

    def step() -> None:
        losses = [(weight * weight).exp().sum() for _ in range(3)]
        sum(losses).backward()

    assert most_saved(step, []) == 4 * 4000
    assert most_saved(step, [weight]) == 3 * 4000


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_of_a_large_batch_follow_from_those_of_two_small_ones(kind: str) -> None:
    generator = ready(kind, 4, 32)
    computed = saved(generator, 9)
    assert computed == most_saved(lambda: step(generator, 9), generator.networks.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_of_24_clips_of_1000_frames_keeps_less_than_5_gb(kind: str) -> None:
    assert 5e7 < saved(ready(kind, 32, 1000), 24) < 5e9
