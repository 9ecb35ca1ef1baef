"""A regression's answers drawn against the truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from analysis.figures.figure import draw
from petl.config.study import Study, study_of
from petl.errors import UserError
from petl.picture import to_bytes
from petl.runs.directory import RunDir
from petl.runs.predictions import content
from petl.runs.synthetic import fabricate
from petl.runs.synthetic_numbers import CLIPS

SCALE = {"centre": 5.0, "spread": 4.0}
TRUE = [[0.0, 0.5], [-1.0, 1.0], [0.25, 0.75]]


def moods(folder: Path, targets: tuple[str, ...] = ("valence", "arousal"), **more) -> Study:
    table = {"file": "clips.csv", "path": "file"}
    dataset = {"corpus": "moods", "layout": "table", "targets": list(targets), "folds": 2}
    dataset |= {"frames": 500, "split": "k-fold", "spec_augment": None, "table": table} | more
    matrix = {"dataset": "moods", "backbone": "ast", "method": "linear", "fold": 0}
    mapping = {
        "matrix": matrix | {"seed": [1, 2]},
        "datasets": {"moods": {"dataset": dataset, "train": {"epochs": 2, "batch_size": 8}}},
    }
    study = study_of(mapping, "moods")
    fabricate(study, folder, lambda task: 0.7)
    return study


def keep(study: Study, folder: Path, songs: list[int] | None = None) -> None:
    """Seed 1 answers 0.1 too much, and seed 2 0.3."""
    for task, error in zip(study.tasks, (0.1, 0.3), strict=True):
        answers = (np.array(TRUE) + error).tolist()
        about = (
            ("valence", "arousal"),
            ["a", "b", "c"],
            TRUE,
            dict.fromkeys(("test_last", "test_best"), answers),
        )
        file = RunDir.of(task, folder).predictions_file
        file.write_bytes(content(task.run_id, *about, songs))


def points(figure, panel: int, which: int) -> np.ndarray:
    return np.sort(np.asarray(figure.axes[panel].collections[which].get_offsets()), axis=0)


def test_points_are_clips_in_the_unit_of_the_targets_averaged_over_seeds(tmp_path) -> None:
    study = moods(tmp_path, scale=SCALE)
    keep(study, tmp_path)
    figure = draw("predictions", study, tmp_path)
    true = 4 * np.sort(np.array(TRUE), axis=0) + 5
    np.testing.assert_allclose(points(figure, 0, 1), true)
    np.testing.assert_allclose(points(figure, 0, 2), true + 0.8)
    residuals = next(axis for axis in figure.axes if axis.get_ylabel() == "Residual")
    offsets = np.asarray(residuals.collections[0].get_offsets())
    np.testing.assert_allclose(offsets[:, 1], 0.8)
    assert b"/Type3" not in to_bytes(figure, "pdf")
    assert figure.axes[0].get_xlabel() == "Valence" and figure.axes[0].get_ylabel() == "Arousal"


def test_the_windows_of_a_song_are_one_point(tmp_path) -> None:
    study = moods(tmp_path)
    keep(study, tmp_path, songs=[7, 7, 8])
    figure = draw("predictions", study, tmp_path)
    np.testing.assert_allclose(points(figure, 0, 1), [[-0.5, 0.75], [0.25, 0.75]])
    assert "2 test songs" in " ".join(text.get_text() for text in figure.texts)


@pytest.mark.parametrize("targets", [("valence",), ("arousal", "valence", "tension")])
def test_it_fits_a_column_and_any_number_of_targets(tmp_path, targets) -> None:
    figure = draw("predictions", moods(tmp_path, targets), tmp_path, width="single")
    assert figure.get_figwidth() == 3.4
    assert len(figure.axes) == 2 * len(targets) + (len(targets) > 1)
    assert figure.get_suptitle().startswith("SYNTHETIC")


def test_a_damaged_file_is_named_and_the_others_are_drawn(tmp_path, capsys) -> None:
    study = moods(tmp_path)
    first = RunDir.of(study.tasks[0], tmp_path)
    whole = json.loads(first.predictions_file.read_text())
    first.predictions_file.write_text(json.dumps(whole | {"targets": [[1, 2]]}))
    draw("predictions", study, tmp_path)
    assert f"{first.predictions_file}: its lists have different lengths" in capsys.readouterr().err


def test_without_predictions_it_says_what_it_needs(tmp_path) -> None:
    study = moods(tmp_path)
    for task in study.tasks:
        RunDir.of(task, tmp_path).predictions_file.unlink()
    with pytest.raises(UserError, match="'predictions' needs them"):
        draw("predictions", study, tmp_path)


@pytest.mark.parametrize("change", [{"targets": [3] * CLIPS}, {"outputs": ["x", "y"]}])
def test_a_file_with_other_targets_than_the_run_is_left_out(tmp_path, capsys, change) -> None:
    study = moods(tmp_path)
    first = RunDir.of(study.tasks[0], tmp_path)
    whole = json.loads(first.predictions_file.read_text())
    first.predictions_file.write_text(json.dumps(whole | change))
    draw("predictions", study, tmp_path)
    assert f"{first.predictions_file}: its targets are not those of" in capsys.readouterr().err
