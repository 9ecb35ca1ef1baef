from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from petl.config import Statistics
from petl.data import decode, features

AUDIOSET = Statistics(mean=-4.2677393, std=4.5689974)
"""What the recordings were normalised with; the released code's round figures are 3e-5 off."""


@pytest.mark.parametrize("clip", ["chirp_44k", "burst_16k", "short_22k", "silence_16k"])
def test_made_signals_give_the_released_codes_spectrograms(clip, golden, tmp_path):
    recorded = np.load(golden / "features_synthetic.npz")
    pcm, rate = recorded[f"{clip}/pcm16"], int(recorded[f"{clip}/sample_rate"])
    soundfile.write(tmp_path / "clip.wav", pcm, rate)
    waveform = decode.read(tmp_path / "clip.wav")
    raw = features.spectrogram(waveform, int(recorded[f"{clip}/max_length"]))
    assert raw.dtype == np.float32
    ours = features.normalise(raw, AUDIOSET)
    np.testing.assert_allclose(ours, recorded[f"{clip}/fbank"], rtol=0, atol=1e-4)


def test_recordings_give_the_released_codes_spectrograms(golden, shared_data):
    recorded = json.loads((golden / "features_esc10.json").read_text())
    for file, expected in recorded.items():
        path = shared_data / "esc10" / "audio" / file
        ours = features.normalise(features.spectrogram(decode.read(path), 500), AUDIOSET)
        assert ours.mean() == pytest.approx(expected["mean"], abs=1e-4)
        assert ours.std() == pytest.approx(expected["std"], abs=1e-4)
        np.testing.assert_allclose(ours[250, :8], expected["frame_250"], rtol=0, atol=1.5e-4)


def test_filter_bank_follows_its_definition():
    """Window by window and filter by filter in float64, from Kaldi's description."""
    waveform = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    ours = features.fbank(waveform)
    assert ours.shape == (4, 128)

    def mel(hertz: float) -> float:
        return 1127 * np.log(1 + hertz / 700)

    step = (mel(8000) - mel(20)) / 129
    for frame in range(4):
        x = waveform[frame * 160 : frame * 160 + 400].astype(np.float64)
        x = x - x.mean()
        x = x - 0.97 * np.concatenate([x[:1], x[:-1]])
        power = np.abs(np.fft.rfft(x * np.hanning(400), 512)) ** 2
        for band in range(128):
            peak = mel(20) + (band + 1) * step
            weights = [max(0, 1 - abs(mel(k * 31.25) - peak) / step) for k in range(257)]
            energy = max(np.dot(weights, power), 2**-23)
            assert ours[frame, band] == pytest.approx(np.log(energy), abs=1e-3)


def test_a_steady_tone_peaks_in_its_own_band():
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    peak = features.fbank(tone).mean(axis=0).argmax()
    assert features.mel_filters()[:, peak].argmax() * 31.25 == pytest.approx(1000, abs=32)


def test_silence_is_the_floor_and_padding_is_zero():
    raw = features.spectrogram(np.zeros(16000, dtype=np.float32), 120)
    assert (raw[:98] == np.float32(np.log(2.0**-23))).all()
    assert (raw[98:] == 0).all()


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2)])
def test_only_whole_windows_count(samples, frames):
    waveform = np.ones(samples, dtype=np.float32)
    assert features.fbank(waveform).shape == (frames, 128)
    assert features.spectrogram(waveform, 5).shape == (5, 128)


def test_cutting_keeps_the_first_frames():
    waveform = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    np.testing.assert_array_equal(features.spectrogram(waveform, 20), features.fbank(waveform)[:20])


def test_channels_are_averaged_or_the_left_one_is_taken(tmp_path):
    left, right = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 800))
    file = tmp_path / "a.wav"
    soundfile.write(file, np.stack([left, right], axis=1), 16000, subtype="FLOAT")
    np.testing.assert_allclose(decode.read(file), (left + right) / 2, atol=1e-7)
    np.testing.assert_allclose(decode.read(file, "left"), left, atol=1e-7)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
@pytest.mark.parametrize("rate", [16000, 22050, 44100, 48000])
def test_of_a_long_recording_the_first_frames_are_those_of_the_whole(name, rate, tmp_path):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 3 * rate)
    soundfile.write(tmp_path / name, noise, rate)
    whole = features.spectrogram(decode.read(tmp_path / name), 50)
    np.testing.assert_allclose(features.Recipe(50)(tmp_path / name), whole, rtol=0, atol=1e-5)


def test_of_a_long_recording_no_more_is_decoded_than_needed(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", np.zeros(100 * 44100), 44100)
    decoded = []
    monkeypatch.setattr(decode, "resample", lambda mono, *_: decoded.append(mono) or mono)
    features.Recipe(500)(tmp_path / "a.wav")
    assert 5.0 * 44100 < len(decoded[0]) < 5.1 * 44100


@pytest.mark.parametrize("samples", [4960, 16000])
def test_waveforms_are_what_the_librarys_feature_extractor_makes(samples, tmp_path):
    """Of wav2vec 2.0 base, asked to tell padding from sound."""
    from transformers import Wav2Vec2FeatureExtractor

    noise = 0.1 + 0.01 * np.random.default_rng(0).standard_normal(8000)
    soundfile.write(tmp_path / "a.wav", noise, 16000, subtype="FLOAT")
    extract = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
    how = {"padding": "max_length", "truncation": True, "return_tensors": "np"}
    theirs = extract(noise, sampling_rate=16000, max_length=samples, **how)["input_values"][0]
    ours = features.Recipe(frames=samples // 160, form="waveform")(tmp_path / "a.wav")
    assert ours.dtype == np.float32
    assert ours.shape == (samples,)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_a_silent_waveform_stays_silent(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(8000), 16000)
    assert not features.Recipe(100, "waveform")(tmp_path / "a.wav").any()


def test_nothing_slow_is_imported_to_read_a_sound(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(800), 44100)
    code = (
        "import sys, pathlib; from petl.data import decode, features; "
        f"decode.read(pathlib.Path({str(tmp_path / 'a.wav')!r})); "
        "print({'librosa', 'resampy', 'numba', 'scipy', 'transformers'} & {*sys.modules})"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
