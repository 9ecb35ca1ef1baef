"""A reader never sees half a file, whatever dies when."""

from __future__ import annotations

import json
import os
from pathlib import Path
from threading import Thread

import pytest

from petl.files import append_json_line, read_json, write_atomic, write_json


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "result.json"
    write_json(path, {"a": 1})

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_json(path, {"a": 2})
    assert read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([letter]) * 200_000 for letter in b"abcdef"]
    write_atomic(path, contents[0])
    writers = [Thread(target=write_atomic, args=(path, content)) for content in contents]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_whole_json_reads_as_nothing(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    assert read_json(path) is None
    for content in (b"", b'{"a": 1', b"\xff\xfe", b"\x00" * 10):
        path.write_bytes(content)
        assert read_json(path) is None
    assert read_json(path / "below a file") is None


def test_lines_of_many_writers_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"

    def write(writer: int) -> None:
        for i in range(50):
            append_json_line(path, {"writer": writer, "i": i, "filling": "x" * 500})

    threads = [Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted((row["writer"], row["i"]) for row in rows) == [
        (writer, i) for writer in range(4) for i in range(50)
    ]
