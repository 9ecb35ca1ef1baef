"""A bundle tells what it should and nothing else, and any change of it is found."""

from __future__ import annotations

import getpass
import hashlib
import json
import re
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from made_runs import finished
from typer.testing import CliRunner

from petl.cli import app
from petl.config.study import Study, load_study
from petl.errors import UserError
from petl.files import write_json
from petl.places import Places
from petl.reproduce.bundle import MANIFEST, Contents, write_bundle
from petl.reproduce.verify import Checked, verify_bundle
from petl.runs.code.archive import build
from petl.runs.machine import record_machine

STUDY = """\
description: Two methods on made sounds
profile: as-run
report: test_last
matrix: {dataset: made-sounds, backbone: ast-small, method: [linear, bitfit], fold: [0, 1], seed: 1}
datasets:
  made-sounds:
    dataset:
      {corpus: made-sounds, layout: esc50, classes: 2, folds: 5, frames: 100, split: paper,
       spec_augment: null}
    train: {epochs: 2, batch_size: 32}
"""
HOST = "node-of-mine-17"
ACCURACY = {("linear", 0): 0.5, ("linear", 1): 0.75, ("bitfit", 0): 0.75, ("bitfit", 1): 0.75}
CODE = build().data


def quiet(*args: object) -> None:
    pass


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Finished runs whose numbers agree with each other, with weights and an archive of code."""
    home = tmp_path_factory.mktemp("study")
    (home / "two.yaml").write_text(STUDY)
    study = load_study(home / "two.yaml")
    archive = hashlib.sha256(CODE).hexdigest()
    (home / "runs" / ".code").mkdir(parents=True)
    (home / "runs" / ".code" / f"{archive[:16]}.zip").write_bytes(CODE)
    for task in study.tasks:
        accuracy = ACCURACY[task.names.method, task.fold]
        run = finished(task, home / "runs", accuracy)
        result = json.loads(run.result_file.read_text())
        result["metrics"]["val_best"] = {"accuracy": 0.5, "loss": 1.0}
        right = round(4 * accuracy)
        result["confusion"] = {"test_last": [[right, 4 - right], [0, 0]]}
        result["environment"] = {
            "host": HOST,
            "slurm": {"node": HOST},
            "image": f"{home}/petl.sif",
            "machine": record_machine(home / "runs"),
            "code": {"archive": archive, "source": "0" * 64, "commit": "1" * 40, "tries": []},
        }
        write_json(run.result_file, result)
        run.weights_file.write_bytes(b"\x00" * 64)
    return study


def bundle(study: Study, out: Path, *, with_hosts: bool = False) -> Contents:
    places = Places.choose(study.path.parent / "runs")
    return write_bundle(study, places, out, with_hosts=with_hosts, tell=quiet)


@pytest.fixture(scope="module")
def good(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundle") / "two.zip"
    bundle(study, out)
    return out


def test_a_good_bundle_has_no_problems_and_the_tables_numbers(good: Path) -> None:
    checked = verify_bundle(good, quiet)
    assert checked.problems == [] and checked.tasks == 4
    cells = {cell.method: (cell.runs, cell.mean, cell.std) for cell in checked.cells()}
    assert cells == {"linear": (2, 0.625, 0.125), "bitfit": (2, 0.75, 0.0)}


def test_the_same_runs_give_the_same_bytes(study: Study, good: Path, tmp_path: Path) -> None:
    bundle(study, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == good.read_bytes()


def test_no_name_of_a_machine_person_or_folder_is_in_it(study: Study, good: Path) -> None:
    """In the program itself a word may be anybody's name, but no folder is."""
    folders = {str(Path.home()), str(Path.cwd()), str(study.path.parent)} - {"/root"}
    names = {HOST, socket.gethostname(), getpass.getuser()} - {"root"}
    with zipfile.ZipFile(good) as packed:
        for entry in packed.namelist():
            words = folders if entry.startswith("code/") else folders | names
            whole = rb"(?<![\w-])(?:%s)(?![\w-])" % b"|".join(re.escape(w.encode()) for w in words)
            assert re.search(whole, packed.read(entry)) is None, entry


def test_such_names_are_included_when_asked_for(study: Study, tmp_path: Path) -> None:
    bundle(study, tmp_path / "all.zip", with_hosts=True)
    assert HOST.encode() in (tmp_path / "all.zip").read_bytes()
    assert verify_bundle(tmp_path / "all.zip", quiet).problems == []


@pytest.mark.parametrize(
    "line", ["# as on {host}", "# data in {home}/sounds", "# see /scratch/somebody/notes"]
)
def test_a_name_that_remains_in_the_study_is_refused_with_its_place(
    study: Study, tmp_path: Path, line: str
) -> None:
    text = study.path.read_text()
    study.path.write_text(line.format(host=HOST, home=Path.home()) + "\n" + text)
    try:
        with pytest.raises(UserError, match=r"study\.yaml would tell .*--with-hosts"):
            bundle(study, tmp_path / "out.zip")
    finally:
        study.path.write_text(text)
    assert list(tmp_path.iterdir()) == []


