"""Bytes that a training step of a generator keeps for its backward passes."""

from __future__ import annotations

import torch

from benchmarks.saved import most_saved


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
