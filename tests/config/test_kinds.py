"""What decides how a study is judged and printed."""

from __future__ import annotations

import pytest

from petl.config.kinds import (
    KINDS,
    METRICS,
    NO_LABELS,
    NUMBERS,
    ONE_LABEL,
    SEVERAL_LABELS,
    SPECTROGRAMS,
    Metric,
    metric,
)


def test_a_score_is_better_when_it_is_higher() -> None:
    for kind in KINDS:
        assert metric(kind.headline).rank(2) == (-2 if kind in (NO_LABELS, SPECTROGRAMS) else 2)
        assert {kind.headline} <= {*kind.metrics} <= METRICS.keys()
        assert set(kind.beside) <= METRICS.keys()
    assert [kind.text(0.5) for kind in (ONE_LABEL, SEVERAL_LABELS, NUMBERS)] == [
        "50.0 %",
        "50.0 %",
        "0.500",
    ]


def test_the_known_part_of_a_name_decides_how_it_is_printed() -> None:
    assert metric("mae_valence").lowest_first and metric("mae_valence").title == "MAE valence"
    assert metric("top5_accuracy").percent and metric("top5_accuracy").title == "top5 accuracy"
    assert metric("ccc_loss_of_hearing").title == "CCC loss_of_hearing"
    assert metric("d_prime") == Metric("d prime")


def test_a_generators_metrics_name_their_encoder() -> None:
    second = metric("kernel_distance_second")
    assert second.lowest_first and second.title == "kernel distance, second encoder"
    assert metric("coverage_mel").percent
    heard = metric("condition_ccc_valence_mel")
    assert heard.title == "condition as heard, CCC valence, mel statistics"
    assert metric("mae_mel").title == "MAE mel"  # of a target with this name


@pytest.mark.parametrize("name", [f"coverage{5000 * '_mel'}", f"{5000 * 'window_'}ccc", "", "_"])
def test_a_name_that_somebody_made_up_has_some_title(name: str) -> None:
    assert isinstance(metric(name).title, str)
