"""Clips with several labels, from the training of a run to its table and figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
import torch
from matplotlib.figure import Figure
from typer.testing import CliRunner

from analysis.figures.figure import draw
from analysis.tables.tabulate import Options, tabulate
from petl import config
from petl.cli import app
from petl.config.options import Options as Execution
from petl.config.study import Study, load_study
from petl.data.load import load
from petl.data.synthetic.mixtures import NAMES, like_fsd50k
from petl.errors import UserError
from petl.places import Places
from petl.runs.directory import RunDir
from petl.runs.synthetic import fabricate
from petl.train.run import Interrupted, run_task
from petl.use.evaluate import evaluate
from petl.use.load import LoadedRun, load_run
from petl.use.show import metrics, per_class
from petl.use.to_library import to_library

GOLDEN = Path(__file__).parent.parent / "golden"
STUDY = f"""
report: test_best
keep_weights: true
profile: as-intended
matrix: {{dataset: tags, backbone: tiny, method: lora, fold: 0, seed: 10}}
backbones:
  tiny: {{backbone: {{family: ast, source: {GOLDEN / "ast_tiny"}}}}}
datasets:
  tags:
    label: Tags
    dataset: {{corpus: tags, layout: fsd50k, classes: 10, folds: 1, frames: 100, split: paper,
      spec_augment: null}}
    train: {{epochs: 2, batch_size: 8, sampling: balanced, mixup: {{share: 0.5, alpha: 1.0}}}}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    file = tmp_path_factory.mktemp("study") / "tags.yaml"
    file.write_text(STUDY)
    return load_study(file)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, study: Study) -> Places:
    """A trained run. No test clip is a melody."""
    root = tmp_path_factory.mktemp("tags")
    places = Places(root / "runs", root / "data", root / "cache")
    like_fsd50k(places.data / "tags", {"train": 30, "val": 10, "test": 20}, seed=1)
    table = places.data / "tags" / "FSD50K.ground_truth" / "eval.csv"
    table.write_text(table.read_text().replace("Melody_step", "Noise_swell"))
    run_task(study.tasks[0], places, Execution(threads=1))
    return places


@pytest.fixture(scope="module")
def run(study: Study, places: Places) -> LoadedRun:
    return load_run(RunDir.of(study.tasks[0], places.runs).path, places)


def test_the_best_epoch_has_the_highest_map(study: Study, places: Places) -> None:
    directory = RunDir.of(study.tasks[0], places.runs)
    result, rows = directory.result(), directory.metrics()
    assert result is not None
    named = {"map", "auc", "classes_without_clips", "loss"}
    assert all(set(scores) == named for scores in result["metrics"].values())
    scores = [row["val_map"] for row in rows]
    assert result["best_epoch"] == 1 + scores.index(max(scores))
    assert result["metrics"]["val_best"]["map"] == max(scores)
    assert result["confusion"] == {"test_last": None, "test_best": None}
    of_classes = result["per_class"]["test_best"]
    melody = NAMES.index("Melody_step")
    assert of_classes["clips"][melody] == 0
    assert of_classes["average_precision"][melody] is None
    assert result["metrics"]["test_best"]["classes_without_clips"] == 1
    known = [value for value in of_classes["average_precision"] if value is not None]
    assert result["metrics"]["test_best"]["map"] == pytest.approx(np.mean(known))


def test_a_run_stopped_every_other_step_ends_the_same(
    study: Study, places: Places, tmp_path: Path
) -> None:
    """Balanced draws and mixtures included."""
    own, tries = Places(tmp_path, places.data, places.cache), 0
    directories = [RunDir.of(study.tasks[0], runs) for runs in (tmp_path, places.runs)]
    while directories[0].result() is None:
        tries += 1
        left = iter(range(2))
        try:
            stop = lambda left=left: next(left, None) is None  # noqa: E731
            run_task(study.tasks[0], own, Execution(threads=1), stop=stop)
        except Interrupted:
            assert tries < 20
    assert tries > 2
    one, other = (directory.result() for directory in directories)
    assert one and other
    assert (one["metrics"], one["per_class"]) == (other["metrics"], other["per_class"])
    weights = [directory.weights_file.read_bytes() for directory in directories]
    assert weights[0] == weights[1]


