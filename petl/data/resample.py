"""Resampling by a filter written down here, so that no library's default can change it.

It is the filter of the released code, resampy's `kaiser_best`: a sinc under a Kaiser window, h.
Output n lies at t = n * down / up inputs, where up / down is to / rate in lowest terms, and is

    y[n] = scale * sum over inputs k of x[k] * h(scale * (t - k)),  scale = min(1, to / rate)

As t moves by exactly `down` inputs in `up` outputs, the weights of the inputs repeat: they are
computed once, and resampling becomes a matrix product.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from math import ceil, gcd

import numpy as np
import torch

from petl.config.front_end import RATE

ZEROS = 50
"""Zero crossings of h on either side of its middle."""
STEPS = 8192
"""Entries of the table of h per zero crossing; it is interpolated linearly between them."""
ROLLOFF = 0.9173473712608761
BETA = 12.984585247040014

BLOCK = 80
"""Outputs per matrix product. More of them share less of their inputs: more weights are 0."""
CHUNK = 2**23
"""Inputs per matrix product, which copies them: an hour of sound is not copied at once."""


def resample(waveform: np.ndarray, rate: int, to: int = RATE) -> np.ndarray:
    """A float64 waveform at another rate, ceil(samples * to / rate) long.

    As in the released code, the last sample is 0 if this is rounded up.
    """
    if rate == to:
        return waveform
    up, down = _ratio(rate, to)
    whole = len(waveform) * up // down
    resampled = np.zeros(ceil(len(waveform) * up / down))
    repeats = max(1, BLOCK // up)
    period, hop = repeats * up, repeats * down  # outputs and inputs until the weights repeat
    periods = ceil(whole / period)
    reach = _reach(rate, to)
    padded = np.zeros(reach + (periods + 1) * hop + reach + 1)
    padded[reach : reach + len(waveform)] = waveform
    late = _lateness(periods * period, rate, to).reshape(periods, period)
    out = np.zeros((periods, period))
    for first in range(0, min(period, whole), BLOCK):
        some = slice(first, min(first + BLOCK, period))
        weights, slopes = _weights(rate, to, some.start, some.stop)
        windows = torch.from_numpy(padded[first * down // up :]).unfold(0, len(weights), hop)
        out[:, some] = _product(windows[:periods], weights)
        if late[:, some].any():
            out[:, some] += late[:, some] * _product(windows[:periods], slopes)
    resampled[:whole] = out.reshape(-1)[:whole]
    return resampled


def resample_blocks(
    blocks: Iterable[np.ndarray], rate: int, to: int = RATE
) -> Iterator[np.ndarray]:
    """`resample` of a waveform that comes in blocks, as it comes; equal to it up to 1e-9.

    A piece is resampled with the inputs before and after it that its outputs depend on. It begins
    at a multiple of `down` inputs, where the weights begin to repeat.
    """
    if rate == to:
        yield from blocks
        return
    up, down = _ratio(rate, to)
    lead = ceil(_reach(rate, to) / down)
    before, waiting = 0, np.zeros(0)  # periods of the last piece that are kept, and the inputs
    for block in blocks:
        waiting = np.concatenate([waiting, block])
        ready = (len(waiting) - _reach(rate, to)) // down
        if ready > lead + before:
            piece = waiting[: samples_needed(ready * up, rate, to)]
            yield resample(piece, rate, to)[before * up : ready * up]
            waiting, before = waiting[(ready - lead) * down :], lead
    yield resample(waiting, rate, to)[before * up :]


def samples_needed(outputs: int, rate: int, to: int = RATE) -> int:
    """How many inputs the first outputs depend on. The rest need not be decoded."""
    up, down = _ratio(rate, to)
    return outputs if rate == to else ceil(outputs * down / up) + _reach(rate, to)


def _ratio(rate: int, to: int) -> tuple[int, int]:
    common = gcd(rate, to)
    return to // common, rate // common


def _product(windows: torch.Tensor, weights: torch.Tensor) -> np.ndarray:
    chunks = windows.split(max(1, CHUNK // len(weights)))
    return torch.cat([chunk @ weights for chunk in chunks]).numpy()


def _lateness(outputs: int, rate: int, to: int) -> np.ndarray:
    """How far resampy's clock is ahead of the exact one, in inputs, for each output n.

    resampy takes output n at n * (1 / (to / rate)) in float64. The exact time n * down / up is
    floor(n * down / up) + (n * down mod up) / up, and the two are subtracted one after the other,
    so that no digits are lost. The difference is about 1e-11, but in a band that is almost empty
    the logarithm of its energy shows even that.
    """
    up, down = _ratio(rate, to)
    numbers = np.arange(outputs)
    clock = numbers * (1 / (to / rate))
    return clock - numbers * down // up - numbers * down % up / up


def _stride(rate: int, to: int) -> int:
    """Table entries from one input to the next: scale * STEPS.

    Rounded down, as in resampy, which makes the filter at 44.1 kHz wider by 1 in 20,000.
    """
    return int(min(1.0, to / rate) * STEPS)


def _reach(rate: int, to: int) -> int:
    """Inputs on either side of an output whose weights are not 0."""
    return ZEROS * STEPS // _stride(rate, to) + 1


@lru_cache(maxsize=64)
def _weights(rate: int, to: int, first: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(inputs, outputs): the weights for outputs first..end-1 of a period, and their slopes.

    A slope is the weight's derivative by t, for the clock of `_lateness`.
    """
    up, down = _ratio(rate, to)
    scale = min(1.0, to / rate)
    table, reach, stride = scale * _table(), _reach(rate, to), _stride(rate, to)
    entries, slope = np.arange(len(table)), np.gradient(table) * scale * STEPS
    times = np.arange(first, end) * down  # of the outputs, in 1 / up of an input
    before = times // up - first * down // up  # the last input at or before the output
    after = scale * STEPS * (times % up / up)  # the output's distance to it, in table entries
    taps, columns = np.arange(reach)[:, None], np.arange(end - first)
    weights, slopes = np.zeros((2, before[-1] + 2 * reach + 1, end - first))
    for offset, sign, inputs in (
        (after, 1, reach + before - taps),
        (scale * STEPS - after, -1, reach + before + 1 + taps),
    ):
        inside = taps < (len(table) - offset.astype(int)) // stride
        at = offset + taps * stride
        weights[inputs, columns] = inside * np.interp(at, entries, table)
        slopes[inputs, columns] = inside * np.interp(at, entries, sign * slope)
    return torch.from_numpy(weights), torch.from_numpy(slopes)


@lru_cache(maxsize=1)
def _table() -> np.ndarray:
    """h from its middle to its right end; it is symmetric."""
    end = ZEROS * STEPS
    sinc = ROLLOFF * np.sinc(ROLLOFF * np.linspace(0, ZEROS, end + 1))
    return sinc * np.kaiser(2 * end + 1, BETA)[end:]
