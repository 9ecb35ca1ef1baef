"""Packed runs are read as before and unpacked to the byte."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pandas as pd
import pytest
from made_runs import failed, finished, stopped
from packs import content, made, pack_all
from typer.testing import CliRunner

from analysis import history, load
from petl.cli import app
from petl.config.study import Study
from petl.errors import UserError
from petl.files import write_json
from petl.runs.archive.format import Archive, archive
from petl.runs.archive.packing import DAMAGED, pack, preview_pack, unpack
from petl.runs.claim import Claim
from petl.runs.damage import damage_in
from petl.runs.directory import RunDir, Runs
from petl.runs.result import BULKY
from petl.runs.synthetic import fabricate
from slurm.status.plan import Plan


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Ten finished runs with weights."""
    study = made(tmp_path, [1])
    fabricate(study, tmp_path)
    for task in study.tasks:
        RunDir.of(task, tmp_path).weights_file.write_bytes(random.randbytes(5000))
    return study


@pytest.fixture
def folder(study: Study, tmp_path: Path) -> Path:
    return tmp_path / study.name


def test_packed_runs_take_three_inodes_and_say_what_they_said(study: Study, tmp_path: Path) -> None:
    folder = tmp_path / study.name
    before = load(study, tmp_path), history(study, tmp_path), load(folder)
    pack_all(folder)
    assert sorted(path.suffix for path in (folder / "packed").iterdir()) == [".data", ".jsonl"]
    assert {path.name for path in folder.iterdir()} == {"packed", "SYNTHETIC.txt"}
    after = load(study, tmp_path), history(study, tmp_path), load(folder)
    for old, new in zip(before, after, strict=True):
        pd.testing.assert_frame_equal(old, new, check_like=True)


def test_whoever_asks_for_a_run_finds_it_packed(study: Study, tmp_path: Path, folder: Path) -> None:
    task = study.tasks[3]
    run = RunDir.of(task, tmp_path)
    before = run.result(), run.metrics(), run.state(), run.weights_file.read_bytes()
    pack_all(folder)
    with run.at_hand("weights.safetensors") as weights:
        assert (run.result(), run.metrics(), run.state(), weights.read_bytes()) == before
    assert not weights.exists()
    assert run.read("log.txt").startswith(b"SYNTHETIC")
    assert run.read("failure.json") is None
    plan = Plan(study, tmp_path)
    assert plan.counts() == {"done": 10}
    assert Runs(folder).task(task.run_id) == task.to_json()


@pytest.mark.parametrize("indented", [False, True])
def test_a_view_tells_all_of_a_result_but_what_is_long(
    study: Study, folder: Path, indented
) -> None:
    for task in study.tasks:
        run = RunDir(folder / task.run_id)
        whole = run.result() or {}
        if indented:
            write_json(run.result_file, whole)
        brief = {name: part for name, part in whole.items() if name not in BULKY}
        assert whole["confusion"]["test_last"] and "timing" in brief
        assert Runs(folder).result(task.run_id) == brief
        run.result_file.write_bytes(run.result_file.read_bytes()[:-3])
        assert Runs(folder).result(task.run_id) is None


def test_the_log_of_a_packed_run_is_shown(study: Study, tmp_path: Path, folder: Path) -> None:
    pack_all(folder)
    command = ["logs", str(study.path), "method=lora", "fold=0", "--runs", str(tmp_path)]
    assert "SYNTHETIC: esc50 · lora" in CliRunner().invoke(app, command).output


def test_undo_brings_back_the_same_bytes(folder: Path) -> None:
    before = content(folder)
    pack_all(folder)
    some = sorted(archive(folder))[:4]
    unpack(folder, some)
    assert sorted(archive(folder)) == sorted(set(Runs(folder)) - set(some))
    assert len(Runs(folder).loose) == 4
    unpack(folder, list(archive(folder)))
    assert content(folder) == before
    assert not (folder / "packed").exists()


def test_more_runs_join_without_ever_more_files(study: Study, tmp_path: Path) -> None:
    folder = tmp_path / study.name
    before = content(folder)
    for run_id in sorted(Runs(folder)):
        assert pack(folder, [run_id]) == {"packed": 1}
    assert len(list((folder / "packed").iterdir())) <= 8
    assert len(archive(folder)) == 10
    unpack(folder, list(archive(folder)))
    assert content(folder) == before


