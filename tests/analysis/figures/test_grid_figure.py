"""`petl figure grid`: one setting as lines, two as a heat map, and what stays apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

from analysis.collect import load
from analysis.figures.figure import draw
from petl.cli import app
from petl.config import Task
from petl.config.study import Study, study_of
from petl.errors import UserError
from petl.picture import to_bytes
from petl.runs.synthetic import fabricate

PARTS = {"dataset": "esc50", "backbone": "ast", "method": "lora", "fold": [0, 1], "seed": 10}
RATES = {"train.lr": [1e-4, 1e-3, 2e-3]}
SIZES = {"method.reduction": [16, 64]}


def by_rate(task: Task) -> float:
    """70 to 90 per cent, and 5 more for the larger LoRA."""
    larger = getattr(task.method, "reduction", None) == 16
    return {1e-4: 0.7, 1e-3: 0.9, 2e-3: 0.8}.get(task.train.lr, 0.5) + 0.05 * larger


def made(
    runs: Path,
    settings: dict[str, Any],
    accuracy: Callable[[Task], float] = by_rate,
    **more: Any,
) -> Study:
    matrix = {"matrix": PARTS | settings, "profile": "as-run", "set": {"train": {"epochs": 2}}}
    study = study_of(matrix | more, "sweep")
    fabricate(study, runs, accuracy, spread=0)
    return study


def lines(figure: Figure) -> list[tuple[list[float], list[float]]]:
    """Of the first panel, without the ends of error bars."""
    shown = [line for line in figure.axes[0].lines if line.get_marker() != "_"]
    return [
        (list(map(float, line.get_xdata())), [round(float(y), 3) for y in line.get_ydata()])
        for line in shown
    ]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_one_setting_is_a_line_over_its_values(tmp_path: Path) -> None:
    study = made(tmp_path, RATES)
    figure = draw("grid", study, tmp_path)
    assert lines(figure) == [([1e-4, 1e-3, 2e-3], [70, 90, 80])]
    assert figure.axes[0].get_xlabel() == "train.lr" and figure.axes[0].get_xscale() == "log"
    assert sorted(load(study, tmp_path)["train.lr"].unique()) == RATES["train.lr"]


def test_two_settings_are_a_heat_map_of_means(tmp_path: Path) -> None:
    figure = draw("grid", made(tmp_path, RATES | SIZES), tmp_path)
    axis = figure.axes[0]
    assert [float(text.get_text()) for text in axis.texts] == [75, 95, 85, 70, 90, 80]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0.0001", "0.001", "0.002"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["16", "64"]
    assert to_bytes(figure, "png")


def test_a_setting_that_is_not_drawn_keeps_its_values_on_lines_of_their_own(tmp_path: Path) -> None:
    figure = draw("grid", made(tmp_path, RATES | SIZES), tmp_path, over=["train.lr"])
    assert legend(figure) == ["LoRA, reduction 16", "LoRA, reduction 64"]
    assert [ys for _, ys in lines(figure)] == [[75, 95, 85], [70, 90, 80]]


def test_values_that_are_words_stand_side_by_side(tmp_path: Path) -> None:
    figure = draw(
        "grid",
        made(
            tmp_path,
            {"dataset.spec_augment": [None, "mild"]} | {"method.init": ["zero-up", "normal"]},
        ),
        tmp_path,
        over=["method.init"],
    )
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["zero-up", "normal"]
    assert [axis.get_title("left") for axis in figure.axes] == [
        "ESC · spec_augment null",
        "ESC · spec_augment mild",
    ]


@pytest.mark.parametrize(
    ("settings", "over", "told"),
    [
        ({}, [], "no setting has several values in the matrix"),
        (RATES, ["train.l"], "--over train.l: no setting with .*; did you mean 'train.lr'"),
        (RATES | SIZES | {"train.eps": [1e-8, 1e-7]}, [], "choose with --over: train.lr, method"),
    ],
)
def test_what_cannot_be_drawn_is_told(
    tmp_path: Path, settings: dict[str, Any], over: list[str], told: str
) -> None:
    study = made(tmp_path, settings)
    with pytest.raises(UserError, match=told):
        draw("grid", study, tmp_path, over=over)


def test_over_is_for_the_grid_only() -> None:
    result = CliRunner().invoke(app, ["figure", "folds", "table1", "--over", "train.lr"])
    assert result.exit_code == 2 and "'grid', not of 'folds'" in result.output


def test_scaling_draws_methods_with_equally_many_parameters(tmp_path: Path) -> None:
    """A learning rate changes no size: each is a level of its own, and LoRA's sizes are lines."""
    figure = draw("scaling", made(tmp_path, RATES | SIZES), tmp_path)
    joined = [ys for xs, ys in lines(figure) if xs[0] != 0]
    assert sorted(joined) == [[70, 75], [80, 85], [90, 95]]


def test_scaling_joins_only_what_differs_in_one_size(tmp_path: Path) -> None:
    methods = {
        "soft-a": {"like": "soft-moa", "method": {"experts": 4, "slots": 1}},
        "soft-b": {"like": "soft-moa", "method": {"experts": 8, "slots": 1}},
        "soft-c": {"like": "soft-moa", "method": {"experts": 16, "slots": 2}},
    }
    study = made(tmp_path, {"method": list(methods)}, methods=methods)
    (line,) = [xs for xs, _ in lines(draw("scaling", study, tmp_path)) if xs[0] != 0]
    assert len(line) == 2


def test_one_fold_has_no_standard_deviation(tmp_path: Path) -> None:
    figure = draw("grid", made(tmp_path, RATES | {"fold": 0}), tmp_path)
    assert not any("deviation" in text.get_text() for text in figure.texts)
