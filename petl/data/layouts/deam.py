"""DEAM as published: MEMD_audio/<id>.mp3, ratings averaged for each song, and the songs' artists.

A common mirror has DEAM_audio/ and DEAM_Annotations/ in front. The tables are read by the names of
their columns: in the second one the arousal stands elsewhere, as it has more columns than the
first. The songs with ids up to 2000 are excerpts of 45 s, the other 58 are whole songs.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePath
from typing import NamedTuple

from petl.config import Dataset
from petl.config.songs import DEAM_TARGETS, Deam, Lists
from petl.data.corpus import Clip, Corpus, first_few
from petl.data.layouts.reading import (
    checked,
    holds,
    listed,
    need_columns,
    number,
    opened,
    rows,
    whole,
)
from petl.errors import UserError

TOPS = ("", "DEAM_audio", "DEAM_Annotations", "DEAM_Metadata", "DEAM_metadata", "metadata")
"""Where a part of the corpus may be; the published archives and the mirror differ in this."""
AUDIO = "MEMD_audio"
AVERAGED = "annotations/annotations averaged per song"
STATIC = (
    f"{AVERAGED}/song_level/static_annotations_averaged_songs_1_2000.csv",
    f"{AVERAGED}/song_level/static_annotations_averaged_songs_2000_2058.csv",
)
DYNAMIC = AVERAGED + "/dynamic (per second annotations)"
METADATA = ("metadata_2013.csv", "metadata_2014.csv", "metadata_2015.csv")
IDS = ("song_id", "id")
"""What the column of ids is called, in any case."""
LAST_EXCERPT = 2000
SCALE = (1.0, 9.0)
"""Of the raters, unless `dataset.range` is set. Models learn (mean - 5) / 4, by `dataset.scale`."""
SAMPLE = re.compile(r"sample_(\d+)ms")
LINE = 1_000_000
"""The longest line that is read of a table."""

log = logging.getLogger(__name__)


class Moment(NamedTuple):
    """The dynamic ratings of a song at a time; a song's ends may lack one of the two."""

    song: int
    seconds: float
    valence: float | None
    arousal: float | None


def year_of(song: int) -> int:
    """Of MediaEval's task that the song was rated for."""
    return 2013 if song <= 1000 else 2014 if song <= LAST_EXCERPT else 2015


def id_of(file: str) -> int:
    return int(PurePath(file).stem)


def read(folder: Path, dataset: Dataset) -> Corpus:
    """In the order of ids, without the songs that lack a sound or a rating."""
    chosen = dataset.deam or Deam()
    sounds, ratings = _sounds(folder), _ratings(folder, dataset.range or SCALE)
    _tell("have no ratings", sounds.keys() - ratings.keys(), sounds.keys(), folder)
    _tell("have no sound", ratings.keys() - sounds.keys(), ratings.keys(), folder)
    ids = sorted(sounds.keys() & ratings.keys())
    parts = _listed_parts(folder, chosen.lists) if chosen.lists else {}
    if parts:
        _tell("are in a list, but have no sound or ratings", parts.keys() - {*ids}, parts, folder)
        ids = [song for song in ids if song in parts]
    elif dataset.split == "held-out":
        parts = {song: "test" if song > LAST_EXCERPT else "train" for song in ids}
    elif chosen.songs == "excerpts":
        ids = [song for song in ids if song <= LAST_EXCERPT]
    if not ids:
        raise UserError(f"{folder}: no song has both a sound and ratings")
    artists = _artists(folder, ids) if chosen.group == "artist" else {}
    if dataset.split == "held-out":
        tested = {artists[song] for song in ids if song in artists and song > LAST_EXCERPT}
        shared = {song for song in ids if song <= LAST_EXCERPT and artists.get(song) in tested}
        _tell("are by an artist of the held-out songs", shared, ids, folder)
        ids = [song for song in ids if song not in shared]
    clips = [
        Clip(
            sounds[song],
            folder / sounds[song],
            part=parts.get(song, ""),
            group=artists.get(song, f"song {song}"),
            targets=tuple(ratings[song][name] for name in dataset.targets),
        )
        for song in ids
    ]
    return checked(folder, clips, (), dataset)


