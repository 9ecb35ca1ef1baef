"""`petl predict STUDY`: its best run by validation, or several of its runs together."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner, Result

from petl.cli import app
from petl.errors import UserError
from petl.files import append_json_line, write_json
from petl.use.load import load_run
from petl.use.predict.choose import choose
from petl.use.predict.ensemble import Ensemble, load_ensemble
from petl.use.predict.predict import How, predict


def petl(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    samples = 0.1 * np.random.default_rng(1).standard_normal(16_000)
    soundfile.write(tmp_path / "clip.wav", samples, 16_000)
    return tmp_path / "clip.wav"


@pytest.fixture
def scored(written):
    """`scored(0.8, fold=1)`: a finished run whose last epoch has that validation accuracy."""

    def write(accuracy: float, **settings: object):
        run = written(weights="last", **settings)
        run.metrics_file.unlink()
        append_json_line(run.metrics_file, {"epoch": 2, "val_accuracy": accuracy})
        return run

    return write


OTHER = {"family": "head"}


@pytest.fixture
def three(scored):
    """Two folds of one method, and another method's run, which is the best one."""
    return scored(0.5, fold=0), scored(0.7, fold=1), scored(0.9, method=OTHER, names=NAMES)


NAMES = {"method": "other"}


def test_a_study_means_its_best_run_by_validation(three, places, clip, tmp_path) -> None:
    """By its name in the runs folder, by the folder; test_best of these runs is equal."""
    best = three[2]
    runs = best.path.parent.parent
    for name in ("tiny", str(best.path.parent)):
        told = petl("predict", name, clip, "--runs", runs)
        assert told.exit_code == 0, told.output
        assert f"run {best.path.name}" in told.stderr
        assert "(validation accuracy 90.0 %), the best of 3 runs" in told.stderr
    one = petl("predict", best.path, clip)
    assert one.stdout == told.stdout
    assert one.stderr == ""


def test_an_ensemble_is_the_mean_of_its_runs_probabilities(three, places, clip) -> None:
    runs = three[0].path.parent.parent
    of = places.__class__(runs, places.data, places.cache)
    assert choose("tiny", of, together="folds").paths == [three[2].path]
    chosen = choose("tiny", of, ["method=lora"], "folds")
    assert set(chosen.paths) == {three[0].path, three[1].path}
    assert "2 runs of lora: mean validation accuracy 60.0 %" in chosen.why
    assert len(choose("tiny", of, together="all").paths) == 3

    together = load_ensemble(chosen.paths, of)
    (said,) = predict(together, [clip])
    apart = [next(predict(Ensemble((load_run(path, of),)), [clip])) for path in chosen.paths]
    mean = np.mean([one.values for one in apart], axis=0)
    assert said.values == pytest.approx(mean, abs=1e-12)
    (voted,) = predict(together, [clip], How(combine="vote"))
    winners = {int(np.argmax(one.values)) for one in apart}
    assert int(np.argmax(voted.values)) in winners
    assert sum(voted.values) == pytest.approx(1)


def test_the_runs_of_an_ensemble_share_their_backbone(three, places) -> None:
    tensors = load_file(three[1].weights_file)
    save_file(tensors | {"head.weight": tensors["head.weight"] + 1}, three[1].weights_file)
    loaded = load_ensemble([three[0].path, three[1].path], places)
    one, other = (dict(run.model.named_parameters()) for run in loaded.runs)
    shared = {
        name for name in one if name in other and one[name].data_ptr() == other[name].data_ptr()
    }
    assert sum(one[name].numel() for name in shared) > 0.8 * sum(p.numel() for p in one.values())
    assert "head.weight" not in shared


def test_what_cannot_be_chosen_is_one_line(three, places, written, tmp_path) -> None:
    runs = three[0].path.parent.parent
    of = places.__class__(runs, places.data, places.cache)
    with pytest.raises(UserError, match="is one run; --only and --ensemble"):
        choose(str(three[0].path), of, together="all")
    with pytest.raises(UserError, match="no run has method 'lorra'; did you mean 'lora'"):
        choose("tiny", of, ["method=lorra"])
    written(names=NAMES | {"dataset": "more"}, seed=3)
    with pytest.raises(UserError, match="2 datasets; choose one: --only dataset=more or"):
        choose("tiny", of)
    classes = three[1].result() | {"classes": [f"class {i}" for i in range(10)]}
    write_json(three[1].result_file, classes)
    with pytest.raises(UserError, match="different classes"):
        load_ensemble([three[0].path, three[1].path], of)
    for run in three:
        run.weights_file.unlink()
    with pytest.raises(UserError, match="3 runs are finished, and none has kept its weights"):
        choose("tiny", of, ["dataset=tiny"])


def test_rows_have_the_same_columns_with_and_without_errors(three, clip, tmp_path) -> None:
    """Also with a name that a spreadsheet would take for a formula."""
    broken = tmp_path / "=1+1.wav"
    broken.write_bytes(b"RIFF")
    out = tmp_path / "new" / "said.csv"
    told = petl("predict", three[0].path, clip, broken, "--top", 2, "--out", out)
    assert told.exit_code == 1
    assert told.stdout == ""
    header, good, bad = csv.reader(io.StringIO(out.read_text()))
    assert header == ["file", "class", "probability", "class_2", "probability_2", "error"]
    assert [len(good), len(bad)] == [6, 6]
    assert (good[-1], bad[1:-1]) == ("", [""] * 4)
    assert bad[-1]
    assert float(good[2]) >= float(good[4]) > 0
    again = petl("predict", three[0].path, clip, "--out", out)
    assert (again.exit_code, "exists already" in again.stderr) == (2, True)
