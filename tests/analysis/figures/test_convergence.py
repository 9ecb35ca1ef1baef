"""How runs converge, drawn from their metrics.jsonl."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_runs import finished, stopped
from matplotlib.figure import Figure
from PIL import Image
from typer.testing import CliRunner, Result

from analysis.figures.convergence import convergence
from analysis.figures.figure import save_as
from petl.cli import app
from petl.config import Task
from petl.config.study import EXPERIMENTS, load_study
from petl.errors import UserError

QUICKSTART = EXPERIMENTS / "quickstart.yaml"


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    return load_study(QUICKSTART).tasks


def petl(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def draw(runs: list[tuple[Task, list[dict]]], synthetic: bool = False) -> Figure:
    """Of tasks with their epochs."""
    columns = ["study", "dataset_label", "method_label", "backbone"]
    frame = pd.DataFrame([[getattr(task.names, name) for name in columns] for task, _ in runs])
    frame = frame.set_axis(columns, axis=1).assign(state="done", synthetic=synthetic)
    return convergence(frame.assign(epochs=[epochs for _, epochs in runs]))


def rows(epochs: int, up: float = 0.0, lr: float = 1e-3, metric: str = "accuracy") -> list[dict]:
    return [
        {
            "epoch": epoch,
            "train_loss": 2 / epoch,
            "val_loss": 2 / epoch + 0.1 + up,
            f"val_{metric}": 0.5 + epoch / 100 + up,
            "lr": lr / epoch,
        }
        for epoch in range(1, epochs + 1)
    ]


def panels(figure) -> tuple:
    loss, score, rate = figure.axes
    return loss, score, rate


def means(axis) -> list:
    """Lines that carry a marker: a run alone, or the mean of several."""
    return [line for line in axis.lines if line.get_marker() not in ("", "None")]


def test_one_run_is_its_own_line(tasks) -> None:
    figure = draw([(tasks[0], rows(7))])
    loss, score, rate = panels(figure)
    assert [len(axis.lines) for axis in (loss, score, rate)] == [2, 1, 1]
    assert score.lines[0].get_ydata() == pytest.approx([51, 52, 53, 54, 55, 56, 57])
    assert list(score.lines[0].get_xdata()) == [1, 2, 3, 4, 5, 6, 7]
    assert loss.get_title(loc="left") == "FFT · Made sounds"


def test_folds_are_thin_lines_under_their_mean_with_its_band(tasks) -> None:
    folds = [(task, rows(6, 0.1 * i)) for i, task in enumerate(tasks[:3])]
    _, score, _ = panels(draw(folds))
    (mean,) = means(score)
    assert len(score.lines) == 4
    assert mean.get_ydata() == pytest.approx([61, 62, 63, 64, 65, 66])
    (band,) = score.collections
    edges = band.get_paths()[0].vertices
    spread = np.std([0, 10, 20])
    assert edges[:, 1].max() == pytest.approx(66 + spread)
    assert edges[:, 1].min() == pytest.approx(61 - spread)


def test_a_mean_goes_as_far_as_all_its_folds(tasks) -> None:
    """Beyond that it would jump whenever a run has stopped early or is still under way."""
    _, score, _ = panels(draw([(tasks[0], rows(9)), (tasks[1], rows(4))]))
    (mean,) = means(score)
    assert len(mean.get_xdata()) == 4
    assert max(len(line.get_xdata()) for line in score.lines) == 9


def test_methods_differ_in_more_than_colour(tasks) -> None:
    shown = [(task, rows(8)) for task in tasks[::5]]
    figure = draw(shown)
    _, score, rate = panels(figure)
    assert len({line.get_marker() for line in means(score)}) == len(shown) == 6
    for line in means(score):
        red, green, blue = line.get_color()[:3]
        assert 0.3 * red + 0.59 * green + 0.11 * blue <= 0.46
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        task.names.method_label for task in tasks[::5]
    ]
    assert len({line.get_linestyle() for line in rate.lines}) == 1
    assert all(line.get_linestyle() == "--" for line in rate.lines)  # they take turns on one line


def test_a_regression_is_drawn_by_its_own_metric(tasks) -> None:
    figure = draw([(tasks[0], rows(3, metric="ccc"))])
    assert panels(figure)[1].get_ylabel() == "Validation CCC"
    mixed = [(tasks[0], rows(3, metric="ccc")), (tasks[5], rows(3))]
    with pytest.raises(UserError, match="several kinds of task"):
        draw(mixed)


def test_made_up_runs_say_so(tasks) -> None:
    runs = [(tasks[0], rows(3)), (tasks[5], rows(3))]
    assert draw(runs, synthetic=True).get_suptitle().startswith("SYNTHETIC: made-up numbers")
    assert draw(runs).get_suptitle() == ""


def test_runs_and_a_study_give_the_same_picture(tasks, tmp_path: Path) -> None:
    made = [finished(task, tmp_path / "runs") for task in tasks[:5]]
    stopped(tasks[5], tmp_path / "runs", 0)
    by_study = ["curves", QUICKSTART, "--method", "full", "--out", tmp_path / "one"]
    by_run = ["curves", *(run.path for run in made), "--out", tmp_path / "other"]
    for command in (by_study, by_run):
        told = petl(*command, "--runs", tmp_path / "runs")
        assert told.exit_code == 0, told.output
    for kind in ("png", "pdf"):
        one, other = ((tmp_path / f"{name}.{kind}").read_bytes() for name in ("one", "other"))
        assert one == other
    assert Image.open(tmp_path / "one.png").size[0] > 2000
    told = petl("curves", QUICKSTART, "--runs", tmp_path / "runs", "--out", tmp_path / "all.png")
    assert "25 of 30 runs have finished no epoch yet" in told.stdout
    assert not (tmp_path / "all.pdf").exists()


@pytest.mark.parametrize(
    "arguments, line",
    [
        ([QUICKSTART, "--method", "loar"], "did you mean 'lora'?"),
        ([QUICKSTART, "--method", "lora"], "no run of quickstart has finished an epoch yet"),
        (["0123"], "no run '0123'"),
        (["0123", "--fold", "0"], "choose runs of one study"),
    ],
)
def test_a_mistake_is_one_line(arguments, line: str, tmp_path: Path) -> None:
    told = petl("curves", *arguments, "--runs", tmp_path, "--out", tmp_path / "x")
    assert (told.exit_code, told.stderr.count("\n")) == (2, 1)
    assert line in told.stderr


def test_what_others_made_is_never_replaced(tasks, tmp_path: Path) -> None:
    figure = draw([(tasks[0], rows(3))])
    (path,) = save_as(figure, tmp_path / "a.png")
    save_as(figure, path)
    (tmp_path / "mine.pdf").write_bytes(b"%PDF")
    for name in ("mine.pdf", "mine"):
        with pytest.raises(UserError, match=r"mine.pdf was not made by petl"):
            save_as(figure, tmp_path / name)
    assert (tmp_path / "mine.pdf").read_bytes() == b"%PDF"
    assert not (tmp_path / "mine.png").exists()
    with pytest.raises(UserError, match=r"a\.gif: a figure is \.png or \.pdf"):
        save_as(figure, tmp_path / "a.gif")


def test_curves_need_no_torch() -> None:
    code = "import analysis.figures.convergence, petl.runs.find, sys; print('torch' in sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=EXPERIMENTS.parent)
    assert done.stdout.strip() == "False", done.stderr
