"""A made-up DEAM: songs of a few seconds whose sound follows their valence and arousal.

It has DEAM's published layout with its quirks: two tables with other columns, ragged metadata, MP3
of several rates, in mono and stereo. Nothing of it is DEAM's: no sound, no name and no number.

A rating is what the sound says, plus an offset of the artist, plus one of the song. Tempo, loudness
and brightness follow the arousal, the mode (major or minor), the register and the brightness the
valence. An artist's timbre and a song's melody are heard in all of their clips: a model that has
seen other songs of an artist, or other windows of a song, knows the offset too. So songs, and even
more windows, split at random score better than artists apart do. That difference is a leak.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.random import Generator

from petl.data.layouts.deam import AUDIO, DYNAMIC, METADATA, STATIC, year_of
from petl.data.synthetic.quickstart import appear

NAME = "made-up-deam"
SEED = 15
SONGS = {2013: 48, 2014: 64, 2015: 8}
"""For each year; DEAM has 744, 1,000 and 58."""
SECONDS = 6.0
"""Of an excerpt, up to 2 per cent more; DEAM's have 45. Songs of 2015 are longer."""
FIRST_ID = {2013: 2, 2014: 1001, 2015: 2001}
SONGS_OF_AN_ARTIST = 4
"""On average."""
FORMATS = ((44_100, 2), (44_100, 1), (22_050, 2), (44_100, 1), (48_000, 2), (16_000, 1))
"""Sample rate and channels, in turn. In DEAM, 24 songs are not 44.1 kHz and 13 are mono."""
HEARD, ARTIST, SONG = 1.0, 0.55, 0.45
"""Deviations of a rating's parts: what the sound says, and the offsets that leak."""
TOGETHER = 0.57
"""The correlation of valence and arousal, as in DEAM."""
MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
CHORDS = (0, 4, 5, 3)
"""Degrees of the scale, from 0."""
HARMONICS, PERIOD = 12, 2048

README = """Made-up songs. This is not DEAM.

petl-ast made these {count} files itself (petl/data/synthetic/deam.py, seed {seed}, {seconds:g} s):
they are no recordings, and no one has rated them. The artists, titles, ratings and sounds are drawn
by a random generator. The layout is that of DEAM (http://cvml.unige.ch/databases/DEAM/), so that a
study can be tried before it is run on the real songs. Delete this folder, and the same files are
made again. Scores on it say nothing about music.
"""

Row = Sequence[object]


@dataclass(frozen=True)
class Song:
    number: int
    artist: int
    heard: tuple[float, float]
    """The valence and arousal of the sound."""
    rated: tuple[float, float]
    seconds: float
    rate: int
    channels: int


def make_corpus(
    folder: Path,
    songs: Mapping[int, int] = SONGS,
    seconds: float = SECONDS,
    seed: int = SEED,
) -> None:
    """Write the corpus. A folder that already exists stays as it is."""
    appear(folder, lambda new: _write(new, drawn(songs, seconds, seed), seconds, seed))


# --- what there is --------------------------------------------------------------------------------


