"""predictions.json: written, read, and what a hostile one does."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from petl.runs import predictions
from petl.runs.damage import damage_of
from petl.runs.directory import RunDir

VALUES = np.array([[0.1, -2.5], [np.pi, 1e-9]], dtype=np.float32)


@pytest.fixture
def run(tmp_path) -> RunDir:
    made = RunDir(tmp_path / "study" / ("0" * 16))
    made.path.mkdir(parents=True)
    after = {"test_last": VALUES.tolist(), "test_best": (-VALUES).tolist()}
    about = ("x", "y"), ["a.wav", "b.wav@15"], VALUES.tolist(), after, [0, 1]
    made.predictions_file.write_bytes(predictions.content(made.path.name, *about))
    return made


def test_the_bits_of_each_answer_are_kept(run) -> None:
    found, wrong = predictions.read(run)
    assert not wrong
    assert np.array_equal(np.array(found["test_last"], dtype=np.float32), VALUES)
    assert np.array_equal(np.array(found["test_best"], dtype=np.float32), -VALUES)
    assert (found["clips"], found["songs"]) == (["a.wav", "b.wav@15"], [0, 1])


def test_a_run_without_the_file_has_none_and_nothing_is_wrong(tmp_path) -> None:
    assert predictions.read(RunDir(tmp_path / ("0" * 16))) == (None, "")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"run_id": "1" * 16}, "of another run, 1111"),
        ({"clips": ["a.wav"]}, "different lengths"),
        ({"test_last": [[0.1], [0.2]]}, "different lengths"),
        ({"songs": [1]}, "different lengths"),
        ({"test_best": [["a", "b"], [1, 2]]}, "damaged, or not written by petl"),
        ({"schema": 2}, "damaged, or not written by petl"),
    ],
)
def test_what_does_not_fit_is_refused_and_named(run, change, complaint) -> None:
    whole = json.loads(run.predictions_file.read_text())
    run.predictions_file.write_text(json.dumps(whole | change))
    found, wrong = predictions.read(run)
    assert found is None and complaint in wrong
    assert any(
        "predictions.json" in str(damage) and complaint in str(damage) for damage in damage_of(run)
    )


def test_a_file_without_an_end_and_a_pipe_are_refused(run, monkeypatch) -> None:
    monkeypatch.setattr(predictions, "MOST_BYTES", 100)
    assert "over" in predictions.read(run)[1]
    run.predictions_file.unlink()
    os.mkfifo(run.predictions_file)
    found, wrong = predictions.read(run)
    assert found is None and "not a regular file" in wrong


def test_very_many_answers_are_not_kept(monkeypatch) -> None:
    about = "0" * 16, ("x", "y"), ["a", "b"], VALUES.tolist(), {"test_last": VALUES.tolist()}
    assert predictions.content(*about)
    monkeypatch.setattr(predictions, "MOST_NUMBERS", 3)
    assert predictions.content(*about) is None
