"""`petl figure`: what each picture shows of runs whose numbers are known, and what it lacks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figure_studies import FEW, KERNELS, METHODS, Make
from matplotlib.figure import Figure
from PIL import Image
from typer.testing import CliRunner

from analysis.figures.figure import FIGURES, draw
from analysis.figures.parameters import pareto
from petl.cli import app
from petl.config import Task
from petl.config.study import EXPERIMENTS
from petl.errors import UserError
from petl.runs.directory import RunDir

METHODS |= {
    f"lora-{size}": {"like": "lora", "label": f"LoRA 1/{size}", "method": {"reduction": size}}
    for size in (32, 128)
}


def lines(figure: Figure, panel: int = 0) -> dict[str, tuple[list[float], list[float]]]:
    """By the names in the legend: a line's look is its name."""
    looks = {}
    for legend in figure.legends:
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            looks[handle.get_marker(), handle.get_color()] = text.get_text()
    found = {}
    for line in figure.axes[panel].lines:
        name = looks.get((line.get_marker(), line.get_color()), "")
        if len(line.get_xdata()) > 1 and line.get_marker() != "_":  # the end of an error bar
            xs, ys = line.get_xdata(), line.get_ydata()
            found[name] = (list(map(float, xs)), [round(float(y), 6) for y in ys])
    return found


def told(figure: Figure) -> str:
    return " ".join(text.get_text().replace("\n", " ") for text in figure.texts)


def tick_labels(labels: Sequence[Any]) -> list[str]:
    return [label.get_text() for label in labels]


def test_kernel_is_a_line_from_the_smallest_to_the_largest(make: Make) -> None:
    study, runs = make(["k31", "k3", "k8"], accuracy=lambda task: KERNELS[task.names.method])
    figure = draw("kernel", study, runs)
    assert lines(figure)[""] == ([3, 8, 31], [60, 80, 70])
    assert figure.axes[0].get_xlabel() == "Kernel size"


def test_scaling_has_a_line_for_a_family_and_a_level_for_a_single_size(make: Make) -> None:
    truth = {"full": 0.9, "lora-32": 0.8, "lora-128": 0.7}
    methods = ["full", "lora-32", "lora-128"]
    study, runs = make(methods, accuracy=lambda task: truth[task.names.method])
    figure = draw("scaling", study, runs)
    found = lines(figure)
    assert sorted(found) == ["FFT", "LoRA"]
    assert sorted(found["LoRA"][1]) == [70, 80]
    assert found["FFT"][1] == [90, 90]


def test_few_shot_is_a_line_for_each_method_over_the_examples_of_a_class(make: Make) -> None:
    def accuracy(task: Task) -> float:
        return 0.1 * task.dataset.few_shot.per_class + 0.1 * (task.names.method == "lora")

    figure = draw("few-shot", *make(["linear", "lora"], list(FEW), accuracy))
    assert lines(figure) == {"Linear": ([1, 4], [10, 40]), "LoRA": ([1, 4], [20, 50])}


def test_folds_shows_every_fold_and_the_mean(make: Make) -> None:
    study, runs = make(["linear", "lora"], accuracy=lambda task: 0.5 + 0.2 * task.fold)
    figure = draw("folds", study, runs)
    points = [(line.get_marker(), float(line.get_xdata()[0])) for line in figure.axes[0].lines]
    assert points == 2 * [("o", 50), ("s", 70), ("|", 60)]
    assert tick_labels(figure.axes[0].get_yticklabels()) == ["Linear", "LoRA"]


def test_cost_is_the_sum_over_all_runs(make: Make) -> None:
    study, runs = make(["linear", "lora"], ["esc50", "urbansound8k"])
    figure = draw("cost", study, runs)
    seconds = [
        RunDir.of(task, runs).result()["timing"]["seconds"]
        for task in study.tasks
        if task.names.method == "lora"
    ]
    ends = [bar.get_x() + bar.get_width() for bar in figure.axes[0].patches if round(bar.get_y())]
    assert max(ends) == pytest.approx(sum(seconds) / 3600)


