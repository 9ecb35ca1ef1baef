"""Curves of generators: both networks, how often the discriminator is right, looks at samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from test_figures import told

from analysis.figures.convergence import convergence
from analysis.figures.figure import draw
from analysis.tables.tabulate import Options, tabulate
from petl.config.study import Study, study_of
from petl.errors import UserError
from petl.runs.directory import RunDir
from petl.runs.synthetic import fabricate

MATRIX = {
    **{"dataset": "esc50", "backbone": "ast-small", "method": ["gan", "r3gan", "flow"]},
    **{"fold": [0, 1], "seed": 1},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path]:
    runs = tmp_path_factory.mktemp("runs")
    file = {"profile": "as-run", "matrix": MATRIX, "set": {"train": {"epochs": 12}}}
    study = study_of(file, "generators")
    fabricate(study, runs, lambda task: 0.8 if task.names.method == "flow" else 0.7, spread=0)
    return study, runs


def axis_of(figure: Figure, title: str) -> Axes:
    return next(axis for axis in figure.axes if axis.get_ylabel() == title)


def curves(axis: Axes) -> list[tuple[str, list[float]]]:
    """Dash and epochs of the lines with markers: means, or runs alone."""
    lines = [line for line in axis.lines if line.get_marker() not in ("", "None")]
    return [(line.get_linestyle(), [*map(int, line.get_xdata())]) for line in lines]


def test_each_network_has_a_loss_and_a_gradient(made: tuple[Study, Path]) -> None:
    figure = draw("convergence", *made)
    every = [*range(1, 13)]
    for title in ("Loss", "Gradient norm"):
        found = curves(axis_of(figure, title))
        assert sorted(found) == sorted([("-", every)] * 3 + [("--", every)] * 2)
    assert [axis.get_visible() for axis in figure.axes] == [True] * 5 + [False]
    assert "dashed: the discriminator" in told(figure)


def test_how_often_the_discriminator_is_right_has_its_band(made: tuple[Study, Path]) -> None:
    axis = axis_of(draw("convergence", *made), "Discriminator is right (%)")
    assert len(curves(axis)) == 4
    (band,) = axis.patches
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((50, 80))


def test_looks_are_joined_over_the_epochs_between_them(made: tuple[Study, Path]) -> None:
    figure = draw("convergence", *made)
    for title in ("Diversity of samples", "Kernel distance, mel statistics"):
        assert [epochs for _, epochs in curves(axis_of(figure, title))] == [[5, 10, 12]] * 3
    study, runs = made
    rows = RunDir.of(study.tasks[0], runs).metrics()
    other = RunDir.of(study.tasks[1], runs).metrics()
    shown = axis_of(figure, "Diversity of samples").lines[0].get_ydata()
    means = [np.mean([run[i]["diversity"] for run in (rows, other)]) for i in (4, 9, 11)]
    assert list(shown) == pytest.approx(means)


def test_one_column_has_the_distance_alone(made: tuple[Study, Path]) -> None:
    (axis,) = draw("convergence", *made, width="single").axes
    assert axis.get_ylabel() == "Kernel distance, mel statistics"


def test_a_flow_has_no_discriminator(made: tuple[Study, Path]) -> None:
    figure = draw("convergence", *made, method="flow")
    shown = [axis.get_ylabel() for axis in figure.axes if axis.get_visible()]
    assert "Discriminator is right (%)" not in shown and len(shown) == 4


def test_generators_and_models_that_answer_share_no_picture() -> None:
    names = {"study": "s", "dataset_label": "D", "method_label": "M", "backbone": "ast"}
    one, other = {"gradient_velocity": 1.0}, {"val_accuracy": 0.5}
    frame = pd.DataFrame([names | {"epochs": [row]} for row in (one, other)])
    with pytest.raises(UserError, match="generators or of models that answer, not both"):
        convergence(frame.assign(state="done", synthetic=False))


def test_a_table_has_the_lowest_distance_first_and_real_clips_below(
    made: tuple[Study, Path],
) -> None:
    table = tabulate(*made)
    assert table.table.marks(0) == ["second", "second", "best"]
    text = table.in_format("text")
    assert "real clips (training against test)" in text and "lower is better" in text
    assert "in the place of synthetic ones." in text and "without a network" not in text
    other = tabulate(*made, Options("test_last.coverage_second")).in_format("text")
    assert "Test coverage, second encoder of the last epoch, in per cent" in other
