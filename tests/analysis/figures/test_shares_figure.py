"""`petl figure shares`: the score, and its paired difference, by share of synthetic clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import t
from test_figures import told

from analysis.figures.figure import draw
from petl.config import Task
from petl.config.study import Study, study_of
from petl.errors import UserError
from petl.runs.synthetic import fabricate

OURS, THEIRS = "0123456789abcdef", "fedcba9876543210"
ROWS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "A, 10 %": {"generator": OURS, "share": 0.1},
    "A, 50 %": {"generator": OURS, "share": 0.5},
    "A, 50 %, shuffled": {"generator": OURS, "share": 0.5, "conditions": "shuffled"},
    "A, alone": {"generator": OURS, "real": False},
    "B, 10 %": {"generator": THEIRS, "share": 0.1},
    "B, 50 %": {"generator": THEIRS, "share": 0.5},
}


def accuracy(task: Task) -> float:
    if (augment := task.augment) is None:
        return 0.6 + 0.02 * task.fold
    if augment.share is None:
        return 0.3
    return 0.7 + 0.1 * augment.share * (1 if augment.conditions == "given" else -1)


def made(runs: Path, *rows: str, of: Callable[[Task], float] = accuracy, **file: Any) -> Study:
    methods = {
        f"m{i}": {"like": "lora", "label": name} | ({"augment": ROWS[name]} if ROWS[name] else {})
        for i, name in enumerate(rows or ROWS)
    }
    matrix = {"dataset": "esc50", "backbone": "ast", "method": [*methods], "fold": "all", "seed": 1}
    study = study_of({"profile": "as-run", "matrix": matrix, "methods": methods} | file, "helps")
    fabricate(study, runs, of, spread=0)
    return study


def lines(axis: Axes) -> list[list[tuple[float, float]]]:
    """Those that join points."""
    found = [
        line
        for line in axis.lines
        if line.get_marker() in ("", "None") and len(line.get_xdata()) > 1
    ]
    points = (zip(line.get_xdata(), line.get_ydata(), strict=True) for line in found)
    return [[(float(x), round(float(y), 3)) for x, y in of] for of in points]


def ticks(axis: Axes) -> list[str]:
    return [label.get_text() for label in axis.get_xticklabels()]


@pytest.fixture(scope="module")
def figure(tmp_path_factory: pytest.TempPathFactory) -> Figure:
    runs = tmp_path_factory.mktemp("runs")
    return draw("shares", made(runs), runs)


def test_given_and_shuffled_conditions_are_lines_from_a_share_of_zero(figure: Figure) -> None:
    scores, gains = figure.axes[:2]
    level, given, shuffled = lines(scores)
    assert given == [(0, 64), (0.1, 71), (0.5, 75)] and shuffled == [(0, 64), (0.5, 65)]
    assert {y for _, y in level} == {64}
    assert lines(gains)[1:] == [[(0, 0), (0.1, 7), (0.5, 11)], [(0, 0), (0.5, 1)]]
    assert scores.get_ylabel() == "Test accuracy (%)"


def test_synthetic_clips_alone_stand_beside_the_scores_and_not_the_differences(
    figure: Figure,
) -> None:
    assert ticks(figure.axes[0]) == ["0", "10", "50", "alone"]
    assert ticks(figure.axes[1]) == ["0", "10", "50"]


def test_a_bar_is_the_interval_of_the_paired_differences(figure: Figure) -> None:
    """The scores with a share of 0.5 are the same in all folds: the differences are not."""
    bars = [bar for bar in figure.axes[1].collections if hasattr(bar, "get_segments")]
    (low, high) = bars[1].get_segments()[0][:, 1]
    spread = np.std([0, 2, 4, 6, 8], ddof=1) * np.sqrt(1 / 5 + 1 / 4)
    assert high - low == pytest.approx(2 * t.ppf(0.975, 4) * spread)


def test_each_generator_has_panels_of_its_own_with_the_name_of_its_rows(figure: Figure) -> None:
    assert [axis.get_title("left") for axis in figure.axes] == ["ESC · A", "", "ESC · B", ""]
    assert lines(figure.axes[2])[1] == [(0, 64), (0.1, 71), (0.5, 75)]


def test_one_column_stacks_the_two_panels(tmp_path: Path) -> None:
    study = made(tmp_path, "none", "A, 10 %")
    drawn = draw("shares", study, tmp_path, width="single")
    left, right = (axis.get_position() for axis in drawn.axes)
    assert left.x0 == right.x0 and left.y0 > right.y1
    assert "paired by fold and seed" in told(drawn)


def test_a_study_without_synthetic_clips_is_told_what_the_figure_needs(tmp_path: Path) -> None:
    study = made(tmp_path, "none")
    with pytest.raises(UserError, match="differ only in `augment`, one of them with a share of 0"):
        draw("shares", study, tmp_path)
