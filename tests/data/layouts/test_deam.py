"""DEAM in both of its published layouts, with the quirks of its tables, on made-up songs."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from petl.config import Dataset
from petl.data import layouts
from petl.data.corpus import Clip, Corpus
from petl.data.layouts.deam import AUDIO, DYNAMIC, STATIC, dynamic, id_of, year_of
from petl.data.splits import NAMES, split
from petl.data.synthetic import deam
from petl.errors import UserError

SONGS = {2013: 9, 2014: 9, 2015: 3}
SECONDS = 0.4
DRAWN = deam.drawn(SONGS, SECONDS, 0)
EXCERPTS = [song for song in DRAWN if song.number <= 2000]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "made-up-deam"
    deam.make_corpus(folder, SONGS, SECONDS, 0)
    return folder


@pytest.fixture
def songs(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "songs"))


@pytest.fixture
def settings(dataset: Callable[..., Dataset]) -> Callable[..., Dataset]:
    def make(**more: Any) -> Dataset:
        given = {"layout": "deam", "classes": None, "targets": ["valence", "arousal"]}
        return dataset(**given | {"folds": 3, "split": "grouped"} | more)

    return make


def ids(corpus: Corpus) -> list[int]:
    return [id_of(clip.file) for clip in corpus.clips]


def test_deam_is_read_as_published(written: Path, settings) -> None:
    """The artist's name is the same in all three years."""
    corpus = layouts.read(written, settings(deam={"songs": "all"}))
    assert ids(corpus) == [song.number for song in DRAWN]
    np.testing.assert_array_equal(corpus.targets, np.float32([song.rated for song in DRAWN]))
    assert [clip.group for clip in corpus.clips] == [f"made-up {song.artist}" for song in DRAWN]
    assert corpus.clips[0].file == f"MEMD_audio/{DRAWN[0].number}.mp3"


def test_only_the_excerpts_are_read_unless_all_songs_are_asked_for(written, settings) -> None:
    assert ids(layouts.read(written, settings())) == [song.number for song in EXCERPTS]


def test_the_mirror_with_folders_in_front_reads_the_same(songs, written, settings) -> None:
    for top, part in (("DEAM_audio", AUDIO), ("DEAM_Annotations", "annotations")):
        (songs / top).mkdir()
        (songs / part).rename(songs / top / part)
    corpus = layouts.read(songs, settings())
    assert corpus.clips[0].file == f"DEAM_audio/MEMD_audio/{DRAWN[0].number}.mp3"
    np.testing.assert_array_equal(corpus.targets, layouts.read(written, settings()).targets)


def test_one_target_and_their_order_are_the_studys(written, settings) -> None:
    both = layouts.read(written, settings()).targets
    turned = layouts.read(written, settings(targets=["arousal", "valence"])).targets
    np.testing.assert_array_equal(turned, both[:, ::-1])
    assert layouts.read(written, settings(targets=["arousal"])).targets.shape == (len(EXCERPTS), 1)


def test_columns_in_another_order_are_read_by_name(songs, written, settings) -> None:
    table = songs / STATIC[0]
    rows = [line.split(",") for line in table.read_text().splitlines()]
    table.write_text("\n".join(",".join([row[3], row[0], row[4], row[1]]) for row in rows))
    np.testing.assert_array_equal(
        layouts.read(songs, settings()).targets, layouts.read(written, settings()).targets
    )


def test_songs_without_a_sound_or_ratings_are_named_and_left_out(songs, settings, caplog) -> None:
    silent, unrated, empty = (song.number for song in EXCERPTS[:3])
    (songs / AUDIO / f"{silent}.mp3").unlink()
    table = songs / STATIC[0]
    lines = table.read_text().splitlines()
    lines = [line for line in lines if not line.startswith((f"{unrated},", f"{empty},"))]
    table.write_text("\n".join([*lines, f"{empty}, , 0.5, 3, 0.5"]))
    with caplog.at_level(logging.WARNING):
        corpus = layouts.read(songs, settings())
    assert ids(corpus) == [song.number for song in EXCERPTS[3:]]
    assert f"2 of 20 songs have no ratings and are left out: {unrated}, {empty}" in caplog.text
    assert f"1 of 19 songs have no sound and are left out: {silent}" in caplog.text
    assert len(caplog.records) == 2


