"""`petl generate`: a folder of synthetic clips to listen to, and what it refuses."""

from __future__ import annotations

import csv
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import soundfile
from fitted_runs import fitted
from made_clips import tasks, write_clips
from made_runs import failed, finished, stopped
from typer.testing import CliRunner, Result

from petl.cli import app
from petl.config.study import Task
from petl.data.load import read
from petl.data.splits import split
from petl.places import Places

CLASSES = ("dog", "=1+<script>alert(1)")
"""Names of folders, so without a slash."""


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> Places:
    root = tmp_path_factory.mktemp("generate")
    write_clips(root / "data", CLASSES)
    return Places(root / "runs", root / "data", root / "cache")


@pytest.fixture(scope="module")
def known(tmp_path_factory) -> dict[tuple[str, str], Task]:
    return tasks(tmp_path_factory.mktemp("study") / "made.yaml")


@pytest.fixture(scope="module")
def of_classes(places: Places, known) -> str:
    return str(fitted(known["own", "small"], places).path)


@pytest.fixture(scope="module")
def of_numbers(places: Places, known) -> str:
    return str(fitted(known["numbers", "small"], places).path)


@pytest.fixture
def petl(places: Places):
    def call(*arguments: object, data: Path = places.data) -> Result:
        words = [*map(str, arguments), f"--runs={places.runs}", f"--data={data}"]
        return CliRunner().invoke(app, ["generate", *words])

    return call


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "clips.csv").open()))


