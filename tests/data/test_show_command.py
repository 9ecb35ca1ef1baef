"""`petl data show`: a sound as a model reads it, with its masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from matplotlib.patches import Rectangle
from typer.testing import CliRunner

from petl.cli import app
from petl.config import Dataset
from petl.data.features import Recipe
from petl.data.show import draw, shown
from petl.errors import UserError

RATE = 16_000
MEL = {"rate": RATE, "n_fft": 1024, "hop": 320, "bins": 128, "fmin": 50.0, "fmax": 8000.0}
MASKS = {"frequency": 15, "time": 30, "mask": "after-normalisation", "bands": 2}


@pytest.fixture
def song(tmp_path) -> Path:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 3 * RATE)
    soundfile.write(tmp_path / "song.wav", samples, RATE)
    return tmp_path / "song.wav"


def dataset(**settings) -> Dataset:
    whole = {
        **{"corpus": "songs", "layout": "folders", "classes": 2, "folds": 1, "split": "given"},
        **{"frames": 51, "statistics": "clip", "spec_augment": MASKS},
        **{"front_end": {"kind": "mel", "seconds": 1.0, **MEL}},
    }
    return Dataset.model_validate(whole | settings)


def test_the_spectrogram_is_the_models_input_and_each_mask_is_drawn_where_it_is(song):
    one = shown(song, dataset(), 0.0, seed=0)
    np.testing.assert_array_equal(one.spectrogram, Recipe.of(dataset(), "spectrogram")(song))
    _, axis = draw(one).axes
    np.testing.assert_array_equal(axis.images[0].get_array(), one.spectrogram.T)
    boxes = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
    bands = [[box.get_y(), box.get_y() + box.get_height()] for box in boxes[:2]]
    assert bands == one.masks.frequency[:, :, 0].T.tolist()
    stretch = np.array([boxes[2].get_x(), boxes[2].get_x() + boxes[2].get_width()]) * 51
    assert stretch == pytest.approx(one.masks.time[:, 0, 0].numpy())


def test_a_window_of_a_song_is_drawn_from_its_start(song):
    windows = {"length": 1.0, "hop": 0.5}
    one = shown(song, dataset(windows=windows, spec_augment=None), 1.5, seed=0)
    samples, _ = soundfile.read(song)
    part = samples[int(1.5 * RATE) : int(2.5 * RATE)].astype(np.float32)
    recipe = Recipe.of(dataset(), "spectrogram")
    np.testing.assert_array_equal(one.spectrogram, recipe.input(part))
    assert draw(one).axes[1].get_xlim() == (1.5, 2.5)
    with pytest.raises(UserError, match=r"no sound at 3 s; the file is 3\.0 s long"):
        shown(song, dataset(), 3.0, seed=0)


def test_the_command_writes_a_png_and_replaces_nothing_of_others(song, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(app, ["data", "show", str(song)])
    assert (run.exit_code, run.stdout) == (0, "wrote song.png\n")
    assert Path("song.png").read_bytes().startswith(b"\x89PNG")
    Path("mine.png").write_text("mine")
    run = CliRunner().invoke(app, ["data", "show", str(song), "--out", "mine.png"])
    assert run.exit_code != 0 and Path("mine.png").read_text() == "mine"