def dynamic(folder: Path) -> Iterator[Moment]:
    """The ratings every half second, from -1 to 1, song after song: MediaEval's task."""
    found: dict[str, dict[tuple[int, float], float]] = {}
    for name in DEAM_TARGETS:
        table = _find(folder, f"{DYNAMIC}/{name}.csv")
        found[name] = {}
        for where, row in rows(table, ("song_id",)):
            song = whole(row["song_id"], "song_id", where)
            for column, cell in row.items():
                if (at := SAMPLE.fullmatch(column)) and cell:
                    found[name][song, int(at[1]) / 1000] = number(cell, column, where)
    valence, arousal = (found[name] for name in DEAM_TARGETS)
    for song, seconds in sorted({*valence, *arousal}):
        at = (song, seconds)
        yield Moment(song, seconds, valence.get(at), arousal.get(at))


# --- what there is --------------------------------------------------------------------------------


def _find(folder: Path, name: str) -> Path:
    for top in TOPS:
        if (path := folder / top / name).exists():
            return path
    raise UserError(f"{folder}: no {name}; {holds(folder / name)}")


def _sounds(folder: Path) -> dict[int, str]:
    audio = _find(folder, AUDIO)
    found = [PurePath(name) for name in listed(audio)]
    inner = audio.relative_to(folder).as_posix()
    return {
        int(name.stem): f"{inner}/{name}"
        for name in found
        if name.suffix.lower() == ".mp3" and name.stem.isdecimal()
    }


def _ratings(folder: Path, within: tuple[float, float]) -> dict[int, dict[str, float]]:
    """Of the songs with both; the second table is needed for its 58 songs alone."""
    found: dict[int, dict[str, float]] = {}
    for name in STATIC:
        if name != STATIC[0] and not any((folder / top / name).exists() for top in TOPS):
            continue
        table = _find(folder, name)
        for where, row in rows(table, ("song_id", *(f"{name}_mean" for name in DEAM_TARGETS))):
            song = whole(row["song_id"], "song_id", where)
            if song in found:
                raise UserError(f"{where}: song {song} has ratings in a line above too")
            means = {name: row[f"{name}_mean"] for name in DEAM_TARGETS}
            if all(means.values()):
                found[song] = {n: number(means[n], f"{n}_mean", where, within) for n in means}
    return found


def _listed_parts(folder: Path, lists: Lists) -> dict[int, str]:
    """Of the songs in files with an id in each line, such as `10` or `10.mp3`."""
    parts: dict[int, str] = {}
    for part, name in lists.model_dump().items():
        with opened(folder / name) as lines:
            for count, line in enumerate(lines, start=1):
                where = f"{folder / name}, line {count}"
                if text := line.strip():
                    song = whole(text.removesuffix(".mp3"), "the song's id", where)
                    if song in parts:
                        raise UserError(f"{where}: song {song} is in a list for {parts[song]} too")
                    parts[song] = part
    return parts


def _artists(folder: Path, ids: list[int]) -> dict[int, str]:
    """As the metadata of the three years name them; the rows are ragged, but not in front."""
    found: dict[int, str] = {}
    years = sorted({year_of(song) for song in ids})
    for name in METADATA:
        if int(name[-8:-4]) in years:
            found |= _artists_in(_metadata(folder, name))
    without = {song for song in ids if not found.get(song)}
    _tell("have no artist in the metadata; each is a group of its own", without, ids, folder, "")
    return {song: found[song] for song in ids if song not in without}


def _metadata(folder: Path, name: str) -> Path:
    try:
        return _find(folder, f"metadata/{name}")
    except UserError:
        pass
    try:
        return _find(folder, name)
    except UserError:
        raise UserError(
            f"{folder}: no {name}, which names the artists (it is in metadata.zip at "
            "http://cvml.unige.ch/databases/DEAM/); put it there, or split by song: "
            "set dataset.deam.group to song"
        ) from None


def _artists_in(table: Path) -> dict[int, str]:
    found: dict[int, str] = {}
    with opened(table) as file:
        reader = csv.reader((line[:LINE] for line in file), skipinitialspace=True)
        header = [column.strip().lower() for column in next(reader, [])]
        columns = (next((name for name in IDS if name in header), IDS[0]), "artist")
        need_columns(columns, header, table)
        song_id, artist = map(header.index, columns)
        for row in reader:
            cells = [" ".join(cell.replace('"', " ").split()) for cell in row]
            if len(cells) > max(song_id, artist) and cells[song_id].isdecimal():
                found.setdefault(int(cells[song_id]), cells[artist].casefold())
    return found


def _tell(
    what: str,
    some: Collection[int],
    among: Collection[int],
    folder: Path,
    end: str = " and are left out",
) -> None:
    """One line in the log, with the first few ids."""
    if some:
        names = first_few([str(song) for song in sorted(some)])
        count = f"{len(some):,} of {len(among):,}"
        log.warning("%s: %s songs %s%s: %s", folder, count, what, end, names)