def drawn(songs: Mapping[int, int], seconds: float, seed: int) -> list[Song]:
    rng = np.random.default_rng(seed)
    count = sum(songs.values())
    artists = max(1, count // SONGS_OF_AN_ARTIST)
    offsets = _pairs(rng, artists, ARTIST)
    shares = rng.dirichlet(np.full(artists, 4.0))
    heard, own = _pairs(rng, count, HEARD), _pairs(rng, count, SONG)
    found: list[Song] = []
    for year, of_year in songs.items():
        number = FIRST_ID[year]
        for _ in range(of_year):
            index = len(found)
            artist = int(rng.choice(artists, p=shares))
            rated = np.clip(5 + heard[index] + offsets[artist] + own[index], 1.6, 8.4)
            length = seconds * (rng.uniform(1.1, 3) if year == 2015 else rng.uniform(1, 1.02))
            rate, channels = FORMATS[index % len(FORMATS)] if year != 2015 else FORMATS[0]
            found.append(
                Song(
                    number,
                    artist,
                    (float(5 + heard[index, 0]), float(5 + heard[index, 1])),
                    (round(float(rated[0]), 1), round(float(rated[1]), 1)),
                    length,
                    rate,
                    channels,
                )
            )
            number += 1 if year != 2013 else int(rng.integers(1, 3))  # as in DEAM, some are gone
    return found


def _pairs(rng: Generator, count: int, deviation: float) -> np.ndarray:
    """(count, 2), correlated."""
    covariance = [[1, TOGETHER], [TOGETHER, 1]]
    return deviation * rng.multivariate_normal([0, 0], covariance, count)


def _write(folder: Path, songs: list[Song], seconds: float, seed: int) -> None:
    (folder / AUDIO).mkdir(parents=True)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(lambda song: _sound(folder, song, seed), songs))
    _static(folder, songs, seed)
    _dynamic(folder, songs, seconds, seed)
    _metadata(folder, songs)
    readme = README.format(count=len(songs), seed=seed, seconds=seconds)
    (folder / "README-made-up.txt").write_text(readme)


# --- sounds ---------------------------------------------------------------------------------------


