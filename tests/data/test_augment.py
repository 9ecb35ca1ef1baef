"""SpecAugment and mixup by their definitions, and the same however an epoch is entered or cut."""

from __future__ import annotations

import random

import numpy as np
import pytest
import scipy.stats
import torch

from petl.config import Mixup, SpecAugment
from petl.data.augment import Masks, balanced, draw_clips, draw_masks, draw_mixup

CLIPS = 20_000


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def masks(clips: int, frequency: int, time: int, frames: int = 100, seed: int = 0) -> Masks:
    settings = SpecAugment(frequency=frequency, time=time, mask="after-normalisation")
    return draw_masks(clips, frames, 128, settings, seeded(seed))


def mixing(clips: int, share: float, alpha: float, seed: int = 0):
    return draw_mixup(clips, Mixup(share=share, alpha=alpha), seeded(seed))


# --- SpecAugment ----------------------------------------------------------------------------------


def test_masks_are_those_of_the_definition_one_clip_at_a_time() -> None:
    batch = torch.randn(50, 100, 128)
    ours = masks(50, 24, 80, seed=3).apply(batch, 0)
    draw = seeded(3)
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


def test_several_bands_and_stretches_are_drawn_one_after_the_other() -> None:
    settings = {"frequency": 15, "time": 30, "mask": "after-normalisation"}
    several = SpecAugment(**settings, bands=2, stretches=3)
    drawn = draw_masks(40, 100, 128, several, seeded(3))
    draw = seeded(3)
    expected = torch.ones(40, 100, 128)
    for size, widest in ((128, 15), (128, 15), (100, 30), (100, 30), (100, 30)):
        width, start = torch.rand(2, 40, generator=draw)
        for clip in range(40):
            first = int(start[clip] * (size - width[clip] * widest))
            masked = slice(first, first + int(width[clip] * widest))
            (expected[clip].T if size == 128 else expected[clip])[masked] = 0
    assert torch.equal(drawn.apply(torch.ones(40, 100, 128), 0), expected)


def released(size: int, widest: int) -> tuple[np.ndarray, np.ndarray]:
    """Starts and widths as torchaudio's masking draws them, clip after clip."""
    draw, starts, widths = random.Random(7), [], []
    for _ in range(CLIPS):
        value = draw.random() * widest
        least = draw.random() * (size - value)
        starts.append(int(least))
        widths.append(int(value))
    return np.array(starts), np.array(widths)


def close(start: np.ndarray, width: np.ndarray, size: int, widest: int) -> float:
    """The smallest p-value of: widths uniform, starts alike, both together alike."""
    their_start, their_width = released(size, widest)
    counts = np.bincount(width, minlength=widest)
    expected = np.zeros(len(counts)) + 1e-9
    expected[:widest] = CLIPS / widest
    edges = [np.linspace(0, size, 9), np.linspace(0, widest + 1, 9)]
    pairs = (start, width), (their_start, their_width)
    both = np.stack([np.histogram2d(*pair, edges)[0].ravel() for pair in pairs])
    both = both[:, both.sum(axis=0) >= 10]
    return min(
        scipy.stats.chisquare(counts, expected * counts.sum() / expected.sum()).pvalue,
        scipy.stats.ks_2samp(start, their_start).pvalue,
        scipy.stats.chi2_contingency(both)[1],
    )


@pytest.mark.parametrize(("size", "widest"), [(128, 24), (500, 80)])
def test_masks_have_the_distribution_of_the_released_code(size: int, widest: int) -> None:
    drawn = masks(CLIPS, 24, 80, frames=500, seed=1)
    start, after = (drawn.frequency if size == 128 else drawn.time)[:, 0].numpy()
    assert close(start, after - start, size, widest) > 0.01


def test_another_distribution_would_be_noticed() -> None:
    """Widths up to the widest itself; then starts that leave out the end."""
    draw = np.random.default_rng(0)
    width = draw.integers(0, 25, CLIPS)
    assert close((draw.random(CLIPS) * (128 - width)).astype(int), width, 128, 24) < 1e-6
    width = draw.integers(0, 24, CLIPS)
    assert close((draw.random(CLIPS) * (118 - width)).astype(int), width, 128, 24) < 1e-6


def test_the_extremes_are_one_short_of_the_widest_and_of_the_end() -> None:
    drawn = masks(CLIPS, 24, 80, frames=500, seed=1)
    for (start, after), widest, size in ((drawn.frequency, 24, 128), (drawn.time, 80, 500)):
        assert (after - start).min() == 0
        assert (after - start).max() == widest - 1
        assert start.min() == 0
        assert after.max() == size - 1  # both ends rounded down: the last position is never masked


def test_every_clip_has_masks_of_its_own() -> None:
    masked = masks(16, 24, 80).apply(torch.ones(16, 100, 128), 0) == 0
    assert len({clip.numpy().tobytes() for clip in masked}) > 12


