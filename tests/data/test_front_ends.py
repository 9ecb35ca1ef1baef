"""Mel spectrograms and pictures are what librosa makes, on every stack."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch.nn import functional as F

from petl.config import Image, Mel
from petl.data import cache, mel
from petl.data.corpus import Clip
from petl.data.decode import read
from petl.data.features import Recipe
from petl.errors import UserError

VIT = {"rate": 22_050, "n_fft": 2048, "hop": 512, "bins": 128, "fmin": 20.0, "fmax": 8000.0}
AST = {"rate": 16_000, "n_fft": 1024, "hop": 320, "bins": 128, "fmin": 50.0, "fmax": 8000.0}
TOLERANCE = 1e-4


def mels(seconds: float, settings: dict = AST, **more) -> Mel:
    return Mel(kind="mel", seconds=seconds, **{**settings, **more})


def image(seconds: float = 30.0) -> Image:
    return Image(kind="image", seconds=seconds, **VIT)


def noise(seconds: float, rate: int = 16_000) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(int(seconds * rate)).astype(np.float32) / 9


@pytest.fixture
def recorded(golden) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "front_ends.npz"))


@pytest.fixture
def clip(recorded, tmp_path) -> Path:
    soundfile.write(tmp_path / "clip.wav", recorded["pcm"], 44_100, subtype="PCM_16")
    return tmp_path / "clip.wav"


def test_both_recipes_give_the_numbers_recorded_with_librosa(recorded, clip):
    scores = mel.z_scores(read(clip, to=22_050), image())
    assert np.abs(scores.numpy().T - recorded["vit/mel_z"]).max() < TOLERANCE
    picture = Recipe(64, front_end=image())(clip)
    assert np.abs(picture.T - recorded["vit/image_0_1"]).max() < TOLERANCE
    padded = Recipe(26, front_end=mels(0.5))(clip)
    assert np.abs(padded.T - recorded["ast/mel_z"]).max() < TOLERANCE


@pytest.mark.parametrize("index", [0, 1])
def test_both_recipes_give_the_numbers_recorded_on_real_sounds(index, shared_data):
    folder = shared_data.parent / "golden_emotion"
    if not folder.is_dir():
        pytest.skip(f"the recorded numbers are not here: {folder} does not exist")
    file = ("1-172649-A-40.ogg", "3-152007-B-20.ogg")[index]
    path = shared_data / "esc10" / "audio" / file
    with np.load(folder / "arrays.npz") as arrays:
        recorded = {name: arrays[f"{name}"] for name in arrays.files if f"/{index}/" in name}
    scores = mel.z_scores(read(path, to=22_050), image())
    assert np.abs(scores.numpy().T - recorded[f"vit/{index}/mel_z"]).max() < TOLERANCE
    picture = Recipe(224, front_end=image())(path)
    assert np.abs(picture.T - recorded[f"vit/{index}/image_0_1"]).max() < TOLERANCE
    padded = Recipe(501, front_end=mels(10.0))(path)
    assert np.abs(padded.T - recorded[f"ast/{index}/mel_z"]).max() < TOLERANCE


@pytest.mark.parametrize(
    ("rate", "n_fft", "bins", "fmin", "fmax"),
    [
        (22_050, 2048, 128, 20.0, 8000.0),
        (16_000, 1024, 128, 50.0, 8000.0),
        (8000, 512, 32, 0.0, 4e3),
    ],
)
def test_the_filters_are_librosas(rate, n_fft, bins, fmin, fmax):
    import librosa

    theirs = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=bins, fmin=fmin, fmax=fmax).T
    ours = mel.filters(mels(1.0, rate=rate, n_fft=n_fft, bins=bins, fmin=fmin, fmax=fmax))
    np.testing.assert_allclose(ours, theirs[: len(ours)], rtol=0, atol=1e-8)
    assert not theirs[len(ours) :].any()


def test_filters_that_would_be_empty_are_refused_before_any_clip():
    with pytest.raises(UserError, match=r"128 mel bins lie between .*larger n_fft than 256"):
        mel.filters(mels(1.0, n_fft=256))


def test_any_stretch_of_samples_gives_the_same_shape():
    recipe = Recipe(51, front_end=mels(1.0))
    long = noise(3.0)
    assert recipe.input(long).shape == recipe.input(long[:5]).shape == recipe.shape == (51, 128)
    np.testing.assert_array_equal(recipe.input(long), recipe.input(long[:16_000]))
    short = Recipe(64, front_end=image())
    assert short.input(noise(0.3, 22_050)).shape == short.shape == (64, 64)


def test_silence_is_finite():
    assert not Recipe(51, front_end=mels(1.0)).input(np.zeros(16_000, np.float32)).any()
    assert not Recipe(64, front_end=image()).input(np.zeros(22_050, np.float32)).any()


def test_a_stretched_spectrogram_is_interpolated_over_time():
    plain = Recipe(51, front_end=mels(1.0)).input(noise(1.0))
    stretched = Recipe(104, front_end=mels(1.0, stretch=True)).input(noise(1.0))
    expected = F.interpolate(torch.from_numpy(plain.T)[None], 104, mode="linear")[0].T
    np.testing.assert_allclose(stretched, expected, rtol=0, atol=1e-4)


def test_the_cache_tells_front_ends_apart_and_keeps_the_names_it_has(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(1.0), 16_000)
    clips = [Clip("a.wav", tmp_path / "a.wav")]
    recipes = [Recipe(51), *(Recipe(51, front_end=mels(1.0, fmin=low)) for low in (50.0, 60.0))]
    assert len({cache.key(clips, recipe) for recipe in recipes}) == 3
    cached = cache.cached_inputs(clips, recipes[1], tmp_path / "cache").inputs
    np.testing.assert_array_equal(cached[0], recipes[1](tmp_path / "a.wav"))


def test_a_front_ends_features_keep_their_name_in_the_cache() -> None:
    """The name is a hash of this text: another order of the settings would compute all again."""
    text = json.dumps(Recipe(26, front_end=mels(0.5)).settings)
    assert text == (
        '["spectrogram", 26, "mean", {"rate": 16000, "n_fft": 1024, "hop": 320, "bins": 128, '
        '"fmin": 50.0, "fmax": 8000.0, "seconds": 0.5, "kind": "mel", "stretch": false}]'
    )
