"""`petl data check` and `petl data fetch` of DEAM, on made-up songs and archives."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from petl.cli import app
from petl.config.study import EXPERIMENTS
from petl.data import downloads
from petl.data.layouts.deam import AUDIO
from petl.data.synthetic import deam


def petl(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["data", *map(str, arguments)])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "songs"
    deam.make_corpus(folder, {2013: 5, 2014: 4, 2015: 2}, 2.1, 0)
    return folder


def test_check_counts_years_windows_and_ratings_and_draws_them(written, tmp_path) -> None:
    told = petl("check", "made-up-deam", written, "--scatter", tmp_path / "ratings.png")
    assert told.exit_code == 0, told.output
    for line in (
        "clips     9 ",
        "years     2: 2013 5, 2014 4",
        "windows   9 of 2 s, every 2 s; 1 to 1 of each recording",
        "channels  2 (5), 1 (4)",
        "ready: 9 of 9 clips decode",
    ):
        assert line in told.stdout
    assert "valence   " in told.stdout and "correlated at" in told.stdout
    assert (tmp_path / "ratings.png").read_bytes().startswith(b"\x89PNG")


def test_check_warns_of_a_song_that_ends_early_or_is_shorter_than_a_window(
    written, tmp_path
) -> None:
    folder = Path(shutil.copytree(written, tmp_path / "songs"))
    song = folder / AUDIO / "2.mp3"
    song.write_bytes(song.read_bytes()[: song.stat().st_size // 2])
    told = petl("check", "made-up-deam", folder)
    assert told.exit_code == 0, told.output
    early = "1 of 9 clips end before the length in their header"
    assert f"warning  {early}: MEMD_audio/2.mp3 (1.0 of 2.1 s)" in told.stdout
    assert "warning  1 of 9 recordings are shorter than a window" in told.stdout


@pytest.mark.parametrize("group", ["artist", "song"])
def test_check_warns_of_more_folds_than_groups(written, tmp_path, group: str) -> None:
    """The nine excerpts are by two artists."""
    matrix = {"dataset": "made-up-deam", "backbone": "ast-small", "method": "linear"}
    dataset = {"folds": 9, "deam": {"group": group}}
    study = {"matrix": matrix | {"fold": 0, "seed": 0}, "set": {"dataset": dataset}}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(study))
    told = petl("check", "made-up-deam", written, "--study", tmp_path / "s.yaml")
    assert told.exit_code == 0, told.output
    warned = "2 groups for 9 folds: runs refuse them; set dataset.folds to at most 2" in told.stdout
    assert warned == (group == "artist")


def test_a_run_that_reads_a_song_that_ends_early_says_so(written, tmp_path, caplog) -> None:
    from petl.data import decode

    song = tmp_path / "2.mp3"
    song.write_bytes((written / AUDIO / "2.mp3").read_bytes()[:20_000])
    decode.read(song, samples=4_000)  # all that is needed is there
    assert not caplog.records
    decode.read(song)
    assert "2.mp3: ends early: " in caplog.text and "header announces 2.1 s" in caplog.text


def test_a_scatter_needs_two_targets(written) -> None:
    told = petl("check", "esc50", written, "--scatter", "x.png")
    assert told.exit_code == 2
    assert "--scatter draws two targets; esc50 has 0" in told.stderr


# --- fetch ----------------------------------------------------------------------------------------


@pytest.fixture
def archives(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The three archives, downloaded by hand, and their checksums."""
    data, checksums = tmp_path / "data", {}
    data.mkdir()
    for name, part in (
        ("DEAM_audio.zip", AUDIO),
        ("DEAM_Annotations.zip", "annotations"),
        ("metadata.zip", "metadata"),
    ):
        with zipfile.ZipFile(data / name, "w") as archive:
            for path in (written / part).rglob("*.*"):
                archive.write(path, path.relative_to(written))
        checksums[name] = f"sha256:{hashlib.sha256((data / name).read_bytes()).hexdigest()}"
    real = downloads.DOWNLOADS["deam"]
    first, *more = (replace(one, checksum=checksums[one.file]) for one in (real, *real.more))
    monkeypatch.setitem(downloads.DOWNLOADS, "deam", replace(first, more=tuple(more)))
    return data


def test_the_three_archives_of_deam_become_one_folder(archives, written) -> None:
    told = petl("fetch", "deam", "--data", archives)
    assert told.exit_code == 0, told.output
    assert sorted(path.name for path in (archives / "deam").iterdir()) == [
        "MEMD_audio",
        "annotations",
        "metadata",
    ]
    for path in written.rglob("*.mp3"):
        assert (archives / "deam" / path.relative_to(written)).read_bytes() == path.read_bytes()
    assert told.stdout.count("is no longer needed and can be deleted") == 3
    assert "nothing was downloaded" in petl("fetch", "deam", "--data", archives).stdout


def test_another_archive_is_refused_and_leaves_no_folder(archives) -> None:
    (archives / "metadata.zip").write_bytes(b"something else")
    told = petl("fetch", "deam", "--data", archives)
    assert told.exit_code == 2
    assert "metadata.zip: its sha256 is " in told.stderr
    assert not (archives / "deam").exists()
    assert (archives / "DEAM_audio.zip").exists()


def test_url_names_one_archive_and_deam_has_three(tmp_path) -> None:
    told = petl("fetch", "deam", "--url", "http://localhost:1/x.zip", "--data", tmp_path)
    assert told.exit_code == 2
    assert "--url names one archive, and deam has 3" in told.stderr


def test_the_made_up_songs_are_not_downloaded_but_have_a_preset(tmp_path) -> None:
    assert "petl makes it on this machine" in petl("fetch", deam.NAME, "--data", tmp_path).stderr
    presets = yaml.safe_load((EXPERIMENTS / "presets.yaml").read_text())["datasets"]
    assert presets[deam.NAME]["dataset"]["corpus"] == deam.NAME
