"""Predictions for files: the right one for each, and a file that does not decode stops nothing."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner, Result

from petl.cli import app
from petl.data.layouts import esc50
from petl.data.load import load
from petl.use.load import load_run
from petl.use.predict.ensemble import Ensemble
from petl.use.predict.files import sound_files
from petl.use.predict.predict import predict

RATE = 16_000
NAMED = ["class", "probability", "class_2", "probability_2", "class_3", "probability_3"]
GOLDEN = Path(__file__).parent.parent / "golden"


def petl(*arguments: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def noise(path: Path, seconds: float = 1.0, rate: int = RATE, channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    samples = 0.1 * rng.standard_normal((round(seconds * rate), channels))
    soundfile.write(path, samples, rate)
    return path


@pytest.mark.parametrize("method", ["lora", "conformer"])
def test_a_file_gets_the_outputs_of_its_clip_in_training(trained, places, method) -> None:
    run = load_run(trained(method).path, places)
    data = load(run.task, places)
    outputs = run.outputs(data.inputs[data.split.test])
    corpus = esc50.read(places.data / "tiny", run.task.dataset)
    clips = [corpus.clips[index].path for index in data.split.test]
    found = torch.tensor([said.values for said in predict(Ensemble((run,)), clips)])
    assert torch.allclose(found, outputs.softmax(dim=1), atol=1e-6)


def test_the_dataset_is_not_needed(trained, places, tmp_path: Path) -> None:
    """The statistics of the training split were written down."""
    told = petl(
        *("predict", trained("lora").path, noise(tmp_path / "a.wav"), "--json"),
        *("--runs", tmp_path),
    )
    assert told.exit_code == 0, told.output
    (line,) = told.stdout.splitlines()
    said = json.loads(line)
    assert said["file"] == str(tmp_path / "a.wav")
    assert len(said["top"]) == 3
    probabilities = [answer["probability"] for answer in said["top"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert 0 < sum(probabilities) <= 1


def test_a_broken_file_is_named_and_the_others_are_predicted(trained, tmp_path: Path) -> None:
    good = [noise(tmp_path / f"{i}.wav") for i in range(35)]  # more than a batch
    broken = tmp_path / "10 broken.wav"
    broken.write_bytes(b"RIFF, but not really")
    asked = [*good[:20], broken, tmp_path / "nowhere.wav", *good[20:]]
    told = petl("predict", trained("lora").path, *asked, "--json", "--top", 1)
    assert told.exit_code == 1
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert [line["file"] for line in lines] == [str(path) for path in asked]
    assert [path for line, path in zip(lines, asked, strict=True) if "error" in line] == [
        broken,
        tmp_path / "nowhere.wav",
    ]
    assert f"petl: {broken}: " in told.stderr
    assert "2 of 37 files could not be decoded" in told.stderr
    assert "Traceback" not in told.output


def test_any_sampling_rate_channels_and_length_work(trained, places, tmp_path: Path) -> None:
    """Another rate, several channels, shorter or longer than a clip in training."""
    run = load_run(trained("lora").path, places)
    files = [
        noise(tmp_path / "44.flac", rate=44_100, channels=2),
        noise(tmp_path / "short.wav", seconds=0.2),
        noise(tmp_path / "long.wav", seconds=3),
    ]
    long, rate = soundfile.read(tmp_path / "long.wav")
    soundfile.write(tmp_path / "beginning.wav", long[: int(1.2 * rate)], rate)
    said = list(predict(Ensemble((run,)), [*files, tmp_path / "beginning.wav"]))
    assert not any(answer.error for answer in said)
    assert said[2].spans[0].values == pytest.approx(said[3].spans[0].values, abs=1e-6)
    assert said[1].values != pytest.approx(said[2].values, abs=1e-3)


def test_folders_and_lists_become_files(tmp_path: Path) -> None:
    files = [noise(tmp_path / "a" / "b" / "2.wav", 0.1), noise(tmp_path / "a" / "1.FLAC", 0.1)]
    (tmp_path / "a" / "notes.txt").write_text("no sound")
    noise(tmp_path / "a" / ".hidden" / "3.wav", 0.1)
    assert sound_files([str(tmp_path / "a")], io.StringIO()) == sorted(files)
    listed = io.StringIO("x.wav\n\n y z.wav\n")
    assert sound_files(["-"], listed) == [Path("x.wav"), Path(" y z.wav")]


def test_a_list_on_stdin_is_predicted(trained, tmp_path: Path) -> None:
    clip = noise(tmp_path / "one.wav")
    told = petl("predict", trained("lora").path, "-", stdin=f"{clip}\n")
    assert told.exit_code == 0, told.output
    header, row = csv.reader(io.StringIO(told.stdout))
    assert header == ["file", *NAMED, "error"]
    assert row[0] == str(clip) and len(row) == len(header)
    for wrong, line in (("-", "list on stdin is empty"), (tmp_path / "x", "could not be decoded")):
        told = petl("predict", trained("lora").path, wrong, stdin="")
        assert line in told.stderr
    (tmp_path / "empty").mkdir()
    told = petl("predict", trained("lora").path, tmp_path / "empty")
    assert (told.exit_code, "no sound file in it" in told.stderr) == (2, True)


def test_a_regression_predicts_its_targets(written, places, tmp_path: Path) -> None:
    """Its numbers as they are, not as probabilities."""
    table = {"file": "t.csv", "path": "path", "fold": "fold"}
    dataset = {"layout": "table", "split": "given", "classes": None, "table": table}
    run = written(dataset=dataset | {"targets": ["valence", "arousal"]})
    clip = noise(tmp_path / "a.wav")
    (line,) = petl("predict", run.path, clip, "--json").stdout.splitlines()
    said = json.loads(line)["targets"]
    ((*values,),) = [
        answer.values for answer in predict(Ensemble((load_run(run.path, places),)), [clip])
    ]
    assert list(said) == ["valence", "arousal"]
    assert list(said.values()) == values
    assert "valence" in petl("predict", run.path, clip).stdout


def test_a_model_of_waveforms_predicts_files(written, places, tmp_path: Path) -> None:
    backbone = {"family": "wav2vec2", "source": str(GOLDEN / "wav2vec2_tiny"), "dropout": "none"}
    run = load_run(written(backbone=backbone, method={"family": "head"}).path, places)
    clips = [noise(tmp_path / "a.wav"), noise(tmp_path / "bb.wav", 0.3)]
    one, other = (answer.values for answer in predict(Ensemble((run,)), clips))
    assert run.statistics is None
    assert len(one) == 10
    assert sum(one) == pytest.approx(1)
    assert one != other
