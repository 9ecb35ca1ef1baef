"""Synthetic clips beside real ones: every measure with its floor and its interval."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from petl.config import Dataset
from petl.config.kinds import METRICS, metric
from petl.config.study import expand
from petl.data.ridge import mel_statistics
from petl.generate.measures import measured
from petl.generate.measures.measured import Clips, Measured, measure, resampled

FRAMES, BINS, CLASSES = 12, 8, 10
DISTANCES = {"kernel_distance", "frechet_distance", "frechet_infinite", "density", "coverage"}
SCORE = {"score_0_100", "frechet_flat", "frequency_correlation", "smoothness_ratio"}
SCORE |= {"mean_difference", "std_difference", "range_difference", "broken"}
ENCODERS = {
    "": lambda inputs, rows: mel_statistics(inputs[rows])[:, :BINS],
    "mel": lambda inputs, rows: mel_statistics(inputs[rows]),
}


def dataset(name: str) -> Dataset:
    matrix = {"dataset": name, "backbone": "ast-small", "method": "linear", "fold": 0, "seed": 0}
    return expand({"profile": "as-intended", "matrix": matrix}, "study")[0].dataset


NUMBERS, LABELS = dataset("made-up-deam"), dataset("esc10")
SEVERAL = dataset("fsd50k")


def clips(number: int, seed: int, scale: float = 1.0, obedient: float = 1.0) -> Clips:
    """Two conditions move two bins; `obedient`: how much."""
    draws = np.random.default_rng(seed)
    conditions = draws.normal(size=(number, 2)).astype(np.float32)
    inputs = scale * draws.normal(size=(number, FRAMES, BINS)).astype(np.float32)
    inputs[:, :, :2] += obedient * conditions[:, None]
    inputs += np.linspace(0, 2, BINS, dtype=np.float32)
    return Clips.of(inputs, conditions)


@pytest.fixture(scope="module", autouse=True)
def few_resamples() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measured, "RESAMPLES", 12)
        yield


def found(synthetic: Clips, train: int = 60, test: int = 50, of: Dataset = NUMBERS) -> Measured:
    return measure(synthetic, clips(train, 1), clips(test, 2), ENCODERS, of)


@pytest.fixture(scope="module")
def good() -> Measured:
    return found(clips(60, 3))


def test_every_measure_has_a_floor_an_interval_and_a_title(good: Measured) -> None:
    heard = {f"condition_ccc{end}" for end in ("", *(f"_{name}" for name in NUMBERS.targets))}
    each = DISTANCES | {"nearest_ratio", "copies"} | heard
    assert good.scores.keys() == SCORE | {f"{name}{end}" for name in each for end in ("", "_mel")}
    assert good.floor.keys() == good.scores.keys()
    assert good.intervals.keys() == good.floor_intervals.keys() == good.scores.keys() - {"broken"}
    for scores, intervals in (
        (good.scores, good.intervals),
        (good.floor, good.floor_intervals),
    ):
        for name, (low, high) in intervals.items():
            assert low <= scores[name] <= high, name
    for name in good.scores:
        begin = name.removesuffix("_mel")
        assert begin in METRICS or begin.startswith("condition_ccc_")
        assert metric(name).percent == metric(begin).percent
        assert metric(name).lowest_first == metric(begin).lowest_first


def test_clips_like_the_real_ones_measure_as_the_floor_does(good: Measured) -> None:
    """Not one interval of synthetic clips ends before that of the floor begins."""
    for name, (low, high) in good.intervals.items():
        assert max(low, good.floor_intervals[name][0]) <= min(high, good.floor_intervals[name][1])


def test_other_clips_are_found_in_every_way() -> None:
    bad = found(clips(60, 3, scale=2.0, obedient=0.0))
    for name in ("kernel_distance_mel", "frechet_distance_mel", "frechet_infinite_mel"):
        assert bad.intervals[name][0] > bad.floor_intervals[name][1]
    for name in ("coverage_mel", "condition_ccc", "score_0_100"):
        assert bad.intervals[name][1] < bad.floor_intervals[name][0]


def test_copies_of_training_clips_are_found() -> None:
    copied = found(clips(60, 1))
    assert copied.scores["nearest_ratio"] < 0.001
    assert copied.scores["copies"] == 1 and copied.floor["copies"] == pytest.approx(0.05, abs=0.02)


def test_the_floor_has_as_many_clips_as_are_measured() -> None:
    """Else its Frechet distance, which falls with their number, would be another measure."""
    few, many, more = (found(clips(number, 3)) for number in (15, 60, 200))
    name = "frechet_distance_mel"
    assert few.floor[name] > 1.5 * many.floor[name]
    assert more.floor[name] == pytest.approx(more.scores[name], rel=0.3)


def test_the_same_seed_gives_the_same_numbers() -> None:
    parts = clips(20, 3), clips(20, 1), clips(20, 2)
    one, same, other = (measure(*parts, ENCODERS, NUMBERS, seed=seed) for seed in (0, 0, 1))
    assert one == same
    beside = measure(clips(20, 4), *parts[1:], ENCODERS, NUMBERS)
    assert one.scores != beside.scores
    for name, value in one.floor.items():  # the distances of whole spectrograms are rounded
        assert beside.floor[name] == pytest.approx(value, rel=1e-9), name
    assert one.intervals != other.intervals


@pytest.mark.parametrize("number", [0, 1, 2, 5, 9])
def test_few_clips_have_values_without_intervals_or_none(number: int) -> None:
    few_synthetic, few_real = found(clips(number, 3)), found(clips(30, 3), test=number)
    for some in (few_synthetic, few_real):
        assert np.isfinite(list(some.scores.values())).all()
        assert ("kernel_distance" in some.scores) == (number >= 2)
        assert not DISTANCES & some.intervals.keys()
    assert ("density" in few_real.scores) == (number > 5)


def test_broken_clips_are_counted_and_left_out(good: Measured) -> None:
    synthetic = clips(80, 3)
    inputs = synthetic.inputs.copy()
    inputs[60:70], inputs[70:, 3, 3] = np.nan, np.inf
    some = found(replace(synthetic, inputs=inputs))
    assert some.scores["broken"] == 0.25 and some.floor["broken"] == 0
    assert np.isfinite(list(some.scores.values())).all()
    assert some.scores["kernel_distance"] < 5
    assert found(replace(synthetic, inputs=np.full_like(inputs, np.nan))).scores == {"broken": 1.0}


def test_classes_are_heard_by_accuracy_and_several_labels_by_their_map() -> None:
    draws = np.random.default_rng(0)
    one_hot = np.eye(3, dtype=np.float32)[draws.integers(0, 3, 60)]
    heard = one_hot + 0.1 * draws.normal(size=(60, 3))
    heard[:15] = np.roll(one_hot[:15], 1, axis=1)
    assert measured.agreement(heard, one_hot, LABELS) == {"condition_accuracy": 0.75}
    several = (draws.random((60, 4)) < 0.3).astype(np.float32)
    several[:, 3] = 0
    assert measured.agreement(several, several, SEVERAL) == {"condition_map": 1.0}
    assert measured.agreement(1 - several, several, SEVERAL)["condition_map"] < 0.5


def test_the_interval_of_a_mean_is_the_textbooks(monkeypatch) -> None:
    values = np.random.default_rng(0).normal(size=100)
    monkeypatch.setattr(measured, "RESAMPLES", 300)
    draws = np.random.default_rng(1)
    scores, intervals = resampled(
        lambda rows: {"kernel_distance": values[rows].mean()}, (100,), draws
    )
    (low, high), value = intervals["kernel_distance"], scores["kernel_distance"]
    assert (low + high) / 2 == pytest.approx(value) == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * 1.96 * values.std(ddof=1) / 10, rel=0.1)


def test_an_interval_of_a_share_stays_between_0_and_1() -> None:
    hits = np.arange(20) > 0
    draws = np.random.default_rng(0)
    _, intervals = resampled(lambda rows: {"copies": hits[rows].mean()}, (20,), draws)
    assert 0 < intervals["copies"][0] < intervals["copies"][1] == 1


def test_an_interval_of_a_distance_starts_at_0_unless_it_can_be_less() -> None:
    draws = np.random.default_rng(0)
    values = draws.normal(size=20) + 0.1
    names = ("frechet_distance_mel", "kernel_distance_mel")
    _, intervals = resampled(lambda rows: dict.fromkeys(names, values[rows].mean()), (20,), draws)
    assert intervals[names[0]][0] == 0 > intervals[names[1]][0]


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_nine_of_ten_intervals_hold_what_is_expected(shift: float, monkeypatch) -> None:
    """On Gaussians: what many sets of as many clips have on average. A coverage near 1 varies a
    little more than it does over halves; the Frechet distance varies much less, so it is always in.
    """
    monkeypatch.setattr(measured, "RESAMPLES", 40)
    draws = np.random.default_rng(0)
    values, intervals = [], []
    for _ in range(60):
        real, made = draws.normal(size=(2, 50, 6))
        made[:, 0] += shift
        scores, ends = measured._distances(made, real, draws)
        values.append(scores)
        intervals.append(ends)
    for name in DISTANCES:
        truth = math.fsum(scores[name] for scores in values) / len(values)
        inside = [ends[name][0] <= truth <= ends[name][1] for ends in intervals]
        assert np.mean(inside) >= (0.85 if name == "coverage" else 0.9), name
        if shift and name in ("kernel_distance", "density", "coverage"):  # not by being too wide
            spread = np.std([scores[name] for scores in values])
            width = np.mean([high - low for low, high in (ends[name] for ends in intervals)])
            assert width / (2 * 1.96) == pytest.approx(spread, rel=0.35), name
