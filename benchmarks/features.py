"""How fast audio files become model inputs: with a cold cache, compared to librosa, and warm.

    python -m benchmarks.features [--corpus DIR] [--clips 120] [--quick]

DIR is a corpus in ESC-50's layout; without it, the benchmark makes five-second ogg files at
44.1 kHz. The librosa variant decodes and resamples as the released code does, in one process, and
its import and compilation are not counted. Its filter bank is ours.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch

from benchmarks.full_size import machine
from petl.config import Dataset
from petl.config.front_end import RATE
from petl.data.cache import cached_inputs
from petl.data.corpus import Clip
from petl.data.decode import read
from petl.data.features import Recipe, spectrogram
from petl.data.layouts import esc50
from petl.data.resample import resample
from petl.data.synthetic import quickstart as sounds

CORPUS, ORIGINAL_RATE = "clips", 44_100

JOB = """
import json, sys, time
started = time.perf_counter()
from petl.config import AST, Dataset, Task
from petl.data.load import load
from petl.places import Places
from pathlib import Path
imported = time.perf_counter()
root = Path(sys.argv[1])
task = Task.model_construct(
    dataset=Dataset.model_validate_json(sys.argv[2]),
    backbone=AST.model_construct(family="ast"), fold=0, seed=0,
)
load(task, Places(root, root / "data", root / "cache"))
print(json.dumps([imported - started, time.perf_counter() - imported]))
"""


def make_clips(folder: Path, clips: int, seconds: int) -> None:
    """Synthetic sounds in a row, at the sample rate and in the format of ESC-50."""
    (folder / "audio").mkdir(parents=True)
    (folder / "meta").mkdir()
    rows = []
    for index in range(clips):
        rng = np.random.default_rng(index)
        made = [sounds.clip(rng, sounds.CLASSES[(index + i) % 10]) for i in range(seconds)]
        times = np.arange(seconds * ORIGINAL_RATE) / ORIGINAL_RATE
        waveform = np.interp(times, np.arange(seconds * RATE) / RATE, np.concatenate(made))
        fold, target = index % 5 + 1, index // 5 % 2
        file = f"{fold}-{index}-A-{target}.ogg"
        soundfile.write(folder / "audio" / file, waveform, ORIGINAL_RATE)
        rows.append([file, fold, target, f"class {target}"])
    with (folder / "meta" / "esc50.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["filename", "fold", "target", "category"], *rows])


def dataset_of(folder: Path, frames: int) -> Dataset:
    """With the classes of the table, and the statistics that take longest to compute."""
    with (folder / "meta" / "esc50.csv").open(newline="") as file:
        classes = len({row["target"] for row in csv.DictReader(file)})
    return Dataset.model_validate(
        {
            "corpus": CORPUS,
            "layout": "esc50",
            "classes": classes,
            "folds": 5,
            "frames": frames,
            "split": "paper",
            "statistics": "training-split",
            "spec_augment": None,
        }
    )


def through_librosa(path: Path, frames: int) -> np.ndarray:
    import librosa

    waveform, _ = librosa.load(path, sr=RATE, res_type="kaiser_best")
    return spectrogram(waveform, frames)


@dataclass
class Speed:
    """The best of several rounds. Processor time does not depend on other processes."""

    clips_per_second: float = 0.0
    processor_ms: float = float("inf")

    @contextmanager
    def measured(self, clips: int) -> Iterator[None]:
        wall, processor = time.perf_counter(), time.process_time()
        yield
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        self.clips_per_second = max(self.clips_per_second, clips / wall)
        self.processor_ms = min(self.processor_ms, 1e3 * processor / clips)


def cold(clips: Sequence[Clip], frames: int, rounds: int) -> tuple[Speed, Speed]:
    """Ours and librosa's, in alternating rounds.

    Ours includes everything: threads, checksums, and writing the cache to disk.
    """
    few = clips[: min(40, max(4, len(clips) // 4))]
    through_librosa(few[0].path, frames)
    ours, theirs = Speed(), Speed()
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder, ours.measured(len(clips)):
            cached_inputs(clips, Recipe(frames), Path(folder))
        with theirs.measured(len(few)):
            for clip in few:
                through_librosa(clip.path, frames)
    return ours, theirs


def steps(clips: Sequence[Clip], frames: int) -> dict[str, float]:
    """Milliseconds per clip of each step, one thread."""
    torch.set_num_threads(1)
    spent = dict.fromkeys(("decoding", "resampling", "filter bank"), 0.0)
    read(clips[0].path)
    for clip in clips:
        begin = time.perf_counter()
        waveform, rate = soundfile.read(clip.path)
        decoded = time.perf_counter()
        waveform = resample(waveform.reshape(len(waveform), -1).mean(axis=1), rate)
        resampled = time.perf_counter()
        spectrogram(waveform.astype(np.float32), frames)
        spent["decoding"] += decoded - begin
        spent["resampling"] += resampled - decoded
        spent["filter bank"] += time.perf_counter() - resampled
    return {step: 1e3 * seconds / len(clips) for step, seconds in spent.items()}


def warm(root: Path, dataset: Dataset, jobs: int) -> list[float]:
    """Seconds for imports and for loading the data, of the fastest of several processes."""
    command = [sys.executable, "-c", JOB, root, dataset.model_dump_json()]
    outputs = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for _ in range(jobs)
    ]
    return min((json.loads(line) for line in outputs), key=sum)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, help="a folder in ESC-50's layout")
    parser.add_argument("--clips", type=int, default=120, help="how many clips to make")
    parser.add_argument("--quick", action="store_true", help="few short clips, one round")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    frames, rounds = (100, 1) if arguments.quick else (500, 3)
    print(f"{machine()}; {len(os.sched_getaffinity(0))} cores")
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        folder = root / "data" / CORPUS
        if arguments.corpus:
            folder.parent.mkdir()
            folder.symlink_to(arguments.corpus.resolve())
        else:
            seconds, count = (1, 20) if arguments.quick else (5, arguments.clips)
            make_clips(folder, count, seconds)
        dataset = dataset_of(folder, frames)
        clips = esc50.read(folder, dataset).clips
        ours, theirs = cold(clips, frames, rounds)
        title = f"cold, {len(clips)} clips"
        print(f"{title:34s}{'clips/s':>9s}{'ratio':>7s}{'processor ms per clip':>23s}")
        for name, speed in (("librosa, kaiser_best", theirs), ("ours", ours)):
            ratio = speed.clips_per_second / theirs.clips_per_second
            numbers = f"{speed.clips_per_second:9.1f}{ratio:7.1f}{speed.processor_ms:23.1f}"
            print(f"{name:34s}{numbers}")
        for step, milliseconds in steps(clips[:40], frames).items():
            print(f"  {step + ', one thread, ms per clip':32s}{milliseconds:9.2f}")
        cached_inputs(clips, Recipe(frames), root / "cache")
        imports, data = warm(root, dataset, jobs=rounds)
        print(f"{'a warm job, imports and data':34s}{imports + data:9.2f} s")
        print(f"{'  of that its data':34s}{data:9.2f} s")


if __name__ == "__main__":
    main()
