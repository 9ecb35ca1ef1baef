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
from petl.config.kinds import ONE_LABEL, SEVERAL_LABELS
from petl.errors import UserError
from petl.files import append_json_line, write_json
from petl.runs.choose import choose
from petl.use.load import load_run
from petl.use.predict.combine import votes
from petl.use.predict.ensemble import Ensemble, load_ensemble
from petl.use.predict.hear import hear
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


def test_runs_whose_best_epoch_is_by_the_loss_are_compared_by_it(written, places, clip) -> None:
    """The lowest wins; runs that differ in this are compared by the headline."""
    runs = {}
    for fold, (accuracy, loss) in enumerate([(0.9, 2.0), (0.5, 1.0)]):
        run = runs[fold] = written(weights="last", fold=fold, train={"best_by": "loss"})
        run.metrics_file.unlink()
        append_json_line(run.metrics_file, {"epoch": 2, "val_accuracy": accuracy, "val_loss": loss})
    of = places.__class__(runs[0].path.parent.parent, places.data, places.cache)
    chosen = choose("tiny", of)
    assert chosen.paths == [runs[1].path]
    assert "(validation loss 1.000), the best of 2 runs" in chosen.why
    third = written(weights="last", fold=2)
    third.metrics_file.unlink()
    append_json_line(third.metrics_file, {"epoch": 2, "val_accuracy": 0.7, "val_loss": 0.1})
    assert choose("tiny", of).paths == [runs[0].path]


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
    with pytest.raises(UserError, match=r"3 of its runs are finished, .*--retrain"):
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


def test_windows_and_label_tracks_have_times(three, clip, tmp_path) -> None:
    long = tmp_path / "long.wav"
    samples, rate = soundfile.read(clip)
    soundfile.write(long, np.tile(samples, 3)[: round(2.5 * rate)], rate)
    told = petl("predict", three[0].path, long, "--windows", "--top", 1, "--labels", tmp_path / "t")
    assert told.exit_code == 0, told.output
    header, *rows = csv.reader(io.StringIO(told.stdout))
    assert header == ["file", "start", "end", "class", "probability", "error"]
    times = [(float(row[1]), float(row[2])) for row in rows]
    assert times == [(0, 1), (1, 2), (pytest.approx(1.48), pytest.approx(2.48))]
    labels = [line.split("\t") for line in (tmp_path / "t" / "long.txt").read_text().splitlines()]
    assert [(float(start), float(end)) for start, end, _ in labels] == times
    assert [text.rpartition(" ")[0] for *_, text in labels] == [row[3] for row in rows]
    for hop in ("0", "nan", "inf"):
        refused = petl("predict", three[0].path, long, "--hop", hop)
        assert (refused.exit_code, "it can be 0.01 s or more" in refused.stderr) == (2, True)
    again = petl("predict", three[0].path, long, "--labels", tmp_path / "t")
    assert (again.exit_code, "long.txt exists already" in again.stderr) == (2, True)


def test_a_file_is_the_mean_the_maximum_or_the_vote_of_its_windows(three, places, tmp_path) -> None:
    run = Ensemble((load_run(three[0].path, places),))
    samples = 0.1 * np.random.default_rng(2).standard_normal(5 * 16_000)
    soundfile.write(tmp_path / "long.wav", samples, 16_000)

    def said(pool):
        return next(predict(run, [tmp_path / "long.wav"], How(hop=0.5, pool=pool)))

    windows = np.array([span.values for span in said("mean").spans])
    *_, heard = hear(run.runs, *run.by_input(), [tmp_path / "long.wav"], 50)
    logits = np.stack(heard.outputs)[:, 0]
    assert len(logits) == len(windows) == 9
    for pool, together in (("mean", logits.mean(axis=0)), ("max", logits.max(axis=0))):
        expected = np.exp(together) / np.exp(together).sum()
        assert said(pool).values == pytest.approx(expected, abs=1e-6)
    shares = np.bincount(windows.argmax(axis=1), minlength=10) / len(windows)
    assert said("vote").values == pytest.approx(shares, abs=1e-5)


def test_the_files_of_a_group_have_one_row(three, clip, tmp_path) -> None:
    """By a pattern, and by a table; a broken file does not take the others along."""
    rng = np.random.default_rng(5)
    for name in ("a_1", "a_2", "b_1"):
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * rng.standard_normal(16_000), 16_000)
    (tmp_path / "b_2.wav").write_bytes(b"RIFF")
    files = sorted(tmp_path.glob("?_?.wav"))
    table = "".join(f"{file.name},{file.name[0]}\n" for file in files)
    (tmp_path / "who.csv").write_text(f"file,bird\n{table}")
    ways = (r"/(\w)_\d\.wav", f"{tmp_path / 'who.csv'}:bird")
    told = [petl("predict", three[0].path, *files, "--group", way, "--top", 1) for way in ways]
    assert told[0].stdout == told[1].stdout
    assert told[0].exit_code == 1
    header, *rows = csv.reader(io.StringIO(told[0].stdout))
    assert header == ["group", "files", "class", "probability", "error"]
    assert [row[:2] for row in rows] == [["a", "2"], ["b", "1"]]
    alone = list(csv.reader(io.StringIO(petl("predict", three[0].path, files[2]).stdout)))[1]
    assert rows[1][2:4] == alone[1:3]
    for wrong, line in (
        ("(x", "not a regular expression"),
        ("(y)z", "does not match it"),
        ("(y*)", "not match"),
    ):
        refused = petl("predict", three[0].path, files[0], "--group", wrong)
        assert (refused.exit_code, line in refused.stderr) == (2, True)


def test_votes_count_and_equal_votes_go_to_the_higher_mean() -> None:
    values = np.array([[0.6, 0.4, 0.0], [0.1, 0.9, 0.0], [0.6, 0.4, 0.0], [0.2, 0.8, 0.0]])
    assert votes(values[:3], ONE_LABEL).argmax() == 0
    assert votes(values, ONE_LABEL).argmax() == 1
    assert votes(values, ONE_LABEL) == pytest.approx([0.5, 0.5, 0], abs=1e-5)
    assert votes(values, SEVERAL_LABELS) == pytest.approx([0.5, 0.5, 0], abs=1e-5)
    assert votes(values + 0.1, SEVERAL_LABELS) == pytest.approx([0.5, 1, 0], abs=1e-5)
