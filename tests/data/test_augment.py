from __future__ import annotations

import pytest
import torch

from petl.config import SpecAugment
from petl.data.augment import spec_augment


def settings(frequency: int, time: int) -> SpecAugment:
    return SpecAugment(frequency=frequency, time=time, mask="after-normalisation")


def augmented(batch: torch.Tensor, frequency: int, time: int, seed: int = 0) -> torch.Tensor:
    return spec_augment(batch, settings(frequency, time), torch.Generator().manual_seed(seed))


def test_masks_are_those_of_the_definition_one_clip_at_a_time():
    batch = torch.randn(50, 100, 128)
    ours = augmented(batch, 24, 80, seed=3)
    draw = torch.Generator().manual_seed(3)
    bands = torch.rand(2, 50, generator=draw)
    stretches = torch.rand(2, 50, generator=draw)
    for clip in range(50):
        expected = batch[clip].clone()
        width = bands[0, clip] * 24
        start = int(bands[1, clip] * (128 - width))
        expected[:, start : start + int(width)] = 0
        width = stretches[0, clip] * 80
        start = int(stretches[1, clip] * (100 - width))
        expected[start : start + int(width)] = 0
        torch.testing.assert_close(ours[clip], expected, rtol=0, atol=0)


def test_widths_are_uniform_below_the_widest_and_positions_too():
    masked = augmented(torch.ones(20_000, 30, 128), 24, 0, seed=1)[:, 0] == 0
    widths = masked.sum(dim=1)
    share = torch.bincount(widths, minlength=24).double() / len(widths)
    assert len(share) == 24  # 0..23: a mask of 24 never happens
    torch.testing.assert_close(share, torch.full((24,), 1 / 24).double(), rtol=0, atol=0.006)
    assert masked[:, 0].any()
    assert masked[:, 126].any()
    assert not masked[:, 127].any()  # rounded down twice: the last bin is never reached
    often = masked.double().mean(dim=0)
    assert often[40:60].mean() == pytest.approx(often[70:90].mean().item(), rel=0.05)


def test_every_clip_has_masks_of_its_own():
    masked = augmented(torch.ones(16, 100, 128), 24, 80) == 0
    assert len({clip.numpy().tobytes() for clip in masked}) > 12


def test_the_same_generator_gives_the_same_masks():
    batch = torch.randn(8, 100, 128)
    assert torch.equal(augmented(batch, 24, 80, seed=5), augmented(batch, 24, 80, seed=5))
    assert not torch.equal(augmented(batch, 24, 80, seed=5), augmented(batch, 24, 80, seed=6))


def test_the_batch_itself_is_left_alone_and_zero_widths_mask_nothing():
    batch = torch.randn(4, 100, 128)
    before = batch.clone()
    assert torch.equal(augmented(batch, 0, 0), before)
    augmented(batch, 24, 80)
    assert torch.equal(batch, before)


def test_clips_shorter_than_the_widest_mask_survive():
    assert augmented(torch.ones(200, 16, 128), 24, 80).shape == (200, 16, 128)
