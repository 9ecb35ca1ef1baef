"""A pack of runs that somebody else wrote cannot make `petl compact --undo` write elsewhere."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from petl.config.study import Study, load_study
from petl.runs.archive import format as module
from petl.runs.archive.format import LEVELS, archive
from petl.runs.archive.packing import DAMAGED, pack, preview_pack, preview_unpack, unpack
from petl.runs.damage import damage_in
from petl.runs.directory import RunDir, Runs
from petl.runs.synthetic import fabricate

STUDY = """
description: packed
profile: as-run
report: test_last
matrix: {dataset: esc50, backbone: ast, method: linear, fold: [0, 1, 2], seed: 1}
set: {train: {epochs: 2}}
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    path = tmp_path / "studies" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(STUDY)
    study = load_study(path)
    fabricate(study, tmp_path / "runs")
    return study


@pytest.fixture
def folder(study: Study, tmp_path: Path) -> Path:
    return tmp_path / "runs" / study.name


def pack_all(folder: Path) -> tuple[Path, Path]:
    pack(folder, preview_pack(folder).runs)
    (index,) = (folder / "packed").glob("*.jsonl")
    return index, index.with_suffix(".data")


def rewrite(index: Path, old: str, new: str) -> None:
    """As an attacker would: sums left out, lengths as they should be."""
    head, *lines = index.read_text().splitlines(keepends=True)
    changed = [line.replace(old, new, 1) for line in lines]
    about = json.loads(head)
    del about["sums"], about["sum"]
    offset = 0
    for run_id, line in zip(about["runs"], changed, strict=True):
        about["runs"][run_id] = [offset, len(line)]
        offset += len(line)
    index.write_text(json.dumps(about) + "\n" + "".join(changed))
    module._cache.clear()


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


OUTSIDE = {
    "a folder above": "../../escaped",
    "further above": "a/../../../escaped",
    "absolute": "/tmp/escaped-from-a-pack",
    "empty": "",
    "the folder itself": ".",
    "a folder without a name": "a//b",
    "NUL": "a\\u0000b",
    "2,000 levels": "a/" * 2_000 + "a",
    "too many levels": "a/" * LEVELS + "a",
    "a long name": "a" * 300,
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_leads_out_of_the_run_is_not_read_and_not_written(
    name: str, folder: Path, tmp_path: Path
) -> None:
    index, _ = pack_all(folder)
    rewrite(index, '"log.txt"', f'"{OUTSIDE[name]}"')
    before = everything(tmp_path)
    assert not preview_unpack(folder).runs
    assert unpack(folder, list(archive(folder))) == {DAMAGED: 3}
    assert everything(tmp_path) == before
    assert not Path("/tmp/escaped-from-a-pack").exists()
    assert all("cannot have a file" in RunDir(folder / run).state().reason for run in Runs(folder))


@pytest.mark.parametrize("run_id", ["../../escaped", "/tmp/escaped", "", "..", "a\\u0000"])
def test_a_run_id_that_is_a_path_makes_the_pack_unreadable(
    run_id: str, study: Study, folder: Path, tmp_path: Path
) -> None:
    index, _ = pack_all(folder)
    text = index.read_text()
    victim = study.tasks[0].run_id
    index.write_text(re.sub(r',"sum":\d+}', "}", text.replace(victim, run_id)))
    module._cache.clear()
    before = everything(tmp_path)
    assert unpack(folder, ["../../escaped", run_id]) == {}
    assert everything(tmp_path) == before
    (damage,) = damage_in(Runs(folder))
    assert damage.file == index and "is not the id of a run" in damage.problem


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "dangling link", "nothing"])
@pytest.mark.parametrize("which", [0, 1])
def test_what_is_no_file_in_place_of_a_pack_is_named_and_the_rest_read(
    kind: str, which: int, study: Study, folder: Path, tmp_path: Path
) -> None:
    pack(folder, [study.tasks[0].run_id])
    file = next((folder / "packed").glob("*.data" if which else "*.jsonl"))
    content = file.read_bytes()
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "link":
        (tmp_path / "elsewhere").write_bytes(content)
        file.symlink_to(tmp_path / "elsewhere")
    elif kind == "dangling link":
        file.symlink_to(tmp_path / "gone")
    module._cache.clear()
    runs = Runs(folder)
    assert [runs.state(task.run_id).kind for task in study.tasks[1:]] == ["done", "done"]
    if (kind, which) != ("nothing", 0):
        assert len(list(damage_in(runs))) == 1
        assert runs.state(study.tasks[0].run_id).damaged


def test_a_run_that_is_a_link_is_named_and_left_and_the_others_are_packed(
    study: Study, folder: Path, tmp_path: Path
) -> None:
    linked = folder / study.tasks[0].run_id
    linked.rename(tmp_path / "elsewhere")
    linked.symlink_to(tmp_path / "elsewhere")
    for _ in range(2):
        preview = preview_pack(folder)
        (reason,) = preview.left
        assert reason.startswith(linked.name) and "a link" in reason
        pack(folder, preview.runs)
    assert len(archive(folder)) == 2
    assert linked.is_symlink() and (tmp_path / "elsewhere" / "result.json").exists()


def test_what_an_older_version_left_of_a_link_does_not_stick(
    study: Study, folder: Path, tmp_path: Path
) -> None:
    run = folder / study.tasks[0].run_id
    run.rename(tmp_path / "elsewhere")
    run.with_name(f".going.{run.name}").symlink_to(tmp_path / "elsewhere")
    pack(folder, [task.run_id for task in study.tasks[1:]])
    assert run.is_symlink() and len(archive(folder)) == 2
    assert (tmp_path / "elsewhere" / "result.json").exists()


def test_a_folder_of_packs_that_is_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "packed").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(Exception, match="a link, and petl packs runs into a real folder only"):
        pack(folder, preview_pack(folder).runs)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_flipped_byte_in_the_index_is_one_damaged_run(study: Study, folder: Path) -> None:
    index, _ = pack_all(folder)
    content = index.read_bytes()
    at = content.rindex(b'"accuracy":0.') + 14
    index.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    module._cache.clear()
    (damage,) = damage_in(Runs(folder))
    assert damage.problem == "its line is damaged"
    states = [Runs(folder).state(task.run_id) for task in study.tasks]
    assert sorted(state.kind for state in states) == ["done", "done", "stopped"]
    assert unpack(folder, list(archive(folder))) == {"unpacked": 2, DAMAGED: 1}
    assert index.exists()


def test_a_pack_without_checksums_is_read_as_before(study: Study, folder: Path) -> None:
    index, _ = pack_all(folder)
    rewrite(index, "nothing", "nothing")
    assert [Runs(folder).state(task.run_id).kind for task in study.tasks] == ["done"] * 3
    assert unpack(folder, list(archive(folder))) == {"unpacked": 3}