def test_only_finished_runs_that_nobody_works_on_are_packed(tmp_path: Path) -> None:
    study = made(tmp_path, [1])
    done, at_work, under_way, bad, half, strange = study.tasks[:6]
    folder = tmp_path / study.name
    finished(done, tmp_path)
    stopped(under_way, tmp_path, 2)
    failed(bad, tmp_path, "no")
    finished(half, tmp_path).result_file.write_text('{"schema": 1, ')
    link = finished(strange, tmp_path).path / "link"
    link.symlink_to(tmp_path)
    before = content(folder)
    with Claim(finished(at_work, tmp_path).claim_file):
        found = preview_pack(folder)
        assert found.left == {
            "unfinished": 2,
            "still being worked on": 1,
            "contains something that is not a plain file": 1,
        }
        became = pack(folder, [task.run_id for task in study.tasks[:6]])
    assert became["packed"] == 1
    assert became["its result is damaged or belongs to another run"] == 1
    assert set(archive(folder)) == {done.run_id}
    left = content(folder)
    assert {path: left[path] for path in before if done.run_id not in path} == {
        path: data for path, data in before.items() if done.run_id not in path
    }


def test_what_differs_from_its_pack_stays(study: Study, tmp_path: Path, folder: Path) -> None:
    run = RunDir.of(study.tasks[0], tmp_path)
    shutil.copytree(run.path, tmp_path / "copy")
    pack_all(folder)
    shutil.copytree(tmp_path / "copy", run.path)
    (run.path / "note.txt").write_text("mine")
    assert pack(folder, [run.path.name]) == {"differs from its packed copy": 1}
    assert (run.path / "note.txt").read_text() == "mine"
    with pytest.raises(UserError, match="differs from the packed run"):
        unpack(folder, [run.path.name])
    (run.path / "note.txt").unlink()
    assert pack(folder, [run.path.name]) == {"packed": 1}
    assert not run.path.exists()


def test_damage_is_noticed_when_it_is_read(study: Study, tmp_path: Path, folder: Path) -> None:
    pack_all(folder)
    (data,) = (folder / "packed").glob("*.data")
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    (damage,) = damage_in(Runs(folder))
    assert damage.file == data and "at byte" in damage.problem
    assert unpack(folder, list(archive(folder))) == {"unpacked": 9, DAMAGED: 1}
    assert set(archive(folder)) == {damage.run_id}
    assert pack(folder, preview_pack(folder).runs) == {"packed": 9}
    assert [found.run_id for found in damage_in(Runs(folder))] == [damage.run_id]


def test_two_at_once_do_not_meet(folder: Path) -> None:
    (folder / "packed").mkdir()
    with Claim(folder / "packed" / "claim.json"), pytest.raises(UserError, match="is working on"):
        pack(folder, list(Runs(folder)))
    pack_all(folder)


def test_a_run_that_is_unpacked_between_two_looks_is_found(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader misses the folder, then somebody unpacks, and then the pack is gone."""
    folder = tmp_path / study.name
    run = RunDir.of(study.tasks[0], tmp_path)

    def archive_after_an_undo(folder: Path) -> Archive:
        unpack(folder, list(archive(folder)))
        return archive(folder)

    monkeypatch.setattr("petl.runs.directory.archive", archive_after_an_undo)
    for look in (
        lambda: run.result() is not None,
        lambda: run.read("task.json") is not None,
        lambda: len(list(Runs(folder))) == len(study.tasks),
    ):
        pack(folder, preview_pack(folder).runs)
        assert not run.path.exists()
        assert look()


def test_the_command_says_what_it_will_do_asks_and_does_it(study: Study, tmp_path: Path) -> None:
    def petl(*arguments: str) -> tuple[int, str]:
        command = ["compact", str(study.path), "--runs", str(tmp_path), *arguments]
        result = CliRunner().invoke(app, command)
        return result.exit_code, result.output

    code, said = petl()
    assert code == 2 and "10 finished runs, 60 files and folders" in said
    assert "become 2 files" in said and "stdin is not a terminal" in said
    assert len(Runs(tmp_path / study.name).loose) == 10
    assert petl("method=lora", "--yes")[1].endswith("5 packed\n")
    assert len(archive(tmp_path / study.name)) == 5
    assert petl("--yes")[1].endswith("5 packed\n")
    assert petl() == (0, "no finished runs to pack\n")
    assert petl("method=lora", "fold=0-1", "--undo", "--yes")[1].endswith("2 unpacked\n")
    assert len(archive(tmp_path / study.name)) == 8
    code, said = petl("method=nothing")
    assert code == 2 and "no run has method" in said
