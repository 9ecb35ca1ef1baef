"""Resampling to 16 kHz by a filter written down here, so that no library's default can change it.

It is the filter that the released code heard through: `kaiser_best` of resampy, a windowed sinc.
Between two rates an output's place among the inputs repeats after some outputs, and with it the
filter's weights: these are computed once, and resampling becomes a matrix product.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, gcd

import numpy as np
import torch

from petl.config.dataset import RATE

ZEROS = 50
"""Zero crossings on either side of the filter's middle."""
STEPS = 8192
"""Entries of the filter's table per zero crossing; between two of them it is a straight line."""
ROLLOFF = 0.9173473712608761
BETA = 12.984585247040014

BLOCK = 80
"""Outputs per matrix product: many enough to be fast, few enough to multiply little by zero."""
CHUNK = 2**23
"""Inputs per matrix product: an hour of sound is not copied at once."""


def resample(waveform: np.ndarray, rate: int) -> np.ndarray:
    """A float64 waveform at 16 kHz, ceil(samples * 16000 / rate) long.

    As in the released code, the last sample is 0 where that is not a whole number.
    """
    if rate == RATE:
        return waveform
    up, down = _ratio(rate)
    whole = len(waveform) * up // down
    resampled = np.zeros(ceil(len(waveform) * up / down))
    repeats = max(1, BLOCK // up)
    period, hop = repeats * up, repeats * down  # outputs, and inputs, until the weights repeat
    periods = ceil(whole / period)
    reach = _reach(rate)
    padded = np.zeros(reach + (periods + 1) * hop + reach + 1)
    padded[reach : reach + len(waveform)] = waveform
    late = _lateness(periods * period, rate).reshape(periods, period)
    out = np.zeros((periods, period))
    for first in range(0, min(period, whole), BLOCK):
        some = slice(first, min(first + BLOCK, period))
        weights, slopes = _weights(rate, some.start, some.stop)
        windows = torch.from_numpy(padded[first * down // up :]).unfold(0, len(weights), hop)
        out[:, some] = _product(windows[:periods], weights)
        if late[:, some].any():
            out[:, some] += late[:, some] * _product(windows[:periods], slopes)
    resampled[:whole] = out.reshape(-1)[:whole]
    return resampled


def samples_needed(outputs: int, rate: int) -> int:
    """How much of a recording its first outputs depend on: the rest need not be decoded."""
    up, down = _ratio(rate)
    return outputs if rate == RATE else ceil(outputs * down / up) + _reach(rate)


def _ratio(rate: int) -> tuple[int, int]:
    common = gcd(rate, RATE)
    return RATE // common, rate // common


def _product(windows: torch.Tensor, weights: torch.Tensor) -> np.ndarray:
    chunks = windows.split(max(1, CHUNK // len(weights)))
    return torch.cat([chunk @ weights for chunk in chunks]).numpy()


def _lateness(outputs: int, rate: int) -> np.ndarray:
    """By how much of an input resampy's clock, rounded at each tick, is ahead of the true one.

    Some 1e-11; but where a clean sound leaves a band empty, the logarithm shows even that.
    """
    up, down = _ratio(rate)
    numbers = np.arange(outputs)
    clock = numbers * (1 / (RATE / rate))
    return clock - numbers * down // up - numbers * down % up / up


def _stride(rate: int) -> int:
    """Table entries from one input to the next; towards a lower rate the filter is stretched.

    Cut to a whole number, as resampy does: at 44.1 kHz the filter is 1/20000 wider for it.
    """
    return int(min(1.0, RATE / rate) * STEPS)


def _reach(rate: int) -> int:
    """Inputs on either side of an output that have a weight."""
    return ZEROS * STEPS // _stride(rate) + 1


@lru_cache(maxsize=64)
def _weights(rate: int, first: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(inputs, outputs): what outputs first..end-1 of a period take of the inputs around them.

    And by how much that grows when an output moves later by one input.
    """
    up, down = _ratio(rate)
    scale = min(1.0, RATE / rate)
    table, reach, stride = scale * _table(), _reach(rate), _stride(rate)
    entries, slope = np.arange(len(table)), np.gradient(table) * scale * STEPS
    places = np.arange(first, end) * down
    before = places // up - first * down // up  # the last input that is not after the output
    after = scale * STEPS * (places % up / up)  # how far the output is after it, in table entries
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
    """The filter from its middle to its right end."""
    end = ZEROS * STEPS
    sinc = ROLLOFF * np.sinc(ROLLOFF * np.linspace(0, ZEROS, end + 1))
    return sinc * np.kaiser(2 * end + 1, BETA)[end:]
