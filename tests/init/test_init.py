"""`petl init`: what it finds, what it chooses, and that what it writes runs as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from petl.cli import app
from petl.config.study import load_study
from petl.config.task import Task
from petl.data import load
from petl.data.splits import split
from petl.data.synthetic.mixtures import like_audioset, like_fsd50k
from petl.init import columns
from petl.places import Places

SPEAKERS = ("ann", "bob", "cid", "dee", "eve")


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PETL_DATA", raising=False)


def init(*arguments: object, code: int = 0) -> Result:
    told = CliRunner().invoke(app, ["init", *map(str, arguments)])
    assert told.exit_code == code, told.output
    return told


def put(folder: Path, names: Iterable[str], seconds: float = 0.2, rate: int = 16_000) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        soundfile.write(folder / name, np.zeros(round(seconds * rate), np.float32), rate)


def birds(folder: Path, clips: int = 10) -> Path:
    for name in ("wren", "robin"):
        put(folder / name, [f"{chr(97 + i)}x.wav" for i in range(clips)])
    return folder


def first_task(study: str) -> Task:
    return load_study(study).tasks[0]


def parts_of(task: Task) -> tuple[list[str], ...]:
    """The files that train, validate and test."""
    corpus = load.read(task.dataset, Places.choose())
    parts = split(corpus, task.dataset, task.fold, task.seed)
    return tuple(
        [corpus.clips[i].file for i in part] for part in (parts.train, parts.validation, parts.test)
    )


def test_a_folder_per_class_becomes_a_study_and_a_link(tmp_path: Path) -> None:
    sounds = birds(tmp_path / "my sounds" / "garden birds!")
    told = init(sounds, "--backbone", "ast-small").stdout
    assert "next: petl submit garden-birds.yaml" in told
    assert (tmp_path / "data" / "garden-birds").resolve() == sounds
    task = first_task("garden-birds.yaml")
    assert (task.dataset.classes, task.dataset.folds, task.dataset.frames) == (2, 5, 20)
    assert task.weights == "best-if-small" and task.dataset.spec_augment is not None
    assert [len(part) for part in parts_of(task)] == [12, 4, 4]
    methods = {task.names.method for task in load_study("garden-birds.yaml").tasks}
    assert methods == {"linear", "lora", "full"}


def test_nothing_that_exists_is_changed(tmp_path: Path) -> None:
    sounds = birds(tmp_path / "birds")
    Path("birds.yaml").write_text("mine")
    assert "birds.yaml exists already" in init(sounds, code=2).output
    assert Path("birds.yaml").read_text() == "mine" and not Path("data").exists()
    birds(tmp_path / "data" / "owls")
    assert "owls exists already" in init(sounds, "--out", "owls.yaml", code=2).output
    assert not Path("owls.yaml").exists()
    init(sounds, "--out", "again.yaml")
    Path("again.yaml").unlink()
    init(sounds, "--out", "again.yaml")  # the link is there and leads to the same folder


def test_sounds_in_the_data_folder_stay_where_they_are(tmp_path: Path) -> None:
    birds(tmp_path / "data" / "birds")
    told = init("birds").stdout  # by its name in the data folder
    assert "wrote birds.yaml" in told and "wrote data" not in told
    assert not (tmp_path / "data" / "birds").is_symlink()


@pytest.mark.parametrize(
    ("folders", "lengths"),
    [
        (("train", "val", "test"), [20, 20, 20]),
        (("train", "dev"), [20, 20, 20]),
        (("Train", "Test"), [18, 2, 20]),
    ],
)
def test_folders_of_parts_are_used_as_they_are(
    tmp_path: Path, folders: tuple[str, ...], lengths: list[int]
) -> None:
    for part in folders:
        birds(tmp_path / "parts" / part)
    told = " ".join(init(tmp_path / "parts").stdout.split())
    assert ("a tenth of those for training validates" in told) == (lengths[0] == 18)
    assert [len(part) for part in parts_of(first_task("parts.yaml"))] == lengths


def digits(folder: Path, speakers: Iterable[str]) -> Path:
    for digit in "01":
        put(folder / digit, [f"{digit}_{who}_{take}.wav" for who in speakers for take in range(5)])
    return folder


def test_speakers_in_the_names_are_kept_together_and_said(tmp_path: Path) -> None:
    told = " ".join(init(digits(tmp_path / "digits", SPEAKERS)).stdout.split())
    assert "ann 10, bob 10, cid 10, dee 10, eve 10, from part 2 of the names, as in 0_ann_" in told
    task = first_task("digits.yaml")
    assert (task.dataset.layout, task.dataset.split, task.dataset.folds) == ("table", "grouped", 5)
    speakers = [{Path(file).name.split("_")[1] for file in part} for part in parts_of(task)]
    assert [len(part) for part in speakers] == [3, 1, 1]
    assert set.union(*speakers) == set(SPEAKERS)
    init(tmp_path / "digits", "--no-groups", "--out", "random.yaml")
    assert first_task("random.yaml").dataset.split == "k-fold"


def test_of_few_speakers_none_is_left_out_unless_asked_for(tmp_path: Path) -> None:
    told = " ".join(init(digits(tmp_path / "digits", SPEAKERS[:4])).stdout.split())
    assert "which makes the test easier than new ones would; --groups keeps each" in told
    assert first_task("digits.yaml").dataset.split == "k-fold"
    init(tmp_path / "digits", "--groups", "--out", "together.yaml")
    assert first_task("together.yaml").dataset.layout == "table"
    told = init(birds(tmp_path / "birds"), "--groups", code=2).output
    assert "neither names nor folders tell groups" in told


def test_a_class_that_cannot_be_split_is_said_before_anything_is_written(tmp_path: Path) -> None:
    put(birds(tmp_path / "birds") / "owl", ["only one.wav"])
    told = init(tmp_path / "birds", code=2).output
    assert "class 'owl' is in test" in told and not Path("birds.yaml").exists()
    assert not Path("data").exists()


@pytest.mark.parametrize(
    "name",
    [
        "{take}.wav",  # takes are no groups
        "{label}_{take}.wav",  # nor is the class
        "{label}-{unique}.wav",  # nor what each file has alone
        "{label}{dash}{take}.wav",  # nor a part that only some names have
    ],
)
def test_other_parts_of_names_are_no_groups(tmp_path: Path, name: str) -> None:
    for label in ("wren", "robin"):
        names = [
            name.format(label=label, take=take, unique=f"{label}{take:x}a", dash="_" * (take % 2))
            for take in range(12)
        ]
        put(tmp_path / "birds" / label, set(names))
    assert "groups" not in init(tmp_path / "birds").stdout


def test_a_table_is_read_by_its_values_and_columns(tmp_path: Path) -> None:
    put(tmp_path / "birds" / "audio", [f"{i}.wav" for i in range(12)])
    rows = [f"{i},{'wren' if i % 2 else 'robin'},audio/{i}.wav,{i % 3 + 1}" for i in range(12)]
    file = tmp_path / "birds" / "meta" / "all.csv"
    file.parent.mkdir()
    file.write_text("\n".join(["id,kind,where,fold", *rows]))
    init(file)
    dataset = first_task("all.yaml").dataset
    table = dataset.table
    assert table is not None and (table.path, table.label, table.fold) == ("where", "kind", "fold")
    assert (dataset.folds, table.file) == (3, "meta/all.csv")
    assert [len(part) for part in parts_of(first_task("all.yaml"))] == [4, 4, 4]


def test_a_table_that_leaves_a_choice_asks_for_the_column(tmp_path: Path) -> None:
    put(tmp_path / "birds", [f"{i}.wav" for i in range(12)])
    rows = [f"{i}.wav,{i % 2},{i % 3}" for i in range(12)]
    table = tmp_path / "birds" / "all.csv"
    table.write_text("\n".join(["file,site,kind", *rows]))
    assert "with --label; it can be site, kind" in init(table, code=2).output
    assert "no column 'knid'; did you mean 'kind'?" in init(table, "--label", "knid", code=2).output
    init(table, "--label", "kind")
    assert first_task("all.yaml").dataset.classes == 3
    table.write_text("file,kind\nelsewhere.wav,a\n")
    assert "no column of it has paths of files" in init(table, "--out", "b.yaml", code=2).output


def test_published_layouts_are_known_by_their_files(tmp_path: Path) -> None:
    put(tmp_path / "esc" / "audio", [f"{i}.wav" for i in range(10)], seconds=0.5)
    (tmp_path / "esc" / "meta").mkdir()
    rows = [f"{i}.wav,{i % 5 + 1},{i // 5},kind {i // 5}" for i in range(10)]
    table = tmp_path / "esc" / "meta" / "esc50.csv"
    table.write_text("\n".join(["filename,fold,target,category", *rows]))
    init(tmp_path / "esc", "--backbone", "ast")
    tasks = load_study("esc.yaml").tasks
    assert {(t.dataset.layout, t.dataset.classes, t.dataset.folds) for t in tasks} == {
        ("esc50", 2, 5)
    }
    assert {task.fold for task in tasks} == {0, 1, 2, 3, 4}
    assert [len(part) for part in parts_of(tasks[0])] == [6, 2, 2]
    assert (tasks[0].dataset.frames, tasks[0].train.epochs) == (500, 50)  # the preset's


def test_long_and_slow_recordings_are_said(tmp_path: Path) -> None:
    for label in ("a", "b"):
        put(tmp_path / "long" / label, ["1.wav", "2.wav", "3.wav"], seconds=20, rate=1000)
    told = " ".join(init(tmp_path / "long").stdout.split())
    assert "1024 frames, 10.24 s: 100% of the clips are longer" in told
    assert "nothing above 500 Hz in some: the AST hears up to 8,000 Hz" in told


def test_files_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    (birds(tmp_path / "birds") / "wren" / "broken.wav").write_bytes(b"RIFF")
    told = " ".join(init(tmp_path / "birds").stdout.split())
    assert "1: wren/broken.wav; repair or remove these files" in told


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda folder: folder.mkdir(), "needs a folder for each of at least two classes"),
        (lambda folder: put(folder, ["a.wav"]), "needs a folder for each"),
        (lambda folder: put(folder / "wren", ["a.wav"]), "needs a folder for each"),
        (lambda folder: None, "no such file or folder"),
    ],
)
def test_what_is_no_dataset_is_one_line(tmp_path: Path, make, why: str) -> None:
    make(tmp_path / "x")
    told = init(tmp_path / "x", code=2).output
    assert why in told and told.count("\n") == 1


@pytest.mark.parametrize("preset", ["lora", "conformer-pfeiffer", "esc50", "wav2vec2", "ast"])
def test_a_copy_of_a_preset_is_a_study_that_trains_the_same(preset: str) -> None:
    told = init("--preset", preset).stdout
    assert f"next: petl submit my-{preset}.yaml" in told
    tasks = load_study(f"my-{preset}.yaml").tasks
    ids = [task.run_id for task in tasks]
    assert len(ids) == 2 * len(set(ids))


def test_a_published_dataset_that_is_not_here_is_said_how_to_get() -> None:
    assert "`petl data fetch esc50` downloads it" in init("esc50", code=2).output


def test_a_preset_that_does_not_exist_is_told_the_nearest() -> None:
    assert "did you mean 'lora'?" in init("--preset", "lorra", code=2).output


def test_a_column_of_several_labels_is_seen(tmp_path: Path) -> None:
    put(tmp_path / "weather", [f"{number}.wav" for number in range(20)])
    tags = ("rain", "wind", "rain; wind", "")
    rows = [f"{number}.wav,{tags[number % 4]}" for number in range(20)]
    (tmp_path / "weather" / "clips.csv").write_text("\n".join(["file,tags", *rows, ""]))
    told = init("weather/clips.csv", "--label", "tags")  # from here, not from the root
    assert "a clip can have several" in told.output
    task = first_task("clips.yaml")
    assert task.dataset.kind.name == "several labels" and task.dataset.classes == 2
    assert sum(map(len, parts_of(task))) == 20


def test_a_comma_in_the_name_of_a_class_separates_nothing() -> None:
    assert columns.separator(["Speech, male", "Speech, female", "Dog"]) is None
    assert columns.separator(["dog", "cat", "dog,cat"]) == ","


@pytest.mark.parametrize(
    ("name", "make", "split"),
    [("fsd50k", like_fsd50k, "paper"), ("audioset", like_audioset, "ast-recipe")],
)
def test_published_corpora_of_several_labels_are_known(
    tmp_path: Path, name: str, make: Callable[..., None], split: str
) -> None:
    make(tmp_path / "sounds" / name, {"train": 6, "val": 3, "test": 3})
    init(f"sounds/{name}")
    dataset = first_task(f"{name}.yaml").dataset
    assert (dataset.layout, dataset.split, dataset.classes) == (name, split, 10)


def test_a_folder_with_the_name_of_a_preset_has_the_presets_split(tmp_path: Path) -> None:
    """UrbanSound8K as intended validates on a training fold, not on the test fold."""
    folder = tmp_path / "urbansound8k"
    rows = []
    for fold in (1, 2, 3):
        put(folder / "audio" / f"fold{fold}", [f"{fold}{label}.wav" for label in "ab"])
        rows += [f"{fold}{kind}.wav,{fold},{i},{kind}" for i, kind in enumerate("ab")]
    (folder / "metadata").mkdir()
    table = "\n".join(["slice_file_name,fold,classID,class", *rows])
    (folder / "metadata" / "UrbanSound8K.csv").write_text(table)
    init(folder, "--backbone", "ast")
    task = first_task("urbansound8k.yaml")
    assert (task.names.dataset, task.dataset.split) == ("my-urbansound8k", "held-out")
    train, validation, test = parts_of(task)
    assert len(train) == len(validation) == len(test) == 2 and not {*validation} & {*test}
