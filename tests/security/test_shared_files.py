"""Run folders are writable by a whole group: what another member puts there harms nobody else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from petl.errors import UserError
from petl.files import (
    append_json_line,
    open_to_append,
    read_json,
    read_regular,
    write_atomic,
    write_json,
)


def test_a_link_in_a_run_folder_does_not_lead_to_a_private_file(tmp_path: Path) -> None:
    private = tmp_path / "private.txt"
    private.write_text("mine\n")
    link = tmp_path / "metrics.jsonl"
    link.symlink_to(private)
    for write in (
        lambda: append_json_line(link, {"epoch": 1}),
        lambda: write_json(link, {"epoch": 1}),
        lambda: os.close(open_to_append(link)),
    ):
        with pytest.raises(UserError, match=r"metrics\.jsonl: a link"):
            write()
    assert private.read_text() == "mine\n" and link.is_symlink()


def test_a_pipe_or_a_folder_in_place_of_a_file_is_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "result.json"
    os.mkfifo(pipe)
    (tmp_path / "folder").mkdir()
    assert read_json(pipe) is None and read_json(tmp_path / "folder") is None
    with pytest.raises(OSError, match="not a regular file"):
        read_regular(pipe)
    for path in (pipe, tmp_path / "folder"):
        with pytest.raises(UserError, match="regular files only"):
            write_atomic(path, b"x")
    with pytest.raises(UserError, match="regular files only"):
        append_json_line(pipe, {"epoch": 1})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can lose a device")
def test_a_device_survives_being_named_as_output(tmp_path: Path) -> None:
    device = tmp_path / "full"
    os.mknod(device, 0o666 | 0o020000, os.makedev(1, 7))
    with pytest.raises(UserError, match="not a regular file"):
        write_atomic(device, b"a table")
    assert device.is_char_device()


def test_nested_json_of_a_megabyte_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "claim.json").write_bytes(b"[" * 1_000_000)
    assert read_json(tmp_path / "claim.json") is None