def test_evaluate_measures_the_same(run: LoadedRun, places: Places) -> None:
    found = evaluate(run, places, "test")
    assert found.metrics == found.recorded
    classes = found.to_json(with_classes=True)["classes"]
    data = load(run.task, places)
    truth = data.targets[data.split.test]
    outputs = run.outputs(data.inputs[data.split.test]).numpy()
    for label, row in enumerate(classes):
        assert row["support"] == truth[:, label].sum()
        if row["support"]:
            column = truth[:, label], outputs[:, label]
            theirs = sklearn.metrics.average_precision_score(*column)
            assert row["average_precision"] == pytest.approx(theirs, abs=1e-12)
    assert metrics(found).row_count == 4
    assert per_class(found).row_count == 10


def test_predict_gives_each_class_its_own_probability(run: LoadedRun, places: Places) -> None:
    sound = places.data / "tags" / "FSD50K.eval_audio" / "1040.wav"
    arguments = ["predict", str(run.path), str(sound), "--json", "--top", "10"]
    told = CliRunner().invoke(app, arguments)
    assert told.exit_code == 0, told.output
    top = {one["class"]: one["probability"] for one in json.loads(told.stdout)["top"]}
    data = load(run.task, places)
    logits = run.outputs(data.inputs[data.split.test[:1]]).double()[0]
    assert top == pytest.approx(dict(zip(NAMES, torch.sigmoid(logits).tolist(), strict=True)))


def test_hugging_face_is_told_that_labels_are_several(run: LoadedRun) -> None:
    files, _ = to_library(run)
    assert json.loads(files["config.json"])["problem_type"] == "multi_label_classification"


def test_the_table_is_of_map_and_says_which_classes_it_leaves_out(
    study: Study, places: Places
) -> None:
    made = tabulate(study, places.runs)
    assert made.table.measure.column == "test_best.map" and made.table.measure.percent
    assert "mAP on Tags leaves out the classes without clips: up to 1." in made.warnings


def test_figures_show_the_average_precision_of_each_class(study: Study, places: Places) -> None:
    figure = draw("classes", study, places.runs)
    result = RunDir.of(study.tasks[0], places.runs).result()
    assert isinstance(figure, Figure) and result
    found = result["per_class"]["test_best"]["average_precision"]
    known = sorted(100 * value for value in found if value is not None)
    shown = figure.axes[0].collections[0].get_array().ravel().compressed()
    assert list(shown) == pytest.approx(known)
    assert figure.axes[-1].get_xlabel() == "Average precision (%)"
    assert draw("convergence", study, places.runs).axes[1].get_ylabel() == "Validation mAP (%)"
    with pytest.raises(UserError, match="clips with several labels have no confusion matrix"):
        draw("confusion", study, places.runs)


def test_made_up_runs_have_the_same_keys(study: Study, places: Places, tmp_path: Path) -> None:
    fabricate(study, tmp_path)
    made, real = (RunDir.of(study.tasks[0], runs).result() for runs in (tmp_path, places.runs))
    assert made and real
    for name, scores in real["metrics"].items():
        assert made["metrics"][name].keys() == scores.keys()
        assert made["per_class"].keys() == real["per_class"].keys()


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"label_smoothing": 0.1}, "label_smoothing is for clips with one label each"),
        ({"loss": "ccc"}, "a classification minimises binary cross-entropy"),
    ],
)
def test_what_needs_one_label_is_refused(study: Study, more: dict, complaint: str) -> None:
    said = study.tasks[0].to_json()
    with pytest.raises(ValueError, match=complaint):
        config.Task.model_validate(said | {"train": said["train"] | more})
    few = {"few_shot": {"per_class": 1, "draw": "first"}}
    with pytest.raises(ValueError, match="few_shot is for clips with one label each"):
        config.Task.model_validate(said | {"dataset": said["dataset"] | few})


def test_a_table_holds_one_kind_of_task_and_names_the_others(tmp_path: Path) -> None:
    file = tmp_path / "mixed.yaml"
    matrix = "{dataset: [esc10, fsd50k], backbone: ast, method: [linear, lora], fold: 0, seed: 1}"
    file.write_text(f"report: test_best\nmatrix: {matrix}\n")
    study = load_study(file)
    fabricate(study, tmp_path)
    by_accuracy = tabulate(study, tmp_path)
    assert [dataset.label for dataset in by_accuracy.table.datasets] == ["ESC-10"]
    line = "FSD50K is another kind of task without accuracy: --metric test_best.map"
    assert by_accuracy.warnings == [line]
    by_map = tabulate(study, tmp_path, Options(metric="test_best.map"))
    assert [dataset.label for dataset in by_map.table.datasets] == ["FSD50K"]
    assert len(by_map.table.rows) == 2