def _sound(folder: Path, song: Song, seed: int) -> None:
    left = sound(song, seed)
    right = 0.9 * np.roll(left, song.rate // 100)
    samples = np.stack([left, right][: song.channels], axis=1)
    soundfile.write(folder / AUDIO / f"{song.number}.mp3", samples, song.rate, format="MP3")


def sound(song: Song, seed: int) -> np.ndarray:
    """A pad of chords, a melody and a beat. The peak is below 1."""
    valence, arousal = ((value - 5) / 2.5 for value in song.heard)
    own, artist = np.random.default_rng((seed, 1, song.number)), _artist(song.artist, seed)
    t = np.arange(int(song.seconds * song.rate)) / song.rate
    beat = t * (2 ** (0.9 * arousal) * 110) / 60
    scale = MAJOR if own.normal(valence, 0.25) > 0 else MINOR
    root = 130.0 * 2 ** ((3 * valence + own.uniform(-2, 2)) / 12)
    tilt = 1.6 - 0.7 * arousal - 0.25 * valence
    table = _period(artist["pattern"], tilt)
    chord = np.array(CHORDS)[(beat // 4).astype(int) % len(CHORDS)]
    played = sum(_note(table, t, root * _ratio(scale, chord + degree)) for degree in (0, 2, 4))
    notes = own.integers(0, 8, 16)
    melody = _note(table, t, 2 * root * _ratio(scale, notes[beat.astype(int) % 16]))
    pulse = np.exp(-(beat % 1) * (1.5 + 2 * max(0.0, 1 + arousal)))
    drum = own.standard_normal(len(t)) * np.exp(-(beat % 1) * 12) * 10 ** (0.4 * arousal - 0.3)
    hum = np.sin(2 * np.pi * artist["hum"] * t) * 0.25
    mixed = played * (0.4 + 0.6 * pulse) / 3 + 0.8 * melody * pulse + drum + hum
    level = 10 ** (np.clip(-22 + 10 * arousal, -42, -6) / 20)
    return mixed * level / np.abs(mixed).max() / 0.9


def _artist(number: int, seed: int) -> dict[str, np.ndarray | float]:
    """The timbre that tells artists apart: the strength of each harmonic, and a steady tone."""
    rng = np.random.default_rng((seed, 2, number))
    return {
        "pattern": rng.uniform(0.05, 1, HARMONICS),
        "hum": float(900 * 2 ** rng.uniform(0, 2)),
    }


def _period(pattern: np.ndarray | float, tilt: float) -> np.ndarray:
    """One period of a tone; a low tilt makes it bright."""
    harmonics = np.arange(1, HARMONICS + 1)
    strength = pattern * harmonics ** -max(tilt, 0.1)
    phase = 2 * np.pi * np.arange(PERIOD) / PERIOD
    wave = strength @ np.sin(np.outer(harmonics, phase))
    return wave / np.sqrt(np.square(wave).mean())


def _note(table: np.ndarray, t: np.ndarray, hertz: np.ndarray) -> np.ndarray:
    return table[(np.cumsum(hertz) * (t[1] * PERIOD)).astype(int) % PERIOD]


def _ratio(scale: tuple[int, ...], degree: np.ndarray) -> np.ndarray:
    """Of a degree's frequency to the root's, by a table: a power for each sample is slow."""
    ratios = [2 ** ((scale[step % 7] + 12 * (step // 7)) / 12) for step in range(14)]
    return np.array(ratios)[degree]


# --- tables ---------------------------------------------------------------------------------------


def _static(folder: Path, songs: list[Song], seed: int) -> None:
    """The second table has more columns than the first, and a space in one of its names."""
    rng = np.random.default_rng((seed, 3))
    short = ["song_id", *(f"{name}_{of}" for name in ("valence", "arousal") for of in _MEANS)]
    long = ["song_id"]
    for name in ("valence", "arousal"):
        long += [f"{name}_{of}" for of in (*_MEANS, "max_mean", "max_std", "min_mean", "min_std")]
    long[3] = "valence_ max_mean"
    for name, header, some in (
        (STATIC[0], short, [song for song in songs if year_of(song.number) != 2015]),
        (STATIC[1], long, [song for song in songs if year_of(song.number) == 2015]),
    ):
        table: list[Row] = []
        for song in some:
            row: list[object] = [song.number]
            for mean in song.rated:
                row += [f"{mean:g}", f"{rng.uniform(0.4, 2.4):.2f}"]
                if header is long:
                    row += [f"{min(mean + 1.6, 9):g}", "1.1", f"{max(mean - 1.6, 1):g}", "1.02"]
            table.append(row)
        _table(folder / name, header, table, ", ")


_MEANS = ("mean", "std")


def _dynamic(folder: Path, songs: list[Song], seconds: float, seed: int) -> None:
    """Every half second after the first third: a short song's row ends with empty cells."""
    rng = np.random.default_rng((seed, 4))
    longest = max(song.seconds for song in songs)
    times = np.arange(round(2 * seconds / 3) / 2, longest, 0.5)
    header = ["song_id", *(f"sample_{round(1000 * time)}ms" for time in times)]
    for column, name in enumerate(("valence", "arousal")):
        table: list[Row] = []
        for song in songs:
            walk = (song.rated[column] - 5) / 4 + 0.05 * np.cumsum(rng.standard_normal(len(times)))
            cells = np.char.mod("%.4f", np.clip(walk, -1, 1))
            table.append([song.number, *np.where(times <= song.seconds, cells, "")])
        _table(folder / DYNAMIC / f"{name}.csv", header, table)


def _metadata(folder: Path, songs: list[Song]) -> None:
    """Other columns in each year; more cells in a row than names, or tabs around a name."""
    headers = (
        "song_id,file_name,Artist,Song title,start of the segment (min.sec),"
        "end of the segment (min.sec),Genre",
        "Id,Artist,Album,Track,Genre,segment start,segment end,Last.fm labels",
        "id,Filename,title,artist,album,genre",
    )
    for name, header in zip(METADATA, headers, strict=True):
        table: list[Row] = []
        for song in songs:
            number, artist, title = song.number, f"Made-up {song.artist}", f"Song {song.number}"
            if str(year_of(number)) not in name:
                continue
            if "2013" in name:
                row: list[object] = [number, f"{number}.mp3", f"\t{artist}\t", f"\t{title}"]
                row += ["0.00", "0.45", "\tNone"]
            elif "2014" in name:
                row = [number, artist.upper(), "", title, "None", "0", "45"]
                row += ["made", "up"][: number % 3]
            else:
                row = [
                    number,
                    f"{number}.mp3",
                    title,
                    artist,
                    "n/a",
                    *["None", "Rock"][: number % 3],
                ]
            table.append(row)
        _table(folder / "metadata" / name, header.split(","), table)


def _table(path: Path, header: Sequence[str], rows: Sequence[Row], comma: str = ",") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(comma.join(header) + "\n")
        csv.writer(file, lineterminator="\n").writerows(rows)
