"""What is recorded about the machine of a run."""

from __future__ import annotations

from pathlib import Path

from petl.runs.machine import FOLDER, machine, machine_file, read_machine, record_machine


def test_a_machine_is_written_once_and_read_by_its_hash(tmp_path: Path) -> None:
    digest = record_machine(tmp_path)
    (file,) = (tmp_path / FOLDER).iterdir()
    before = file.stat().st_ino
    assert record_machine(tmp_path) == digest and file.stat().st_ino == before
    assert read_machine(machine_file(tmp_path, digest)) == machine()
    assert "pydantic" in machine()["packages"]


def test_a_changed_file_is_not_believed_and_the_next_run_restores_it(tmp_path: Path) -> None:
    digest = record_machine(tmp_path)
    file = tmp_path / FOLDER / f"{digest}.json"
    file.write_bytes(file.read_bytes().replace(b"pydantic", b"pydamtic"))
    assert machine_file(tmp_path, digest) is None
    assert machine_file(tmp_path, "../" * 20 + "etc/passwd") is None
    record_machine(tmp_path)
    assert machine_file(tmp_path, digest) is not None


def test_a_folder_that_takes_no_files_does_not_fail_a_run(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    digest = record_machine(tmp_path)
    assert len(digest) == 64 and machine_file(tmp_path, digest) is None
