"""What petl data check says of datasets that are whole, broken or odd, all of real files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from petl.cli import app
from petl.config.published import Published
from petl.data.check import check
from petl.data.layouts import esc50
from petl.data.overview import differences
from petl.errors import UserError

Check = Callable[..., Result]
NOISE = 0.1 * np.random.default_rng(1).standard_normal(3200)


def clip(tiny: Path, number: int) -> Path:
    return sorted((tiny / "audio").iterdir())[number]


@pytest.fixture
def petl_check(tiny, dataset, tmp_path) -> Check:
    """`petl data check` of the tiny dataset, by a study that names it."""

    def run(*arguments: object, **changes: object) -> Result:
        given = dataset(**changes).model_dump(mode="json", exclude_defaults=True)
        study = {
            "description": "",
            "profile": "as-run",
            "report": "test_last",
            "matrix": {"dataset": "tiny", "backbone": "ast", "method": "linear", "fold": 0},
            "datasets": {"tiny": {"dataset": given, "train": {"epochs": 1, "batch_size": 2}}},
        }
        study["matrix"]["seed"] = 0
        file = tmp_path / "study.yaml"
        file.write_text(json.dumps(study))
        options = ["--study", file, "--data", tiny.parent]
        command = ["data", "check", "tiny", *arguments, *options]
        return CliRunner().invoke(app, [str(argument) for argument in command])

    return run


# --- whole ----------------------------------------------------------------------------------------


def test_a_whole_dataset_is_ready(petl_check, tiny):
    told = petl_check()
    assert told.exit_code == 0, told.output
    lines = [" ".join(line.split()) for line in told.stdout.splitlines()]
    assert lines == [
        f"tiny: {tiny}, layout esc50",
        "clips 10",
        "classes 2, 5 clips each",
        "folds 5, 2 clips each",
        "groups 10 recordings or speakers",
        "lengths 0.20 s to 0.20 s, median 0.20 s",
        "20 frames are 0.2 s: 0 longer clips are cut, 0 shorter ones padded",
        "rates 16,000 Hz",
        "channels 1",
        "formats WAV",
        "ready: 10 of 10 clips decode",
    ]


def test_the_published_counts_are_known(shared_data):
    told = CliRunner().invoke(app, ["data", "check", "esc10", "--data", str(shared_data)])
    assert told.exit_code == 0, told.output
    assert "400, as published" in told.stdout
    assert "warning" not in told.stdout
    assert told.stdout.endswith("ready: 400 of 400 clips decode\n")


def test_what_a_study_cuts_and_pads_is_counted(tiny, dataset):
    soundfile.write(clip(tiny, 0), np.tile(NOISE, 2), 16000)
    soundfile.write(clip(tiny, 1), NOISE[:1600], 16000)
    soundfile.write(clip(tiny, 2), NOISE[:-16], 16000)  # a millisecond is no padding
    assert check(dataset(), esc50.read(tiny, dataset())).cut_and_padded() == (1, 1)


def test_rates_channels_and_formats_are_told_the_most_frequent_first(petl_check, tiny):
    stereo = np.repeat(np.repeat(NOISE[:, None], 3, axis=0), 2, axis=1)
    soundfile.write(clip(tiny, 0), stereo, 48000, "PCM_24", format="FLAC")
    told = petl_check()
    assert told.exit_code == 0
    assert "16,000 Hz (9), 48,000 Hz (1)" in told.stdout
    assert "1 (9), 2 (1)" in told.stdout
    assert "WAV (9), FLAC (1)" in told.stdout


def test_a_figure_shows_each_class_and_replaces_nothing_of_others(petl_check, tiny, tmp_path):
    pytest.importorskip("matplotlib")
    figure = tmp_path / "classes.png"
    for _ in range(2):  # its own it draws anew
        told = petl_check("--figure", figure)
        assert told.exit_code == 0, told.output
    assert f"figure   {figure}" in told.stdout
    assert figure.read_bytes().startswith(b"\x89PNG")
    figure.write_text("mine")
    assert "was not made by petl" in petl_check("--figure", figure).stderr
    assert figure.read_text() == "mine"


def test_the_examples_are_one_clip_of_each_class(tiny, dataset):
    examples = dict(check(dataset(), esc50.read(tiny, dataset())).examples(60))
    assert list(examples) == ["chainsaw", "cow"]
    assert examples["cow"].shape == (18, 128)  # whole windows of 0.2 s


# --- broken ---------------------------------------------------------------------------------------


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


def not_a_number(path: Path) -> None:
    """In the last sample: further on than a run of few frames would read."""
    soundfile.write(path, np.r_[NOISE, np.nan], 16000, "FLOAT")


BROKEN = {
    "empty": (lambda path: path.write_bytes(b""), "the file is empty"),
    "text": (
        lambda path: path.write_text("no sound"),
        "libsndfile cannot decode it: Format",
    ),
    "no samples": (lambda path: soundfile.write(path, NOISE[:0], 16000), "0 samples"),
    "truncated": (truncated, "cut short"),
    "not a number": (not_a_number, "sample 3200 is nan"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_clip_is_named_with_its_reason(petl_check, tiny, how):
    breaks, reason = BROKEN[how]
    breaks(clip(tiny, 3))
    told = petl_check()
    assert told.exit_code == 1
    (line,) = [line for line in told.stdout.splitlines() if line.startswith("broken")]
    assert line.startswith(f"broken   audio/{clip(tiny, 3).name}: ")
    assert reason in line
    assert str(tiny) not in line
    assert told.stdout.endswith("not ready: 1 of 10 clips cannot be decoded\n")


def test_a_clip_that_breaks_in_the_middle_is_broken(petl_check, tiny):
    """A FLAC frame whose bytes are gone; what comes before decodes."""
    path = clip(tiny, 3)
    soundfile.write(path, np.tile(NOISE, 20), 16000, format="FLAC")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    told = petl_check()
    assert told.exit_code == 1
    assert f"broken   audio/{path.name}: " in told.stdout


def test_every_broken_clip_is_listed_where_a_screen_can_hold_them(petl_check, tiny, monkeypatch):
    for number in range(7):
        clip(tiny, number).write_bytes(b"")
    assert petl_check().stdout.count("broken   audio/") == 7
    monkeypatch.setattr("petl.data.commands.LISTED", 3)
    short = petl_check().stdout
    assert short.count("broken   audio/") == 3
    assert "broken   and 4 more; --list shows all" in short
    assert petl_check("--list").stdout.count("broken   audio/") == 7


def test_check_and_prepare_refuse_the_same_clips(tiny, dataset, tmp_path):
    """Ready means that no run will stumble."""
    from petl.data.features import Recipe

    for number, (breaks, _) in enumerate(BROKEN.values()):
        breaks(clip(tiny, number))
    whole = Recipe(frames=1000)
    for one in check(dataset(), esc50.read(tiny, dataset())).clips:
        try:
            whole(one.clip.path)
        except UserError:
            assert one.problem
        else:
            assert not one.problem


# --- odd ------------------------------------------------------------------------------------------


def test_counts_that_differ_from_the_published_ones_are_said_in_words(tiny, dataset):
    corpus = esc50.read(tiny, dataset())
    assert differences(corpus, Published(10, per_class=5, folds=(2,) * 5)) == []
    official = Published(12, {"cow": 7, "chainsaw": 5}, folds=(2, 4, 2, 2, 2))
    assert differences(corpus, official) == [
        "10 clips, but the published dataset has 12",
        "5 clips of cow, but the published dataset has 7",
        "2 clips in fold 2, but the published dataset has 4",
    ]
    assert "0 clips for train, but the published dataset has 10" in differences(
        corpus, Published(10, parts={"train": 10})
    )


def test_a_dataset_that_lacks_clips_is_ready_with_a_warning(petl_check, tiny):
    tiny.rename(tiny.parent / "esc10")
    told = petl_check(corpus="esc10")
    assert told.exit_code == 0
    assert "warning  10 clips, but the published dataset has 400" in told.stdout
    assert "as published" not in told.stdout
    assert told.stdout.endswith("ready: 10 of 10 clips decode\n")


def test_copies_under_another_label_or_in_another_fold_are_told(petl_check, tiny):
    names = [clip(tiny, number).name for number in range(10)]
    clip(tiny, 1).write_bytes(clip(tiny, 0).read_bytes())  # of one fold, not of one class
    clip(tiny, 9).write_bytes(clip(tiny, 0).read_bytes())
    told = petl_check()
    assert told.exit_code == 0
    (line,) = [line for line in told.stdout.splitlines() if line.startswith("warning")]
    assert "2 of 10 clips are copies" in line
    assert "1 in another fold or part" in line
    assert f"audio/{names[9]} = audio/" in line


def test_digital_silence_is_told(petl_check, tiny):
    soundfile.write(clip(tiny, 5), 0 * NOISE, 16000)
    told = petl_check()
    assert told.exit_code == 0
    assert f"1 of 10 clips are digital silence: audio/{clip(tiny, 5).name}" in told.stdout


# --- what is no dataset at all --------------------------------------------------------------------


def test_a_label_file_without_a_column_is_not_ready(petl_check, tiny):
    table = tiny / "meta" / "esc50.csv"
    table.write_text(table.read_text().replace("fold", "part"))
    told = petl_check()
    assert told.exit_code == 1
    assert told.stdout.startswith(f"not ready: {table}: no column fold")
    assert told.stdout.count("\n") == 1


def test_missing_clips_are_not_ready(petl_check, tiny):
    clip(tiny, 0).unlink()
    told = petl_check()
    assert told.exit_code == 1
    assert told.stdout.startswith(f"not ready: {tiny}: 1 of 10 clips are missing: audio/")


def test_a_missing_folder_says_what_there_is(petl_check, tiny):
    told = petl_check(tiny.parent / "tinny")
    assert told.exit_code == 2
    assert (
        told.stderr == f"petl: {tiny.parent / 'tinny'}: no such folder; {tiny.parent} holds tiny\n"
    )


def test_a_missing_public_dataset_says_how_to_get_it(tmp_path):
    told = CliRunner().invoke(app, ["data", "check", "esc50", "--data", str(tmp_path)])
    assert told.exit_code == 2
    assert "run `petl data fetch esc50`, or put esc50 there" in told.stderr


def test_an_unknown_dataset_is_told_the_nearest(petl_check, tmp_path):
    told = CliRunner().invoke(app, ["data", "check", "esc5"])
    assert told.exit_code == 2
    assert "unknown dataset 'esc5'; did you mean 'esc50'?" in told.stderr
    petl_check()
    told = CliRunner().invoke(
        app, ["data", "check", "tony", "--study", str(tmp_path / "study.yaml")]
    )
    assert "has no dataset 'tony'; did you mean 'tiny'?" in told.stderr