def test_no_file_is_overwritten(study: Study, tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        bundle(study, tmp_path / "mine.zip")
    assert (tmp_path / "mine.zip").read_text() == "mine"


def changed(good: Path, out: Path, change: Callable[[dict[str, bytes]], None]) -> Checked:
    with zipfile.ZipFile(good) as packed:
        files = {name: packed.read(name) for name in packed.namelist()}
    change(files)
    with zipfile.ZipFile(out, "w") as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return verify_bundle(out, quiet)


def one(files: dict[str, bytes], end: str) -> str:
    return next(name for name in sorted(files) if name.endswith(end))


def with_sums(files: dict[str, bytes]) -> None:
    """The work of a careful cheat: hashes that fit."""
    manifest = json.loads(files[MANIFEST])
    manifest["files"] = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in files.items()
        if name != MANIFEST
    }
    files[MANIFEST] = json.dumps(manifest).encode()


@pytest.mark.parametrize("end", ["weights.safetensors", "result.json", "metrics.jsonl", ".zip"])
def test_a_changed_byte_is_found_and_its_file_named(good: Path, tmp_path: Path, end: str) -> None:
    def change(files: dict[str, bytes]) -> None:
        name = one(files, end)
        files[name] = files[name][:-2] + b"\x01" + files[name][-1:]

    checked = changed(good, tmp_path / "bad.zip", change)
    assert end in checked.problems[0] and "another SHA-256" in checked.problems[0]


def test_a_byte_changed_in_the_zip_file_itself_is_found(good: Path, tmp_path: Path) -> None:
    data = bytearray(good.read_bytes())
    data[data.index(CODE) + len(CODE) // 2] ^= 1
    (tmp_path / "bad.zip").write_bytes(data)
    (problem,) = verify_bundle(tmp_path / "bad.zip", quiet).problems
    assert problem.startswith("code/") and "changed" in problem


def test_a_removed_and_an_added_file_are_named(good: Path, tmp_path: Path) -> None:
    def change(files: dict[str, bytes]) -> None:
        del files[one(files, "metrics.jsonl")]
        files["../../evil.sh"] = b"rm"

    problems = changed(good, tmp_path / "bad.zip", change).problems
    assert "metrics.jsonl: removed" in problems[0]
    assert problems[1] == "../../evil.sh: added, not in the manifest"


@pytest.mark.parametrize(
    ("end", "old", "new", "told"),
    [
        ("result.json", '"accuracy": 0.75', '"accuracy": 0.95', "confusion matrix"),
        ("metrics.jsonl", '"val_accuracy": 0.5', '"val_accuracy": 0.9', "val_best.accuracy"),
        ("task.json", '"seed": 1', '"seed": 2', "it is the task of run"),
    ],
)
def test_numbers_that_contradict_each_other_are_found_even_with_new_hashes(
    good: Path, tmp_path: Path, end: str, old: str, new: str, told: str
) -> None:
    def change(files: dict[str, bytes]) -> None:
        for name in [name for name in files if name.endswith(end)]:
            files[name] = files[name].replace(old.encode(), new.encode())
        with_sums(files)

    problems = changed(good, tmp_path / "bad.zip", change).problems
    assert any(told in problem for problem in problems)


def test_a_run_under_another_runs_id_is_found(good: Path, tmp_path: Path) -> None:
    def change(files: dict[str, bytes]) -> None:
        names = sorted(name for name in files if name.endswith("result.json"))
        files[names[0]] = files[names[1]]
        with_sums(files)

    problems = changed(good, tmp_path / "bad.zip", change).problems
    assert any("the result of another task" in problem for problem in problems)


# --- files that were made to do harm ---


def test_a_compressed_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(MANIFEST, b" " * 20_000_000)
    with pytest.raises(UserError, match="compressed"):
        verify_bundle(tmp_path / "bomb.zip", quiet)


def test_files_that_overlap_are_refused(good: Path, tmp_path: Path) -> None:
    """Many names for the same bytes: each of them would be read."""
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w") as packed:
        packed.writestr(f"runs/{'0' * 16}/weights.safetensors", b"x" * 10_000)
        first = packed.infolist()[0]
        for i in range(1, 50):
            copy = zipfile.ZipInfo(f"runs/{i:016x}/weights.safetensors")
            copy.header_offset, copy.CRC = first.header_offset, first.CRC
            copy.file_size = copy.compress_size = first.file_size
            packed.filelist.append(copy)
            packed.NameToInfo[copy.filename] = copy
    with pytest.raises(UserError, match="larger than itself"):
        verify_bundle(tmp_path / "bomb.zip", quiet)


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"what": "petl-ast bundle", "schema": 2}',
        b'{"what": "petl-ast bundle", "schema": 1, "study": "x", "report": "test_last", '
        b'"tasks": 1, "files": {"../../etc/passwd": {}}}',
        b'{"what": "petl-ast bundle", "schema": 1, "files": {"study.yaml": 3}, "tasks": 1}',
    ],
)
def test_a_manifest_of_any_kind_is_one_line(manifest: bytes, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as packed:
        packed.writestr(MANIFEST, manifest)
    with pytest.raises(UserError, match=MANIFEST):
        verify_bundle(tmp_path / "odd.zip", quiet)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + b"\0" * 100, b"hello"])
def test_what_is_no_zip_file_is_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "odd.zip").write_bytes(content)
    with pytest.raises(UserError, match="not a zip file"):
        verify_bundle(tmp_path / "odd.zip", quiet)


def test_the_command_says_what_is_missing(study: Study, tmp_path: Path) -> None:
    runs = str(study.path.parent / "runs")
    words = ["bundle", str(study.path), str(tmp_path / "two.zip"), "--runs", runs]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0 and "4 runs" in done.stdout