def test_the_same_generator_gives_the_same_masks() -> None:
    batch = torch.randn(8, 100, 128)
    first, again, other = (masks(8, 24, 80, seed=seed).apply(batch, 0) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("size", [1, 3, 8, 20])
def test_masks_do_not_depend_on_where_an_epoch_is_cut_or_entered(size: int) -> None:
    epoch = torch.randn(20, 100, 128)
    drawn = masks(20, 24, 80)
    whole = drawn.apply(epoch, 0)
    parts = [drawn.apply(epoch[i : i + size], i) for i in range(0, 20, size)]
    assert torch.equal(torch.cat(parts), whole)


def test_the_batch_itself_is_left_alone_and_zero_widths_mask_nothing() -> None:
    batch = torch.randn(4, 100, 128)
    before = batch.clone()
    assert torch.equal(masks(4, 0, 0).apply(batch, 0), before)
    masks(4, 24, 80).apply(batch, 0)
    assert torch.equal(batch, before)


def test_clips_shorter_than_the_widest_mask_survive() -> None:
    drawn = masks(200, 24, 80, frames=16)
    assert drawn.apply(torch.ones(200, 16, 128), 0).shape == (200, 16, 128)


# --- mixup ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_follow_the_beta_distribution_and_the_rest_is_left_alone(alpha: float) -> None:
    drawn = mixing(CLIPS, 0.5, alpha)
    mixed = drawn.share[drawn.share > 0].numpy()
    assert scipy.stats.binomtest(len(mixed), CLIPS, 0.5).pvalue > 0.01
    assert scipy.stats.kstest(mixed, scipy.stats.beta(alpha, alpha).cdf).pvalue > 0.01
    assert scipy.stats.kstest(mixed, scipy.stats.beta(2 * alpha, alpha).cdf).pvalue < 1e-6


def partners(clips: int, seed: int) -> np.ndarray:
    """Who is mixed in, read from the targets: each clip is a class of its own."""
    _, shares = mixing(clips, 1.0, 8.0, seed).apply(torch.zeros(clips, 1), torch.eye(clips), 0)
    return shares.fill_diagonal_(0).argmax(dim=1).numpy()


def test_every_other_clip_of_the_batch_is_as_likely_and_itself_never() -> None:
    seen = np.zeros((6, 6))
    for seed in range(1000):
        seen[range(6), partners(6, seed)] += 1
    assert (seen.diagonal() == 0).all()
    others = seen[~np.eye(6, dtype=bool)].reshape(6, 5)
    assert all(scipy.stats.chisquare(row).pvalue > 0.005 for row in others)


def test_inputs_and_targets_are_mixed_alike() -> None:
    """With inputs that say which clip they are, the targets can be read off them."""
    y = torch.eye(10)
    x = y[:, :, None] * torch.ones(10, 10, 4)
    mixed_x, mixed_y = mixing(10, 1.0, 1.0).apply(x, y, 0)
    assert torch.equal(mixed_x[..., 0], mixed_y)
    assert (mixed_y > 0).sum(dim=1).tolist() == [2] * 10
    torch.testing.assert_close(mixed_y.sum(dim=1), torch.ones(10))


def test_a_clip_left_alone_keeps_its_bits() -> None:
    x, y = torch.randn(200, 5, 5), torch.randn(200, 2)
    drawn = mixing(200, 0.3, 1.0)
    mixed_x, mixed_y = drawn.apply(x, y, 0)
    alone = drawn.share == 0
    assert 100 < alone.sum() < 180
    assert torch.equal(mixed_x[alone], x[alone])
    assert torch.equal(mixed_y[alone], y[alone])
    assert (mixed_x[~alone] != x[~alone]).flatten(1).any(dim=1).all()


def test_mixing_is_the_same_when_an_epoch_is_entered_in_the_middle() -> None:
    x, y = torch.randn(20, 6), torch.randn(20, 1)
    first, again = mixing(20, 1.0, 0.4, seed=2), mixing(20, 1.0, 0.4, seed=2)
    first.apply(x[:8], y[:8], 0)
    (x_mixed, y_mixed), (x_again, y_again) = (
        drawn.apply(x[8:16], y[8:16], 8) for drawn in (first, again)
    )
    assert torch.equal(x_mixed, x_again)
    assert torch.equal(y_mixed, y_again)


def test_a_last_batch_of_one_clip_has_nobody_to_mix_with() -> None:
    x, y = torch.randn(1, 6), torch.randn(1, 1)
    mixed_x, mixed_y = mixing(9, 1.0, 1.0).apply(x, y, 8)
    torch.testing.assert_close(mixed_x, x)
    torch.testing.assert_close(mixed_y, y)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_the_host_does_not_wait_for_a_batch_on_the_gpu() -> None:
    x, y = torch.randn(8, 100, 128, device="cuda"), torch.randn(8, 2, device="cuda")
    masked, mixed = masks(8, 24, 80).to("cuda"), mixing(8, 1.0, 1.0).to("cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        mixed.apply(masked.apply(x, 0), y, 0)
    finally:
        torch.cuda.set_sync_debug_mode("default")


# --- balanced sampling ----------------------------------------------------------------------------


def test_a_clip_weighs_the_sum_of_what_its_labels_weigh() -> None:
    """1000 / (clips of the class + 0.01), as the AST's released recipe has it."""
    labels = np.array([0, 0, 0, 1])
    weights = [1000 / 3.01] * 3 + [1000 / 1.01]
    assert balanced(labels, 2).tolist() == pytest.approx(weights)
    tags = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=np.uint8)
    weights = [1000 / 3.01, 1000 / 3.01, 1000 / 3.01 + 1000 / 1.01, 0]
    assert balanced(tags, 3).tolist() == pytest.approx(weights)


def test_clips_are_drawn_as_often_as_they_weigh() -> None:
    labels = np.repeat([0, 1, 2], [900, 90, 10])
    draws = torch.Generator().manual_seed(0)
    drawn = draw_clips(balanced(labels, 3), draws)
    counts = np.bincount(labels[drawn.numpy()], minlength=3)
    assert len(drawn) == 1000
    assert counts == pytest.approx([333, 333, 333], abs=50)
    none = draw_clips(torch.tensor([0.0, 1.0, 0.0, 2.0, 0.0], dtype=torch.float64), draws)
    assert set(none.tolist()) <= {1, 3}
