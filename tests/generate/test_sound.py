"""From spectrograms back to sound: as loud, and with the same spectrogram."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from petl.config import Dataset
from petl.data.features import Recipe, read
from petl.errors import UserError
from petl.generate.listen.sound import Back, wav

OWN = {"corpus": "own", "layout": "folders", "classes": 2, "folds": 1, "split": "given"}
MEL = {"kind": "mel", "rate": 8000, "n_fft": 512, "hop": 128, "bins": 40, "fmin": 50, "fmax": 4000}


def dataset(frames: int = 64, **settings: Any) -> Dataset:
    own: dict[str, Any] = {**OWN, "frames": frames, "spec_augment": None, "statistics": "clip"}
    return Dataset.model_validate(own | settings)


AST = dataset(statistics={"mean": -4.3, "std": 4.6})
OF_MEL = dataset(63, front_end={**MEL, "seconds": 1})
STRETCHED = dataset(50, front_end={**MEL, "seconds": 1, "stretch": True})


def tones(rate: int, seconds: float = 1.0) -> np.ndarray:
    """A loud tone, then one that is 20 dB quieter, over a little noise."""
    time = np.arange(round(seconds * rate)) / rate
    sound = 0.3 * np.sin(2 * np.pi * 440 * time)
    second = time >= seconds / 2
    sound[second] = 0.03 * np.sin(2 * np.pi * 1760 * time[second])
    noise = np.random.default_rng(0).standard_normal(len(time))
    return (sound + 1e-4 * noise).astype(np.float32)


def level(sound: np.ndarray) -> float:
    return 10 * np.log10(np.square(sound).mean())


@pytest.mark.parametrize("of", [AST, OF_MEL, STRETCHED], ids=["ast", "mel", "stretched"])
def test_two_tones_keep_their_pitch_and_their_difference_in_level(of: Dataset) -> None:
    """Decibels taken for power would leave 0.4 dB between them, or a hundred."""
    back, recipe = Back(of), Recipe.of(of, "spectrogram")
    rate, half = back.rate, back.rate * of.seconds / 2
    raw = recipe.input(tones(rate, of.seconds))
    sound = back.sound(raw, seed=1)
    loud, quiet = sound[round(0.2 * half) : round(0.8 * half)], sound[round(1.2 * half) :]
    quiet = quiet[: round(0.6 * half)]
    assert level(loud) - level(quiet) == pytest.approx(20, abs=1.0)
    for part, hertz in ((loud, 440), (quiet, 1760)):
        strongest = np.abs(np.fft.rfft(part * np.hanning(len(part)))).argmax()
        assert strongest * rate / len(part) == pytest.approx(hertz, rel=0.05)
    assert back.error(raw, sound) < 1.0
    assert np.array_equal(sound, back.sound(raw, seed=1))
    assert not np.array_equal(sound, back.sound(raw, seed=2))


def test_the_asts_front_end_gives_back_the_level() -> None:
    before = tones(16_000)
    after = Back(AST).sound(Recipe.of(AST, "spectrogram").input(before), seed=0)
    assert level(after) == pytest.approx(level(before[: len(after)]), abs=0.3)


def test_padding_ends_the_sound_and_is_silent_inside_it() -> None:
    """Its value, 0, is 69 dB louder than silence: as sound it would be noise at full scale."""
    back, recipe = Back(AST), Recipe.of(AST, "spectrogram")
    raw = recipe.input(tones(16_000, 0.4))
    assert (raw[39:] == 0).all()
    made = raw + np.random.default_rng(0).normal(0, 1.5, raw.shape).astype(np.float32)
    assert len(back.sound(raw, seed=0)) == len(back.sound(made, seed=0)) == 400 + 37 * 160
    made[10:20] = 0
    assert level(back.sound(made, seed=0)[12 * 160 : 18 * 160]) < -60
    assert not back.sound(np.zeros_like(raw), seed=0).any()


def test_an_error_is_decibels_between_two_spectrograms() -> None:
    back, recipe = Back(AST), Recipe.of(AST, "spectrogram")
    noise = 0.02 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    raw = recipe.input(noise)
    assert back.error(raw, noise) == 0
    # two of the AST's 128 filters are empty
    assert back.error(raw, noise * 10 ** (3 / 20)) == pytest.approx(3 * 126 / 128, abs=0.01)


def test_what_has_no_way_back_is_refused() -> None:
    picture = dataset(front_end={**MEL, "kind": "image", "seconds": 1})
    with pytest.raises(UserError, match="a picture stretched to a square has no way back"):
        Back(picture)
    apart = dataset(20, front_end={**MEL, "hop": 400, "seconds": 1, "stretch": True})
    with pytest.raises(UserError, match="hop 400 is more than half of n_fft 512"):
        Back(apart)


def chunks(riff: bytes) -> dict[bytes, bytes]:
    """The chunks of a RIFF file, those of LIST INFO too, read without any library."""
    found, at = {}, 12
    while at + 8 <= len(riff):
        name, size = riff[at : at + 4], int.from_bytes(riff[at + 4 : at + 8], "little")
        body = riff[at + 8 : at + 8 + size]
        found |= chunks(b"\0" * 8 + body) if name == b"LIST" else {name: body}
        at += 8 + size + size % 2
    return found


def test_a_file_says_that_it_is_synthetic_in_its_metadata() -> None:
    hostile = "dog\x1b]0;x\x07\n\u202e" + "a" * 5000
    data = wav(tones(8000), 8000, "synthetic clip", f"synthetic; condition {hostile}")
    found = chunks(data)
    assert found[b"INAM"].rstrip(b"\0") == b"synthetic clip"
    assert found[b"ICMT"].startswith(rb"synthetic; condition dog\x1b]0;x\x07 \u202eaaa")
    with soundfile.SoundFile(BytesIO(data)) as sound:
        assert sound.comment.encode() == found[b"ICMT"].rstrip(b"\0") and len(sound.comment) < 400
        assert (sound.title, sound.frames) == ("synthetic clip", 8000)
        assert np.abs(sound.read() - tones(8000)).max() < 1e-4


def test_what_is_louder_than_a_file_can_hold_is_made_quieter_and_says_so() -> None:
    with soundfile.SoundFile(BytesIO(wav(10 * tones(8000), 8000, "clip", "synthetic"))) as sound:
        assert sound.comment == "synthetic; 9.5 dB quieter than made, to be whole in 16 bits"
        found = sound.read()
    assert np.abs(found).max() <= 1 and np.corrcoef(found, tones(8000))[0, 1] > 0.9999


@pytest.mark.slow
def test_real_clips_keep_their_spectrogram(shared_data: Path) -> None:
    files = sorted(shared_data.glob("esc10/audio/*.ogg"))[::200]
    files += sorted(shared_data.glob("fsdd/recordings/*.wav"))[::800]
    mel = {"kind": "mel", "rate": 16_000, "n_fft": 1024, "hop": 320, "bins": 128, "seconds": 5}
    for of in (
        dataset(512, statistics={"mean": -4.3, "std": 4.6}),
        dataset(251, front_end={**mel, "fmin": 50, "fmax": 8000}),
    ):
        recipe, errors = Recipe.of(of, "spectrogram"), []
        for file in files:
            raw = recipe.input(read(file, samples=recipe.samples, to=recipe.rate))
            errors.append(Back(of).error(raw, Back(of).sound(raw, seed=0)))
        assert max(errors) < 1.0, errors
