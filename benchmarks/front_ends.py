"""How fast songs become what the two recipes for music emotion read, compared to librosa alone.

    python -m benchmarks.front_ends [--songs 16] [--quick]

The songs are made: 45 s of noise in stereo, mp3 at 44.1 kHz. librosa computes one after the other
in one process and resamples with `kaiser_best`, as when the recipes were recorded; its import and
compilation are not counted. Ours is everything from the files to the checked cache on disk, on all
cores.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch.nn import functional as F

from benchmarks.features import Speed
from benchmarks.full_size import machine
from petl.config import Image, Mel
from petl.data.cache import cached_inputs
from petl.data.corpus import Clip
from petl.data.features import Recipe

RATE, SIZE = 44_100, 224
VIT = {"rate": 22_050, "n_fft": 2048, "hop": 512, "bins": 128, "fmin": 20.0, "fmax": 8000.0}
AST = {"rate": 16_000, "n_fft": 1024, "hop": 320, "bins": 128, "fmin": 50.0, "fmax": 8000.0}
RECIPES = {
    "image for ViT, 30 s": Recipe(SIZE, front_end=Image(kind="image", seconds=30.0, **VIT)),
    "mel for AST, 10 s": Recipe(501, front_end=Mel(kind="mel", seconds=10.0, **AST)),
}


def make_songs(folder: Path, songs: int, seconds: float) -> list[Clip]:
    clips = []
    for index in range(songs):
        noise = np.random.default_rng(index).standard_normal((int(seconds * RATE), 2))
        soundfile.write(folder / f"{index}.mp3", 0.1 * noise, RATE, format="MP3")
        clips.append(Clip(f"{index}.mp3", folder / f"{index}.mp3"))
    return clips


def through_librosa(path: Path, recipe: Recipe) -> np.ndarray:
    import librosa

    settings = recipe.front_end
    assert isinstance(settings, Mel | Image)
    rate, seconds = settings.rate, settings.seconds
    waveform, _ = librosa.load(path, sr=rate, duration=seconds, res_type="kaiser_best")
    if not settings.is_image:
        waveform = librosa.util.fix_length(waveform, size=int(rate * seconds))
    power = librosa.feature.melspectrogram(
        y=waveform,
        sr=rate,
        n_fft=settings.n_fft,
        hop_length=settings.hop,
        n_mels=settings.bins,
        fmin=settings.fmin,
        fmax=settings.fmax,
    )
    decibels = librosa.power_to_db(power, ref=np.max)
    scores = (decibels - decibels.mean()) / (decibels.std() + 1e-8)
    if not settings.is_image:
        return scores.T
    scores = torch.from_numpy((scores - scores.min()) / (scores.max() - scores.min()))
    size = (SIZE, SIZE)
    return F.interpolate(scores[None, None], size, mode="bilinear")[0, 0].T.numpy()


def measure(clips: list[Clip], recipe: Recipe, rounds: int) -> tuple[Speed, Speed]:
    """Librosa's and ours, in alternating rounds."""
    few = clips[: max(2, len(clips) // 4)]
    through_librosa(few[0].path, recipe)
    theirs, ours = Speed(), Speed()
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder, ours.measured(len(clips)):
            cached_inputs(clips, recipe, Path(folder))
        with theirs.measured(len(few)):
            for clip in few:
                through_librosa(clip.path, recipe)
    return theirs, ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=16, help="how many songs to make")
    parser.add_argument("--quick", action="store_true", help="few short songs, one round")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    songs, seconds, rounds = (4, 2.0, 1) if arguments.quick else (arguments.songs, 45.0, 3)
    print(f"{machine()}; {len(os.sched_getaffinity(0))} cores")
    print(f"{f'{songs} songs':34s}{'songs/s':>9s}{'ratio':>7s}{'processor ms per song':>23s}")
    with tempfile.TemporaryDirectory() as folder:
        clips = make_songs(Path(folder), songs, seconds)
        for title, recipe in RECIPES.items():
            theirs, ours = measure(clips, recipe, rounds)
            for who, speed in (("librosa", theirs), ("ours", ours)):
                ratio = speed.clips_per_second / theirs.clips_per_second
                numbers = f"{speed.clips_per_second:9.2f}{ratio:7.2f}{speed.processor_ms:23.1f}"
                print(f"{f'{title}, {who}':34s}{numbers}")


if __name__ == "__main__":
    main()