class Tags(HTMLParser):
    """What a browser finds in a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.names: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_clips_at_a_point_of_the_plane_are_files_that_say_what_they_are(
    petl, of_numbers: str, known, places: Places, tmp_path: Path
) -> None:
    asked = [of_numbers, "--at", "arousal=5.2, valence=5.6", "-n", 2, "--seed", 7, "--real", 1]
    done = petl(*asked, tmp_path / "out")
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    names = {"synthetic-001", "synthetic-002", "real-001", "real-001-rebuilt"}
    expected = {f"{name}.{kind}" for name in names for kind in ("wav", "png")}
    assert {file.name for file in (tmp_path / "out").iterdir()} == expected | {
        *("index.html", "clips.csv", "plane.png")
    }
    with soundfile.SoundFile(tmp_path / "out" / "synthetic-001.wav") as sound:
        run = known["numbers", "small"].run_id
        said = f"synthetic; generator {run}, seed 7, condition valence 5.6, arousal 5.2"
        assert sound.comment.startswith(said) and sound.samplerate == 16_000
    real = next(row for row in rows(tmp_path / "out") if row["kind"] == "real")
    task = known["numbers", "small"]
    corpus = read(task.dataset, places)
    training = [corpus.clips[i] for i in split(corpus, task.dataset, 0, 10).train]
    nearest = min(training, key=lambda clip: math.dist(clip.targets, (5.6, 5.2)))
    valence, arousal = nearest.targets
    assert real["condition"] == f"valence {valence:g}, arousal {arousal:g}"
    assert real["source"] == nearest.name
    again = petl(*asked, tmp_path / "again", "--no-grid")
    assert again.exit_code == 0
    for file in (tmp_path / "out").glob("*-0*"):
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), file.name


def test_hostile_names_of_classes_are_text_on_the_page_and_in_the_table(
    petl, of_classes: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked = [word for name in CLASSES for word in ("--class", name)]
    done = petl(of_classes, out, "-n", 1, "--real", 1, *asked)
    assert done.exit_code == 0, done.output
    page = Tags(out / "index.html")
    assert "script" not in page.names and CLASSES[1] in page.text
    assert page.links and all((out / link).is_file() for link in page.links)
    assert not re.search(r"https?:|url\(|@import", (out / "index.html").read_text())
    assert {row["condition"] for row in rows(out)} == {"dog", f"'{CLASSES[1]}"}
    assert not (out / "plane.png").exists()


def test_without_a_condition_they_are_those_of_training_clips(
    petl, of_classes: str, of_numbers: str, tmp_path: Path
) -> None:
    assert petl(of_classes, tmp_path / "out", "-n", 3, "--real", 0).exit_code == 0
    found = rows(tmp_path / "out")
    assert [row["kind"] for row in found] == ["synthetic"] * 3
    assert {row["condition"] for row in found} <= {"dog", f"'{CLASSES[1]}"}


def test_clips_that_the_generator_was_not_fitted_to_are_not_shown(
    petl, of_classes: str, tmp_path: Path
) -> None:
    write_clips(tmp_path, ("dog", "zebra"))
    done = petl(of_classes, tmp_path / "out", "--class", "dog", "-n", 1, data=tmp_path)
    assert "own: not the clips that the generator was fitted to" in done.stderr
    assert [row["kind"] for row in rows(tmp_path / "out")] == ["synthetic"]


def test_without_the_dataset_there_are_no_real_clips_and_nothing_to_draw_from(
    petl, of_classes: str, tmp_path: Path
) -> None:
    done = petl(of_classes, tmp_path / "out", "--class", "dog", "-n", 1, data=tmp_path)
    assert done.exit_code == 0
    assert done.stderr.startswith("petl: warning: no real clips beside the synthetic ones: ")
    assert [row["kind"] for row in rows(tmp_path / "out")] == ["synthetic"]
    assert "There are no real clips on this page." in Tags(tmp_path / "out" / "index.html").text
    refused = petl(of_classes, tmp_path / "other", data=tmp_path)
    assert refused.exit_code == 2 and "no conditions to draw from" in refused.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--at", "valense=5,arousal=5"], "no target 'valense'; did you mean 'valence'?"),
        (["--at", "valence=5"], "arousal is missing; it takes all targets"),
        (["--at", "valence=5,valence=5,arousal=5"], "valence stands there twice"),
        (["--at", "valence=5,arousal=nan"], "arousal: nan is not a finite number"),
        (["--at", "valence=5,arousal=high"], "arousal: 'high' is not a number"),
        (["--at", "valence"], "'valence' should be TARGET=NUMBER"),
        (["--at", "valence=9,arousal=5"], "valence 9 is outside the training labels' range of "),
        (["--at", "valence=0.5,arousal=5"], "0.5, as a model learns it, is 7 there; --yes makes"),
        (["--class", "dog"], "this generator has targets; ask with --at valence=NUMBER,arousal="),
        (["--class", "dog", "--at", "valence=5"], "choose --at or --class"),
        (["-n", 0], "-n 0: should be 1 to 500"),
        (["-n", 501], "-n 501: should be 1 to 500"),
        (["--at", "valence=5,arousal=5"] * 2 + ["-n", 300], "2 conditions x 300 clips are more"),
    ],
)
def test_what_cannot_be_asked_is_one_line(petl, of_numbers, tmp_path, words, told) -> None:
    refused = petl(of_numbers, tmp_path / "out", *words)
    assert refused.exit_code == 2 and told in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_condition_outside_the_range_is_made_if_somebody_agrees(
    petl, of_numbers: str, tmp_path: Path, monkeypatch
) -> None:
    asked = [of_numbers, "--at", "valence=9,arousal=5", "-n", 1, "--real", 0, "--no-grid"]
    done = petl(*asked, tmp_path / "yes", "--yes")
    assert done.exit_code == 0 and "warning: valence 9 is outside" in done.stderr
    monkeypatch.setattr("petl.generate.commands._on_a_terminal", lambda: True)
    answers = iter([False, True])
    monkeypatch.setattr("petl.generate.commands.agrees", lambda question: next(answers))
    petl(*asked, tmp_path / "no")
    assert not (tmp_path / "no").exists()
    petl(*asked, tmp_path / "agreed")
    assert (tmp_path / "agreed" / "index.html").exists()


def test_what_is_no_fitted_generator_is_one_line(
    petl, of_classes: str, of_numbers: str, places: Places, known, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").touch()
    other = tmp_path / "runs"
    flow, linear = known["numbers", "small"], known["numbers", "linear"]
    unfit = failed(flow, other / "failed", "the discriminator is certain")
    for words, told in (
        ((of_numbers, taken), "exists already; choose a new folder"),
        ((of_classes, tmp_path / "out", "--class", "dig"), "no such class; did you mean 'dog'?"),
        ((of_classes, tmp_path / "out", "--at", "a=1"), "has classes; ask with --class NAME"),
        ((of_classes, tmp_path / "out", "--grid"), "--grid is a plane of two targets"),
        ((stopped(flow, other, 1).path, tmp_path / "out"), "is not fitted to its end: stopped"),
        ((unfit.path, tmp_path / "out"), "failed (the discriminator is certain)"),
        ((finished(linear, other).path, tmp_path / "out"), "this run is no generator"),
        (("nothing", tmp_path / "out"), "no run 'nothing' among"),
    ):
        refused = petl(*words)
        assert refused.exit_code == 2 and told in refused.stderr, refused.output
        assert refused.stderr.count("\n") == 1
    assert [file.name for file in taken.iterdir()] == ["mine"]
    answers = CliRunner().invoke(app, ["predict", of_numbers, str(taken), f"--runs={places.runs}"])
    assert answers.exit_code == 2


def test_a_study_means_its_generator_even_if_too_few_clips_measured_it(
    petl, of_numbers: str, tmp_path: Path
) -> None:
    asked = ["--at", "valence=5,arousal=5", "-n", 1, "--real", 0, "--no-grid"]
    done = petl(Path(of_numbers).parent, tmp_path / "out", *asked, "--only", "dataset=numbers")
    assert done.exit_code == 0 and "(test kernel distance not measured)" in done.stderr