def test_a_song_without_an_artist_is_a_group_of_its_own(songs, settings, caplog) -> None:
    table = songs / "metadata" / "metadata_2013.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]))
    last = max(song.number for song in EXCERPTS if year_of(song.number) == 2013)
    corpus = layouts.read(songs, settings())
    assert corpus.clips[ids(corpus).index(last)].group == f"song {last}"
    assert "1 of 18 songs have no artist in the metadata" in caplog.text


def test_without_metadata_the_songs_can_be_split_by_song(songs, settings) -> None:
    shutil.rmtree(songs / "metadata")
    with pytest.raises(UserError, match=r"no metadata_2013\.csv.*set dataset\.deam\.group to song"):
        layouts.read(songs, settings())
    corpus = layouts.read(songs, settings(deam={"group": "song"}))
    assert len({clip.group for clip in corpus.clips}) == len(EXCERPTS)


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        (0, "valence_mean", "valense_mean", "no column valence_mean; .*is 'valense_mean' a typing"),
        (1, "arousal_mean", "arousal", "no column arousal_mean; it has song_id, valence_mean"),
        (0, "\n2,", "\n2,much", r"1_2000\.csv, line 2: valence_mean 'much[^']*' is not a number"),
        (0, "\n2,", "\n2,9", r"1_2000\.csv, line 2: valence_mean 9\S+ is not between 1 and 9"),
        (0, "\n2,", "\n2,0.", r"line 2: valence_mean 0\.\S+ is not between 1 and 9"),
        (0, "\n2,", "\n2,nan,", r"line 2: .*not a finite number|more cells"),
        (0, "\n2,", "\ntwo,", r"1_2000\.csv, line 2: song_id 'two' is not a whole number"),
        (1, "\n2001,", "\n2,", r"2000_2058\.csv, line 2: song 2 has ratings in a line above too"),
    ],
)  # fmt: skip
def test_a_broken_table_is_one_line(songs, settings, table, old, new, message) -> None:
    file = songs / STATIC[table]
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message) as error:
        layouts.read(songs, settings())
    assert "\n" not in str(error.value)


def test_the_range_of_a_study_replaces_the_raters_own(written, settings) -> None:
    lowest = min(min(song.rated) for song in EXCERPTS)
    assert lowest < 4
    with pytest.raises(UserError, match=r"1_2000\.csv, line .* is not between 4 and 9"):
        layouts.read(written, settings(range=[4, 9]))


def test_a_folder_that_is_not_deam_says_what_is_missing(tmp_path, settings) -> None:
    with pytest.raises(UserError, match=r"no MEMD_audio; .* holds nothing"):
        layouts.read(tmp_path, settings())


# --- splits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["artist", "song"])
def test_no_artist_or_song_is_on_two_sides(written, settings, by) -> None:
    chosen = settings(deam={"group": by})
    corpus = layouts.read(written, chosen)
    tested: list[int] = []
    for fold in range(3):
        whole = split(corpus, chosen, fold, 0)
        sides = [{corpus.clips[i].group for i in getattr(whole, name)} for name in NAMES]
        assert sum(map(len, sides)) == len(set.union(*sides))
        tested += whole.test.tolist()
    assert sorted(tested) == list(range(len(corpus.clips)))


def test_more_folds_than_artists_are_one_line(written, settings) -> None:
    chosen = settings(folds=12)
    with pytest.raises(UserError, match="12") as error:
        split(layouts.read(written, chosen), chosen, 0, 0)
    assert "\n" not in str(error.value)


