"""Writing a new pair of files of the archive: under temporary names, and whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from petl.runs.archive.format import DATA, INDEX, NEW, OWN, SCHEMA, SUM, WHAT, Line, Pack, Piece
from petl.runs.result import Result, Summary, summary


class Writer:
    """A new pair of files. Nothing is left of it unless `finish` is called."""

    def __init__(self, folder: Path):
        self.folder, self.token = folder, secrets.token_hex(8)
        self.lines: dict[str, bytes] = {}
        self.settings: dict[bytes, int] = {}
        self.replaces: list[str] = []
        self.size = 0
        self.data: BinaryIO

    def __enter__(self) -> Writer:
        self.data = self._new(DATA).open("wb")
        return self

    def __exit__(self, *error: object) -> None:
        self.data.close()
        for kind in (DATA, INDEX):
            self._new(kind).unlink(missing_ok=True)

    def add(self, result: Result, files: Iterable[tuple[str, bytes]]) -> None:
        summed = ((name, content, zlib.crc32(content)) for name, content in files)
        self._add(result["run_id"], result["task"], summary(result), summed)

    def replace(self, pack: Pack, runs: Iterable[str]) -> None:
        """Copy these runs from an older pair, which does not count from then on."""
        self.replaces.append(pack.index.stem)
        for run_id in runs:
            # damaged bytes are copied as they are, with the old checksum that tells of the damage
            pieces = pack.files(run_id).values()
            files = ((one.name, pack.read(one, check=False), one.crc) for one in pieces)
            self._add(run_id, pack.task(run_id), pack.line(run_id)["result"], files)

    def _add(
        self,
        run_id: str,
        task: dict[str, Any],
        result: Summary,
        files: Iterable[tuple[str, bytes, int]],
    ) -> None:
        shared = _json({name: part for name, part in task.items() if name not in OWN})
        line = Line(
            run=run_id,
            settings=self.settings.setdefault(shared, len(self.settings)),
            fold=task["fold"],
            seed=task["seed"],
            files=[self._append(*file) for file in files],
            result=result,
        )
        self.lines[run_id] = _json(line) + b"\n"

    def _append(self, name: str, content: bytes, crc: int) -> Piece:
        self.data.write(content)
        piece = Piece(name, self.size, len(content), crc)
        self.size += len(content)
        return piece

    def finish(self) -> None:
        """Make the pair count, on the disk too."""
        if not self.lines:
            return
        _flush(self.data)
        with self._new(INDEX).open("wb") as index:
            index.write(self._head())
            index.writelines(self.lines.values())
            _flush(index)
        for kind in (DATA, INDEX):
            self._new(kind).rename(self.folder / f"{self.token}{kind}")
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _head(self) -> bytes:
        position, body = {}, 0
        for run_id, line in self.lines.items():
            position[run_id] = [body, len(line)]
            body += len(line)
        head = {
            "what": WHAT,
            "schema": SCHEMA,
            "replaces": self.replaces,
            "data": self.size,
            "body": body,
            "settings": [json.loads(text) for text in self.settings],
            "runs": position,
            "sums": {run_id: zlib.crc32(line) for run_id, line in self.lines.items()},
        }
        text = _json(head)[:-1]
        return text + SUM + str(zlib.crc32(text)).encode() + b"}\n"

    def _new(self, kind: str) -> Path:
        return self.folder / f"{NEW}{self.token}{kind}"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=True).encode()


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