def test_classes_are_the_recalls_the_hardest_first(make: Make) -> None:
    study, runs = make(["lora"], ["urbansound8k"], lambda task: 0.8)
    total = sum(
        np.array(RunDir.of(t, runs).result()["confusion"]["test_last"]) for t in study.tasks
    )
    recalls = 100 * np.diag(total) / total.sum(axis=1)
    axis = draw("classes", study, runs).axes[0]
    assert list(axis.collections[0].get_array().ravel()) == pytest.approx(sorted(recalls))
    hardest = f"class {np.argmin(recalls)}"
    assert axis.get_xticklabels()[0].get_text() == hardest


def test_confusion_is_summed_over_folds(make: Make) -> None:
    study, runs = make(["linear", "lora"], ["urbansound8k"], lambda task: 0.8)
    figure = draw("confusion", study, runs, method="lora", width="double")
    tasks = [task for task in study.tasks if task.names.method == "lora"]
    total = sum(
        np.array(RunDir.of(task, runs).result()["confusion"]["test_last"]) for task in tasks
    )
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert [int(text or 0) for text in shown] == list(total.ravel())
    assert "summed over 2 runs of 2 folds" in told(figure)
    with pytest.raises(UserError, match=r"add --method \(linear, lora\)"):
        draw("confusion", study, runs)


def test_the_front_is_of_those_that_no_cheaper_one_beats() -> None:
    points = [(1, 5.0), (2, 4.0), (3, 6.0), (3, 7.0), (9, 7.0), (10, 8.0)]
    assert pareto(points) == [(1, 5.0), (3, 7.0), (10, 8.0)]
    assert pareto(points, lowest=True) == [(1, 5.0), (2, 4.0)]


def test_the_documentation_shows_each_figure_small_and_labelled() -> None:
    docs = EXPERIMENTS.parent / "docs"
    text = (docs / "figures.md").read_text()
    drawn = {*FIGURES} - {"samples"} | {"generator-curves"}  # made-up runs have no samples
    assert {file.stem for file in (docs / "figures").glob("*.png")} == drawn
    assert all(f"**{name}**" in text for name in FIGURES)
    for name in drawn:
        assert f", made-up numbers](figures/{name}.png)" in text
        file = docs / "figures" / f"{name}.png"
        assert file.stat().st_size < 60_000
        top = np.asarray(Image.open(file).convert("RGB"), int)[:20]
        red = (top[..., 0] > top[..., 1:].max(axis=-1) + 80).sum()
        assert red > 300  # the banner: SYNTHETIC


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("kernel", "no finished runs in which only the kernel size differs; 'kernel' needs them"),
        ("scaling", "no finished runs in which only the size differs"),
        ("few-shot", "no finished runs in which only the examples per class differ"),
        ("kernal", "no figure 'kernal'; did you mean 'kernel'?"),
    ],
)
def test_what_a_study_lacks_is_one_line(make: Make, name: str, line: str, tmp_path: Path) -> None:
    study, runs = make(["linear", "lora"], fold=0)
    done = petl(name, study.path, "--runs", runs, "--out", tmp_path / "out")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.output
    assert line in done.stderr
    assert not (tmp_path / "out").exists()


def test_without_a_run_it_says_how_to_make_some(tmp_path: Path) -> None:
    for name in FIGURES:
        done = petl(name, EXPERIMENTS / "quickstart.yaml", "--runs", tmp_path)
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.output


def test_files_of_others_stay(make: Make, tmp_path: Path) -> None:
    study, runs = make(["linear", "lora"], fold=0)
    command = ("folds", study.path, "--runs", runs, "--out", tmp_path)
    assert petl(*command).stdout.split() == [str(tmp_path / f"folds.{k}") for k in ("png", "pdf")]
    assert petl(*command).exit_code == 0  # ours are replaced
    (tmp_path / "folds.pdf").write_bytes(b"%PDF mine")
    (tmp_path / "folds.png").unlink()
    assert "folds.pdf was not made by petl" in petl(*command).stderr
    assert [file.name for file in tmp_path.iterdir()] == ["folds.pdf"]


def test_figures_need_no_torch() -> None:
    modules = "analysis.figures.figure, analysis.notebooks.notebook"
    code = f"import {modules}, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def petl(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["figure", *map(str, arguments)])