def test_the_whole_songs_can_be_held_out(written, settings, caplog) -> None:
    """Excerpts by their artists are left out, unless artists do not matter."""
    tested = [song for song in DRAWN if song.number > 2000]
    for by, trains in (
        ("song", EXCERPTS),
        ("artist", [s for s in EXCERPTS if s.artist not in {song.artist for song in tested}]),
    ):
        chosen = settings(split="held-out", folds=1, deam={"group": by})
        corpus = layouts.read(written, chosen)
        whole = split(corpus, chosen, 0, 0)
        assert [ids(corpus)[i] for i in whole.test] == [song.number for song in tested]
        assert len(whole.validation) and len(whole.train) + len(whole.validation) == len(trains)
    left_out = len(EXCERPTS) - len(trains)
    assert left_out
    assert f"{left_out} of 21 songs are by an artist of the held-out songs" in caplog.text


def test_lists_of_ids_say_what_trains(songs, settings, caplog) -> None:
    numbers = [song.number for song in DRAWN]
    lists = {"train": numbers[:10], "validation": numbers[10:13], "test": [*numbers[-2:], 999]}
    for part, some in lists.items():
        (songs / f"{part}.txt").write_text("".join(f"{number}\n" for number in some))
    named = {part: f"{part}.txt" for part in lists}
    chosen = settings(split="given", folds=1, deam={"group": "song", "lists": named})
    corpus = layouts.read(songs, chosen)
    whole = split(corpus, chosen, 0, 0)
    found = {part: [ids(corpus)[i] for i in getattr(whole, part)] for part in lists}
    assert found == lists | {"test": numbers[-2:]}
    assert "1 of 16 songs are in a list, but have no sound or ratings" in caplog.text
    (songs / "test.txt").write_text(f"{numbers[0]}\n")
    with pytest.raises(UserError, match=r"test\.txt, line 1: song 2 is in a list for train too"):
        layouts.read(songs, chosen)


def test_the_protocol_of_music2emo_has_its_numbers_of_songs(settings) -> None:
    """1,261 train, 271 validate and 270 test, of all 1,802."""
    ratio = {"validation": 0.1504, "test": 0.15}
    chosen = settings(split="ratio", ratio=ratio, deam={"songs": "all", "group": "song"})
    clips = tuple(Clip(f"{n}.mp3", Path(f"{n}.mp3"), targets=(0, 0)) for n in range(1802))
    whole = split(Corpus(Path("deam"), clips, ()), chosen, 0, 0)
    assert [len(getattr(whole, name)) for name in NAMES] == [1261, 271, 270]


# --- the ratings over time, and the maker ---------------------------------------------------------


def test_the_dynamic_ratings_are_a_table_with_times(songs) -> None:
    moments = list(dynamic(songs))
    assert {moment.song for moment in moments} <= {song.number for song in DRAWN}
    assert all(-1 <= (moment.valence or 0) <= 1 for moment in moments)
    (songs / DYNAMIC / "valence.csv").write_text("song_id,sample_15000ms,sample_15500ms\n2,0.1,\n")
    (songs / DYNAMIC / "arousal.csv").write_text("song_id,sample_15500ms\n2,-0.5\n3,0.25\n")
    assert list(dynamic(songs)) == [
        (2, 15.0, 0.1, None),
        (2, 15.5, None, -0.5),
        (3, 15.5, None, 0.25),
    ]


def test_the_made_up_corpus_is_the_same_each_time_and_says_what_it_is(written, tmp_path) -> None:
    deam.make_corpus(tmp_path / "again", SONGS, SECONDS, 0)
    files = sorted(path.relative_to(written) for path in written.rglob("*") if path.is_file())
    for file in files:
        assert (tmp_path / "again" / file).read_bytes() == (written / file).read_bytes(), file
    assert "This is not DEAM" in (written / "README-made-up.txt").read_text()
    assert len(files) == len(DRAWN) + 8


def test_louder_and_faster_sounds_have_more_arousal() -> None:
    songs = deam.drawn({2013: 40}, 0.5, 1)
    levels = [np.sqrt(np.square(deam.sound(song, 1)).mean()) for song in songs]
    assert np.corrcoef(np.log(levels), [song.heard[1] for song in songs])[0, 1] > 0.8
